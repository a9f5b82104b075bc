"""Objects as a map draws them."""

import numpy as np
import pytest

from somray.kernels.objects.found import LESION
from somray.kernels.objects.map_parts import MOST_TOLD, find_map_parts

SPACING = (2.0, 1.0, 1.0)


def test_each_connected_part_is_an_object_with_its_share_as_volume():
    mask = np.zeros((6, 10, 10), dtype=np.float32)
    mask[1:3, 1:4, 1:4] = 1.0
    mask[2, 1, 1] = 0.5
    mask[4, 7:9, 7] = 1.0
    image = np.arange(600, dtype=np.float32).reshape(mask.shape)
    labels, objects = find_map_parts(image, mask, SPACING)
    assert [o.number for o in objects] == [1, 2]
    assert {o.called for o in objects} == {LESION}
    assert objects[0].volume_mm3 == pytest.approx(17.5 * 2.0)
    assert objects[1].centroid == pytest.approx((4.0, 7.5, 7.0))
    assert objects[1].peak == image[4, 8, 7]
    assert objects[0].sphericity == pytest.approx(
        np.cbrt(36 * np.pi * 36.0**2) / ((2 * 9 + 4 * 12) / 1.5)
    )
    assert np.array_equal(labels > 0, mask > 0)


def test_every_block_with_any_target_is_drawn_however_many_parts_there_are():
    mask = np.zeros((3, 120, 120), dtype=np.float32)
    mask[1, ::3, ::3] = 1.0
    mask[1, 0, 0:2] = 1.0
    labels, objects = find_map_parts(np.zeros_like(mask), mask, SPACING)
    assert len(objects) == MOST_TOLD
    assert np.array_equal(labels > 0, mask > 0)
    largest = max(objects[:-1], key=lambda o: o.volume_mm3)
    assert labels[1, 0, 0] == largest.number
    assert sum(o.volume_mm3 for o in objects) == pytest.approx(mask.sum() * 2.0)


def test_an_empty_map_has_no_objects():
    empty = np.zeros((2, 3, 4), dtype=np.float32)
    labels, objects = find_map_parts(empty, empty, SPACING)
    assert objects == []
    assert not labels.any()
