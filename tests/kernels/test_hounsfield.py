"""Values that cannot be HU are called out; whatever real CT looks like, whole or cut small, is not."""

import numpy as np
import pytest

from somray.io.readers import open_source
from somray.kernels.hounsfield import HounsfieldTally

RNG = np.random.default_rng(0)
REAL = (
    "petct_sarcoma_STS002/CT_image.nii.gz", "petct_sarcoma_cohort/STS_022/CT_image.nii.gz",
    "ct_3slices/dicom", "ct_aorta_dissection/ct.nii.gz", "ct_abdomen_CRLM1004/ct.nii.gz",
    "ct_lung_nodule/solid_nodule_crop.mha", "longitudinal_lung_ct/followup_on_baseline_grid.mha",
    "dicom_ct_head_irregular",
)  # fmt: skip
CHANGED = {
    "stored": lambda hu: hu + 1024, "offset 1000": lambda hu: hu + 1000,
    "stored, never negative": lambda hu: np.clip(hu + 1024, 0, 4095),
    "unsigned middle": lambda hu: hu + 33792, "16 bits": lambda hu: 16 * (hu + 1024),
    "grey, soft tissue window": lambda hu: np.rint(np.clip((hu + 160) / 400, 0, 1) * 255),
    "0 to 1": lambda hu: np.clip((hu + 1000) / 2000, 0, 1), "-1 to 1": lambda hu: np.clip(hu / 1000, -1, 1),
    "attenuation in 1/cm": lambda hu: np.clip(0.19 * (hu + 1000) / 1000, 0, None),
}  # fmt: skip


def fault(*slabs):
    tally = HounsfieldTally()
    for slab in slabs:
        tally.add(np.asarray(slab, dtype=np.float32))
    return tally.fault()


def drawn(*parts, noise=8.0):
    """Draw (share, value) parts of 40 000 voxels with noise."""
    values = np.repeat([v for _, v in parts], [round(40000 * s) for s, _ in parts])
    return values + RNG.normal(0, noise, values.size)


@pytest.mark.parametrize(
    "parts",
    [
        [(0.5, -1000), (0.4, 50), (0.1, 900)],  # a body in air
        [(0.7, -850), (0.3, 40)],  # lung
        [(1.0, 60)],  # within the liver: neither air nor fat
        [(0.6, 40), (0.4, 350)],  # within the heart, chambers full of contrast
        [(0.5, -100), (0.5, 40)],  # fat and muscle
        [(0.5, 40), (0.2, -90), (0.3, 1100)],  # beside a long bone
        [(0.9, 0), (0.1, 1000)],  # a phantom of water with an insert
        [(0.5, 0), (0.5, 80)],  # a brain in its window, clipped
    ],
)
def test_what_ct_looks_like_passes(parts):
    assert fault(drawn(*parts)) is None
    assert fault(np.clip(drawn(*parts), -160, 240)) is None  # as others prepare it for networks


@pytest.mark.parametrize(
    "parts",
    [
        [(0.5, 24), (0.5, 1070)], [(0.7, 24), (0.3, 1070)], [(0.4, 24), (0.3, 170), (0.3, 1060)],
        [(1.0, 1064)], [(0.1, 24), (0.9, 1400)],
    ],
)  # fmt: skip
def test_stored_numbers_are_called_out(parts):
    assert "stored numbers" in fault(drawn(*parts))


def test_padding_and_missing_values_say_nothing():
    padded = np.concatenate(
        [np.full(9000, -2000.0), np.full(10, np.nan), drawn((0.5, 24), (0.5, 1070))]
    )
    assert "stored numbers" in fault(padded)
    assert fault(np.full(50, np.nan), np.full(50, -3024.0)) is None
    assert fault(np.full(50, 7.0)) is None  # blank, which is told elsewhere


def test_slabs_add_up_however_they_are_cut():
    values = drawn((0.5, 24), (0.5, 1070))
    assert fault(values) == fault(*np.array_split(values, 7))


@pytest.mark.parametrize("name", REAL)
def test_real_ct_passes_and_is_called_out_once_it_is_changed(name, real_data):
    with open_source(real_data / name, "resample") as source:
        volume = np.concatenate([source.read(0, z, z + 1) for z in range(source.header.shape[1])])
    assert fault(volume) is None
    edge = 64
    for _ in range(10):
        low = [int(RNG.integers(0, max(1, n - edge))) for n in volume.shape]
        assert fault(volume[tuple(slice(k, k + edge) for k in low)]) is None
    measured = np.maximum(volume, -1024)
    for how, change in CHANGED.items():
        assert fault(change(measured)), how


@pytest.mark.parametrize(
    ("values", "is_ct"),
    [
        (drawn((0.4, -1000), (0.2, -850), (0.35, 40), (0.05, 400)), True),
        (drawn((0.06, -1000), (0.94, 40)), True),
        (drawn((0.5, -3024), (0.2, -1000), (0.3, 40)), True),
        (drawn((0.8, 0), (0.2, 3), noise=0.3), False),
        *((RNG.normal(0, spread, 40000), False) for spread in (300, 1000, 3000, 10000)),  # counts, unclipped
        (RNG.uniform(-2000, 40000, 40000), False),
    ],
)  # fmt: skip
def test_only_ct_has_air_where_ct_has_it(values, is_ct):
    tally = HounsfieldTally()
    tally.add(values.astype(np.float32))
    assert tally.shows_air is is_ct


def tally_of(values):
    tally = HounsfieldTally()
    tally.add(np.asarray(values, dtype=np.float32))
    return tally


def test_what_ct_and_pet_look_like_raises_no_doubt():
    uptake = np.concatenate([np.zeros(30000), RNG.gamma(2.0, 0.7, 10000)])
    for scale in (1.0, 5000.0):  # SUV, Bq/ml with noise around 0
        assert not tally_of(scale * uptake + RNG.normal(0, 0.004 * scale, 40000)).doubt_as_pet()
    for parts in ([(0.5, -1000), (0.5, 50)], [(1.0, 60)], [(0.5, -100), (0.5, 40)]):
        assert not tally_of(drawn(*parts)).doubt_as_ct()


def test_a_ct_of_little_air_is_doubted_as_pet_and_a_pet_as_ct():
    crop = tally_of(drawn((0.3, -100), (0.7, 50)))
    assert not crop.shows_air
    assert crop.doubt_as_pet().endswith(
        "of its values lie below -60, where CT has fat and PET has nothing"
    )
    uptake = tally_of(np.concatenate([np.zeros(30000), RNG.gamma(2.0, 4.0, 10000)]))
    assert uptake.fault() is None
    assert uptake.doubt_as_ct().startswith("76% of its values are 0 and none lies below")
