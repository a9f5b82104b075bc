"""Landmarks of a body and places in its frame."""

import numpy as np
import pytest

from somray.kernels.objects.frame import body_frame, body_mask
from tests.kernels.objects.drawn_body import FORK, MIDDLE, SHOULDER, SPACING, at, solid


def test_shoulders_and_fork_are_found():
    frame = body_frame(solid(), SPACING)
    assert frame.shoulder == SHOULDER
    assert frame.fork == FORK
    assert frame.size == pytest.approx(1.0)


def test_places_run_from_shoulder_to_fork_and_to_the_left():
    frame = body_frame(solid(), SPACING)
    place = frame.place((95.0, 30.0, MIDDLE[1] + 10.0))
    assert place.height == pytest.approx(0.5)
    assert place.left_mm == pytest.approx(50.0, abs=3.0)
    assert place.depth == pytest.approx(0.5, abs=0.05)


def test_a_taller_body_has_the_same_places():
    frame = body_frame(solid(), (6.0, 6.0, 6.0))
    where = at(0.3, 40.0, 0.4)
    place = frame.place(tuple(float(v) for v in where))
    assert place.height == pytest.approx(0.3, abs=0.01)
    assert place.left_mm == pytest.approx(40.0, abs=5.0)


@pytest.mark.parametrize(
    ("part", "landmark", "seen_at"),
    [
        (slice(FORK + 5, None), "shoulder", SHOULDER - FORK - 5),
        (slice(0, SHOULDER - 2), "fork", FORK),
    ],
)
def test_one_landmark_is_enough(part, landmark, seen_at):
    frame = body_frame(solid()[part], SPACING)
    assert getattr(frame, landmark) == seen_at
    assert (frame.shoulder - frame.fork) * SPACING[0] == pytest.approx(650.0)


def test_a_trunk_without_ends_and_a_limb_have_no_frame():
    assert body_frame(solid()[60:120], SPACING) is None
    limb = np.zeros((80, 40, 40), dtype=bool)
    limb[:, 10:30, 10:30] = True
    limb[:30, 10:30, 19:21] = False  # it even forks
    assert body_frame(limb, SPACING) is None
    assert body_frame(np.zeros((5, 5, 5), dtype=bool), SPACING) is None


def test_the_body_is_filled_and_parted_from_a_thin_table():
    body = solid()
    holed = body.copy()
    holed[90:120, 25:35, 40:60] = False  # lungs
    holed[:, 52, :] = True  # a table, one voxel thin
    found = body_mask(holed, SPACING)
    assert found[100, 30, 50]
    assert not found[:, 52, 5].any()
    assert np.count_nonzero(found ^ body) < 0.03 * body.sum()
