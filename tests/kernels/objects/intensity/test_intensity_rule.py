"""Heads with masses, twins, vessels, scalp: what the rule calls them, and why."""

import numpy as np
import pytest

from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL
from somray.kernels.objects.intensity.candidates import shape_of
from somray.kernels.objects.intensity.head import look_at
from somray.kernels.objects.intensity.rule import objects_of
from somray.kernels.objects.tree import component_tree
from tests.kernels.objects.heads_drawn import (
    BRAIN,
    BRIGHT,
    DARK,
    SHAPE,
    SPACING,
    away_from,
    called,
    draw_head,
    mapped,
)

MASS = (5, 20, 32), 10, BRIGHT


def find(image, mask=None, oriented=True):
    scene = look_at(image, mapped(image) if mask is None else mask, SPACING)
    if scene is None:
        return np.zeros(image.shape, np.int32), []
    return objects_of(scene, image, oriented)


@pytest.fixture(scope="module")
def one_mass():
    """A head with one mass: its image, the mass, the labels and objects found."""
    image, (mass,) = draw_head([MASS])
    return image, mass, *find(image)


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


def drawn(labels, objects):
    return np.isin(labels, [o.number for o in objects if o.called == LESION])


def test_a_one_sided_mass_within_the_skull_is_the_lesion_and_scalp_is_not(one_mass):
    _, mass, labels, objects = one_mass
    assert dice(drawn(labels, objects), mass) > 0.85
    scalp = (away_from((0, 0, 0)) > 78) & (away_from((0, 0, 0)) < 82)
    assert called(labels, objects, scalp) == PHYSIOLOGICAL
    (name,) = {o.name for o in objects if o.volume_mm3 > 2e5}
    assert name == "scalp"


def test_the_scalp_alone_would_have_been_most_of_what_a_map_marks():
    image, (mass,) = draw_head([MASS])
    assert dice(mapped(image) > 0, mass) < 0.1


def test_a_mass_with_a_cold_core_is_filled():
    image, (mass,) = draw_head([((5, 20, 32), 14, BRIGHT)])
    image[away_from((5, 20, 32)) < 9] = DARK
    labels, objects = find(image)
    assert dice(drawn(labels, objects), mass) > 0.85


def test_a_pair_of_structures_is_normal_and_its_reason_names_the_twin():
    pair = [((0, 20, side), 5, BRIGHT) for side in (-25, 25)]
    image, masks = draw_head(pair)
    labels, objects = find(image)
    for own in masks:
        assert called(labels, objects, own) == PHYSIOLOGICAL
    assert [o.name for o in objects if "twin" in o.reason and o.name] == ["paired_structure"] * 2
    assert not drawn(labels, objects).any()


def test_without_orientation_nothing_has_a_twin():
    pair = [((0, 20, side), 8, BRIGHT) for side in (-25, 25)]
    image, masks = draw_head(pair)
    labels, objects = find(image, oriented=False)
    assert all(o.twin is None and o.midline_mm is None for o in objects)
    assert all(called(labels, objects, own) == LESION for own in masks)


def test_a_structure_on_the_midline_is_normal():
    image, (own,) = draw_head([((0, 20, 0), 7, BRIGHT)])
    labels, objects = find(image)
    assert called(labels, objects, own) == PHYSIOLOGICAL
    assert "midline_structure" in {o.name for o in objects}


def test_a_vessel_is_a_string_and_normal():
    image, _ = draw_head()
    z, y, x = np.indices(SHAPE)
    vessel = (abs(z - 20) <= 0) & (abs(x - 52) <= 1) & (abs(y - 42) <= 14)
    image[vessel] = BRIGHT
    labels, objects = find(image)
    assert called(labels, objects, vessel) == PHYSIOLOGICAL
    assert "vessel_or_dura" in {o.name for o in objects}


def test_what_is_too_small_to_have_a_shape_is_in_doubt():
    image, (own,) = draw_head([((5, 20, 32), 3.6, BRIGHT)])
    labels, objects = find(image)
    assert called(labels, objects, own) == DOUBT


def test_a_bare_brain_keeps_its_lesion():
    image, (mass,) = draw_head([((5, 20, 32), 14, 950.0)], scalp=False)
    labels, objects = find(image)
    assert dice(drawn(labels, objects), mass) > 0.85


def test_a_bare_brain_keeps_a_lesion_at_its_surface():
    image, (mass,) = draw_head([((5, 20, 52), 12, BRIGHT)], scalp=False)
    mass &= away_from((0, 0, 0)) < 67
    image[away_from((0, 0, 0)) >= 67] = 0
    labels, objects = find(image)
    assert called(labels, objects, mass) == LESION


def test_dark_lesions_are_found_where_the_map_says_that_they_are_dark():
    image, (mass,) = draw_head([((5, 20, 32), 12, DARK)])
    labels, objects = find(image, mass.astype(np.float32))
    assert dice(drawn(labels, objects), mass) > 0.8
    (found,) = [o for o in objects if o.called == LESION]
    assert found.contrast_log2 < -0.8


def test_a_head_without_a_lesion_has_none():
    image, _ = draw_head()
    labels, objects = find(image)
    assert not drawn(labels, objects).any()
    assert objects


def test_every_label_has_its_object_in_order_with_a_reason():
    image, _ = draw_head([MASS, ((0, 20, 0), 7, BRIGHT)])
    labels, objects = find(image)
    assert [o.number for o in objects] == list(range(1, labels.max() + 1))
    for o in objects:
        own = labels == o.number
        assert o.volume_mm3 == pytest.approx(own.sum() * np.prod(SPACING))
        assert o.centroid == pytest.approx(np.argwhere(own).mean(axis=0))
        assert o.peak == image[own].max()
        assert o.reason


def test_twice_the_intensity_gives_the_same_objects(one_mass):
    image, _, labels, objects = one_mass
    double, others = find(2 * image, mapped(image))
    assert (labels == double).all()
    assert [o.called for o in objects] == [o.called for o in others]


def test_the_same_scan_gives_the_same_bits(one_mass):
    image, _, labels, _ = one_mass
    assert find(image.copy())[0].tobytes() == labels.tobytes()


def test_slices_that_were_not_scanned_hold_no_object():
    image, (mass,) = draw_head([MASS])
    image[-6:] = np.nan
    labels, objects = find(image, np.where(np.isfinite(image), mapped(image), np.nan))
    assert (labels[-6:] == 0).all()
    assert called(labels, objects, mass) == LESION


def test_a_blank_scan_has_no_objects():
    labels, objects = find(np.full(SHAPE, np.nan, dtype=np.float32), np.zeros(SHAPE))
    assert not labels.any()
    assert objects == []


def test_one_objects_salience_is_that_of_the_tree():
    field = np.where(away_from((5, 20, 32)) < 10, 2.0, 0.0)
    tree = component_tree(field, SPACING, 0.5, 1.0, 0.0)
    assert shape_of(field > 0, field, SPACING).salience == pytest.approx(tree.parts.salience[0])
    assert BRAIN < BRIGHT
