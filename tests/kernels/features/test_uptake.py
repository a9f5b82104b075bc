import numpy as np
import pytest

from somray.domain.channel import channels_of
from somray.errors import ShapeError
from somray.kernels.features.uptake import HOT_SHARE, is_soft_tissue, uptake_histogram, uptake_of
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level

CHANNELS = ("CT", "PET")


def naive_level(values, share=HOT_SHARE):
    """Iterate from the 99.9th percentile down: a cut moves to its share between what it parts."""
    logs = np.sort(np.log2(values))
    cut = np.quantile(logs, 0.999)
    for _ in range(5000):
        hot, cold = logs[logs >= cut], logs[logs < cut]
        moved = (1 - share) * np.median(cold) + share * hot.mean()
        if moved >= cut - 1e-6:
            return 2**cut
        cut = max(moved, cut - 0.005)
    raise AssertionError("the cut does not come to rest")


def body(rng, hot=1500, cold=40_000):
    return np.concatenate(
        [rng.lognormal(np.log(0.6), 0.25, cold), rng.lognormal(np.log(5.0), 0.35, hot)]
    ).astype("f4")


def test_the_level_lies_at_its_share_between_background_and_hot_on_a_logarithmic_scale():
    pet = np.concatenate([np.full(99_000, 0.5), np.full(1000, 8.0)]).astype("f4")
    found = uptake_of(uptake_histogram(pet), has_air=False)
    assert found.background == pytest.approx(0.5, rel=0.012)
    assert found.hot == pytest.approx(8.0, rel=0.012)
    assert found.lesion == pytest.approx(0.5 ** (1 - HOT_SHARE) * 8.0**HOT_SHARE, rel=0.012)


@pytest.mark.parametrize("seed", range(5))
def test_the_level_is_where_the_iteration_comes_to_rest(seed):
    pet = body(np.random.default_rng(seed))
    found = uptake_of(uptake_histogram(pet), has_air=False)
    assert found.lesion == pytest.approx(naive_level(pet.astype(float)), rel=0.02)


def test_the_level_hardly_hangs_on_how_much_of_the_body_is_in_view():
    rng = np.random.default_rng(3)
    levels = [
        uptake_of(uptake_histogram(body(rng, 3000, cold)), has_air=False).lesion
        for cold in (6000, 30_000, 200_000)
    ]
    assert max(levels) < 1.08 * min(levels)


def test_a_few_pixels_of_something_far_hotter_do_not_raise_the_level():
    pet = body(np.random.default_rng(4))
    speck = np.concatenate([pet, np.full(20, 80.0, "f4")])
    plain, specked = (uptake_of(uptake_histogram(p), has_air=False).lesion for p in (pet, speck))
    assert specked == pytest.approx(plain, rel=0.04)


def test_the_uptake_scales_with_the_unit():
    pet = body(np.random.default_rng(0))
    small, large = (uptake_of(uptake_histogram(pet * f)).lesion for f in (1, 3000))
    assert large == pytest.approx(3000 * small, rel=0.03)


def test_parts_of_a_scan_count_as_the_whole_in_any_order():
    rng = np.random.default_rng(1)
    scan = np.stack([rng.normal(40, 60, (8, 20, 20)), rng.lognormal(0, 1, (8, 20, 20))], axis=1)
    scan = scan.astype("f4")
    whole = subject_histogram(scan, channels_of("PETCT", CHANNELS))
    parts = (
        subject_histogram(scan[z : z + 1], channels_of("PETCT", CHANNELS))
        for z in (3, 1, 7, 0, 2, 6, 5, 4)
    )
    assert np.array_equal(whole, sum(parts))
    assert (whole.sum(axis=1) > 0).all()


def test_air_does_not_lower_the_level():
    rng = np.random.default_rng(2)
    values = rng.lognormal(np.log(0.6), 0.2, 20_000)
    values[:200] = 9.0
    air = np.abs(rng.normal(0, 0.01, 60_000))
    with_air = uptake_of(uptake_histogram(np.concatenate([values, air]).astype("f4")))
    without = uptake_of(uptake_histogram(values.astype("f4")), has_air=False)
    assert with_air.lesion == pytest.approx(without.lesion, rel=0.05)


def test_an_even_subject_has_no_lesion_at_its_own_background():
    found = uptake_of(uptake_histogram(np.full(1000, 2.0, "f4")))
    assert found.background == pytest.approx(2.0, rel=0.02)
    assert found.lesion == pytest.approx(3.0, rel=0.02)


def test_urine_is_no_measure_of_the_level_with_ct_beside_it():
    rng = np.random.default_rng(5)
    ct = np.full((4, 60, 60), 50.0)
    ct[:, 40:], ct[:, 40:, 30:] = 0.0, -1000.0
    pet = rng.lognormal(np.log(0.6), 0.2, ct.shape)
    pet[:, 10:20, 10:20] = 5.0
    pet[:, 40:, :30] = 60.0
    scan = np.stack([ct, pet], axis=1).astype("f4")
    level = subject_level(subject_histogram(scan, channels_of("PETCT", CHANNELS)), "PETCT")
    assert level < 5.0
    scan[:, 0] = np.where(ct < 10, ct, -50.0)  # without soft tissue the body has to do
    assert subject_level(subject_histogram(scan, channels_of("PETCT", CHANNELS)), "PETCT") > 5.0


def test_soft_tissue_lies_between_water_and_bone_whatever_the_noise():
    rng = np.random.default_rng(6)
    for value, expected in ((50, True), (-100, False), (0, False), (300, False), (np.nan, False)):
        ct = value + rng.normal(0, 12, (2, 30, 30))
        assert (is_soft_tissue(ct.astype("f4")) == expected).mean() > 0.95
    ct = rng.normal(40, 30, (3, 20, 20)).astype("f4")
    assert np.array_equal(is_soft_tissue(ct)[1], is_soft_tissue(ct[1]))


def test_uptake_refuses_nothing_and_shapes_that_differ():
    with pytest.raises(ShapeError, match="no pixel"):
        uptake_of(uptake_histogram(np.full(5, np.nan, "f4")))
    with pytest.raises(ShapeError, match="different shapes"):
        uptake_histogram(np.zeros(5, "f4"), np.zeros(4, dtype=bool))
    assert not has_level(channels_of("CT", ("CT",)))
