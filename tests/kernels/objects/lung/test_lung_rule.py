"""What the lung encloses: nodules, vessels, wall, on drawn chests of known truth."""

from dataclasses import replace

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.kernels.objects.grid import object_grid
from somray.kernels.objects.lung.rule import LungTrait, call, find_in_lung
from somray.kernels.objects.lung.space import look_at_lung
from somray.kernels.objects.scan_rule import rule_for

SPACING = (2.0, 2.0, 2.0)
SHAPE = (48, 80, 96)  # 96 × 160 × 192 mm
AIR, LUNG, TISSUE = -1000.0, -850.0, 40.0
LEFT, RIGHT = (40.0, 62.0), (40.0, 33.0)  # middles of the lungs along y, x


def ball(z, y, x, radius_mm):
    """The share of each voxel that a ball fills, nearly, by its distance from the surface."""
    at = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    apart = np.sqrt(sum((2.0 * (a - c)) ** 2 for a, c in zip(at, (z, y, x), strict=True)))
    return np.clip((radius_mm - apart) / 2.0 + 0.5, 0.0, 1.0)


def chest(*things, wall=TISSUE):
    """Draw a body with two lungs, open above and below, and put things of 40 HU into it."""
    _, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    image = np.full(SHAPE, AIR)
    image[((y - 40) / 36) ** 2 + ((x - 47.5) / 44) ** 2 <= 1] = wall
    for cy, cx in (LEFT, RIGHT):
        image[((y - cy) / 26) ** 2 + ((x - cx) / 12) ** 2 <= 1] = LUNG
    for share in things:
        image += share * (TISSUE - image)
    noise = np.random.default_rng(7).normal(0.0, 15.0, SHAPE)
    return (image + noise).astype(np.float32)


def tube(z, y, radius_mm):
    """A vessel along x through the left lung, from the mediastinum."""
    at_z, at_y, at_x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    apart = 2.0 * np.hypot(at_z - z, at_y - y)
    share = np.clip((radius_mm - apart) / 2.0 + 0.5, 0.0, 1.0)
    return np.where((at_x >= 46) & (at_x <= 70), share, 0.0)


def lesions(image, spacing=SPACING):
    labels, objects = find_in_lung(image, spacing)
    assert sorted(o.number for o in objects) == list(range(1, labels.max() + 1))
    return labels, [o for o in objects if o.called == LESION]


@pytest.mark.parametrize("radius_mm", [4.0, 6.0, 10.0])
def test_a_nodule_in_the_lung_is_found_where_it_lies_with_its_volume(radius_mm):
    share = ball(24, 38, 62, radius_mm)
    labels, (found,) = lesions(chest(share))
    assert found.centroid == pytest.approx((24, 38, 62), abs=0.5)
    own, true = labels == found.number, share >= 0.5
    assert 2 * (own & true).sum() / (own.sum() + true.sum()) > 0.85
    assert "enclosed by lung" in found.reason


def test_a_lung_without_nodules_has_no_lesion_and_a_vessel_is_none():
    assert lesions(chest())[1] == []
    _, objects = find_in_lung(chest(tube(24, 40, 4.0)), SPACING)
    assert {o.called for o in objects} <= {PHYSIOLOGICAL}


def test_a_nodule_beside_a_vessel_is_still_found():
    _, found = lesions(chest(tube(24, 40, 2.0), ball(12, 40, 62, 7.0)))
    assert len(found) == 1
    assert found[0].centroid[0] == pytest.approx(12, abs=0.7)


def test_what_hangs_on_the_wall_is_in_doubt_or_left_out_never_a_lesion():
    _, objects = find_in_lung(chest(ball(24, 64, 62, 8.0)), SPACING)
    assert all(o.called != LESION for o in objects)


def test_ground_glass_is_in_doubt():
    _, objects = find_in_lung(chest(0.6 * ball(24, 38, 62, 10.0)), SPACING)
    (doubted,) = [o for o in objects if o.called != PHYSIOLOGICAL]
    assert doubted.called == DOUBT
    assert "not solid" in doubted.reason


def test_thick_slices_put_all_in_doubt():
    image = chest(ball(24, 38, 62, 10.0))[::4]
    _, objects = find_in_lung(image, (8.0, 2.0, 2.0))
    (doubted,) = [o for o in objects if o.called != PHYSIOLOGICAL]
    assert doubted.called == DOUBT
    assert "slices 8 mm apart" in doubted.reason


def test_a_scan_without_lung_holds_nothing():
    image = chest()
    image[image < -600] = -1000.0  # gas alone
    assert look_at_lung(image, SPACING) is None
    labels, objects = find_in_lung(image, SPACING)
    assert not labels.any()
    assert objects == []
    assert find_in_lung(np.full(SHAPE, np.nan, dtype=np.float32), SPACING)[1] == []


def test_a_crop_within_the_chest_is_a_lung_too():
    image = chest(ball(24, 38, 62, 6.0))[:, 18:62, 52:72]
    _, (found,) = lesions(image)
    assert found.centroid == pytest.approx((24, 20, 10), abs=0.5)


def test_what_was_not_scanned_is_no_lung_and_bits_do_not_depend_on_it_elsewhere():
    whole = chest(ball(24, 38, 62, 6.0))
    holed = whole.copy()
    holed[:, :6] = np.nan
    one, other = (lesions(image)[0] for image in (whole, holed))
    assert np.array_equal(one, other)


TRAIT = LungTrait(
    mean_hu=0.0, thick_mm=10.0, long_mm=12.0, compact=0.9, tissue_share=0.1, cut_fraction=0.0,
    flat_length=None, slice_mm=2.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "called"),
    [
        ({}, LESION),
        ({"long_mm": 30.0}, PHYSIOLOGICAL),
        ({"compact": 0.5}, PHYSIOLOGICAL),
        ({"tissue_share": 0.6}, PHYSIOLOGICAL),
        ({"tissue_share": 0.4}, DOUBT),
        ({"cut_fraction": 0.1}, DOUBT),
        ({"mean_hu": -400.0}, DOUBT),
        ({"flat_length": 1.1}, LESION),
        ({"flat_length": 1.6}, DOUBT),
        ({"slice_mm": 10.0}, DOUBT),
    ],
)
def test_each_trait_speaks_alone(change, called):
    assert call(replace(TRAIT, **change))[0] == called


def test_a_protocol_that_asks_for_it_is_judged_by_the_image_alone():
    rule = rule_for("CT", ("CT",), "lung")
    image = chest(ball(24, 38, 62, 6.0))
    grid = object_grid(Geometry.from_spacing(SHAPE, SPACING), rule.grid_mm(SHAPE, SPACING), False)
    found = [rule.find(np.stack([image, share]), grid) for share in (0 * image, 0 * image + 1)]
    assert not rule.asks_map
    assert not rule.follows_parts
    assert not found[0].keeps_mask
    assert [o.called for o in found[0].objects].count(LESION) == 1
    assert np.array_equal(found[0].labels, found[1].labels)
    assert rule_for("CT", ("CT",)).name == "dense"
