"""What is surely normal on CT, and what stays a lesion."""

import numpy as np
import pytest

from somray.kernels.objects.found import LESION, PHYSIOLOGICAL
from somray.kernels.objects.intensity.dense_rule import name_dense_objects
from somray.kernels.objects.map_parts import map_parts

SPACING = (3.0, 3.0, 3.0)
SHAPE = (50, 60, 80)


def scene(*dense):
    """A body of 40 HU with dense parts (masks) of 450 HU."""
    z, y, x = np.ogrid[tuple(slice(n) for n in SHAPE)]
    body = ((y - 28) / 22) ** 2 + ((x - 40) / 34) ** 2 + 0 * z <= 1
    image = np.where(body, 40.0, -1000.0)
    labels = np.zeros(SHAPE, dtype=np.int32)
    for number, mask in enumerate(dense, start=1):
        image[mask], labels[mask] = 450.0, number
    return image.astype(np.float32), labels


def box(z, y, x):
    mask = np.zeros(SHAPE, dtype=bool)
    mask[slice(*z), slice(*y), slice(*x)] = True
    return mask


MASS = box((20, 28), (24, 31), (20, 28))
TABLE = box((0, 50), (56, 58), (20, 60))
COLUMN = np.logical_or.reduce(  # a thin spine with thin ribs
    [
        box((0, 50), (36, 37), (40, 41)),
        *(box((z, z + 1), (36, 37), (28, 53)) for z in range(0, 50, 3)),
    ]
)


def called(*dense):
    return name_dense_objects(*scene(*dense), SPACING, False)


def test_a_compact_mass_inside_the_body_stays_a_lesion():
    (mass,) = called(MASS)
    assert (mass.called, mass.name) == (LESION, None)
    assert mass.volume_mm3 == pytest.approx(MASS.sum() * 27.0)
    assert mass.mean == pytest.approx(450.0)


def test_a_table_and_a_long_ragged_bone_are_normal_beside_it():
    table, bone, mass = called(TABLE, COLUMN, MASS)
    assert (table.called, table.name) == (PHYSIOLOGICAL, "table")
    assert (bone.called, bone.name) == (PHYSIOLOGICAL, "bone_or_vessel")
    assert mass.called == LESION
    assert "outside the body" in table.reason


def test_nothing_marked_gives_nothing():
    assert called() == []


def test_parts_that_hardly_touch_stay_apart_and_no_block_is_lost():
    mask = np.zeros((3, 9, 20), dtype=np.float32)
    mask[1, 2:7, 2:8], mask[1, 2:7, 12:18] = 1.0, 1.0
    mask[1, 4, 8:12] = 0.2  # a bridge of blocks that hold little
    mask[1, 0, 19] = 0.3  # a speck of its own
    parts = map_parts(mask)
    assert parts[1, 4, 4] != parts[1, 4, 14]
    assert np.array_equal(parts > 0, mask > 0)
    assert len(np.unique(parts)) == 5  # none, two parts, the middle of the bridge, the speck
