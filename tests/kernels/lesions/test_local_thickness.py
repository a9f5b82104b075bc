import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.lesions.facts import FactSums
from somray.kernels.lesions.thickness import meter
from somray.kernels.lesions.thickness.balls import local_thickness

CUBIC = (1.0, 1.0, 1.0)


def by_definition(mask, spacing_mm):
    """Compare every voxel with the ball about every other one."""
    rim = [(int(n > 1),) * 2 for n in mask.shape]
    wide = np.pad(mask, rim)
    inside, outside = (np.argwhere(m) * spacing_mm for m in (wide, ~wide))
    radius = cdist(inside, outside).min(axis=1)
    in_ball = cdist(inside, inside) < radius * (1 - 1e-9)
    return np.where(in_ball, 2 * radius, 0).max(axis=1)


def ball(radius):
    index = np.indices((2 * int(radius) + 5,) * 3) - int(radius) - 2
    return (index**2).sum(axis=0) <= radius**2


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(1, 11), st.integers(2, 12), st.integers(2, 12)),
    spacing=st.sampled_from([CUBIC, (0.7, 0.7, 0.7), (2.5, 0.7, 1.1), (0.3, 1.0, 1.0)]),
    smooth=st.floats(0.0, 2.0),
)
def test_every_voxel_has_the_largest_ball_that_holds_it(seed, shape, spacing, smooth):
    noise = np.random.default_rng(seed).normal(size=shape)
    mask = ndimage.gaussian_filter(noise, smooth) > 0
    found = local_thickness(mask, spacing)
    assert not found[~mask].any()
    if mask.any():
        np.testing.assert_allclose(found[mask], by_definition(mask, spacing), rtol=1e-12)


def test_plates_rods_and_balls_are_as_thick_as_they_were_drawn():
    plate, rod = np.zeros((2, 40, 40, 40), bool)
    plate[10:16] = True
    index = np.indices((40, 40)) - 19.5
    rod[:, (index**2).sum(axis=0) <= 8.0**2] = True
    inner = (slice(12, -12),) * 3  # away from the ends
    assert set(local_thickness(plate, (0.5, 0.2, 0.2))[10:16, 18:22, 18:22].ravel()) == {3.0}
    found = local_thickness(rod, CUBIC)[inner]
    assert found.max() == pytest.approx(16.0, abs=1.0)
    whole = ball(12.45)
    found = local_thickness(whole, CUBIC)[whole]
    assert found.min() == found.max() == pytest.approx(25.0, abs=1.0)


def test_a_single_slice_has_discs_and_a_full_image_no_thickness():
    disc = ball(9.45)[11:12]
    found = local_thickness(disc, (5.0, 0.1, 0.1))[disc]
    assert found.max() == pytest.approx(1.9, abs=0.1)
    assert np.isinf(local_thickness(np.ones((1, 1, 1), bool), CUBIC)).all()
    with pytest.raises(ShapeError):
        local_thickness(np.ones((3, 3), bool), CUBIC)


def measured(labels, slab):
    facts = FactSums()
    facts.add(labels, (0, 0, 0), labels.shape[1:])
    found = meter.ThicknessMeter(Geometry.from_spacing(labels.shape, CUBIC), facts.finish())
    for z in range(0, len(labels), slab):
        found.add_brick(labels[z : z + slab], (z, 0, 0))
        found.close_slab(min(z + slab, len(labels)))
    return found.finish()


def three_lesions():
    labels = np.zeros((30, 24, 24), np.int32)
    labels[2:20, 2:8, 2:8] = 2
    labels[4:10, 12:22, 12:22] = 5
    labels[20:21, 12:22, 12:22] = 9  # one slice of a volume
    return labels


def test_lesions_are_measured_as_their_slabs_pass():
    labels = three_lesions()
    found = measured(labels, 7)
    assert found == measured(labels, 30)
    for number, one in zip((2, 5, 9), found, strict=True):
        mask = labels == number
        thickness = local_thickness(mask, CUBIC)[mask]
        assert (one.mean_thickness_mm, one.max_thickness_mm) == (thickness.mean(), thickness.max())


def test_what_is_too_large_or_finds_no_room_is_left_out_whatever_the_cut(monkeypatch):
    none = meter.ThicknessFigures()
    monkeypatch.setattr(meter, "MOST_VOXELS", 640)  # the rod has 648
    assert [one == none for one in measured(three_lesions(), 5)] == [True, False, False]
    monkeypatch.setattr(meter, "MOST_VOXELS", 10_000)
    monkeypatch.setattr(
        meter, "HELD_BYTES", 100
    )  # the rod's 82, then the block's 76; the plate has 13
    for slab in (1, 5, 30):
        found = [one == none for one in measured(three_lesions(), slab)]
        assert found == [False, True, False]
