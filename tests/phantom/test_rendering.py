"""The phantom's parts against what can be worked out by hand."""

import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.phantom.anatomy.composite import add_detector_errors
from somray.phantom.drawing import canvas as canvas_room
from somray.phantom.drawing import ct_artefacts
from somray.phantom.drawing.canvas import Canvas, Material
from somray.phantom.drawing.ct_artefacts import add_scanner_errors
from somray.phantom.drawing.painter import Painter
from somray.phantom.drawing.shapes import capsule, ellipse, ellipsoid, superellipse
from somray.phantom.drawing.vessels import Rod
from somray.phantom.motion import movements, rotation, slice_jitter
from somray.phantom.subject import make_subject

STILL = np.eye(4)


def canvas(shape=(24, 30, 28), spacing=(2.0, 1.5, 1.5), pose=STILL, shift=None) -> Canvas:
    shift = np.zeros((shape[0], 2)) if shift is None else shift
    return Canvas(Geometry.from_spacing(shape, spacing), pose, shift, Material(0.0))


def points(*rows) -> tuple[np.ndarray, ...]:
    return tuple(np.array(rows, dtype=np.float32).T)


def test_an_ellipsoid_with_equal_axes_is_a_sphere():
    xyz = points((0, 0, 9), (3, 4, 0), (10, 0, 0))
    assert np.allclose(ellipsoid(xyz, (0, 0, 0), (6, 6, 6)), (3, -1, 4), atol=1e-5)


def test_a_point_on_an_ellipsoid_has_no_distance():
    found = ellipsoid(points((5, 0, 1), (1, 2, 1), (1, 0, 10)), (1, 0, 1), (4, 2, 9))
    assert np.allclose(found, 0, atol=1e-5)


def test_the_centre_of_an_ellipsoid_lies_inside():
    assert float(ellipsoid(points((1, 2, 3)), (1, 2, 3), (4, 2, 9))[0]) == -2


def test_cylinders_and_rods_have_their_exact_distances():
    x, y, _ = points((4, 0, 0), (0, 1, 0))
    assert np.allclose(ellipse(x, y, 2, 2), (2, -1), atol=1e-5)
    assert np.allclose(superellipse(x, y, 2.0, 2.0, 2.0), (2, -1), atol=1e-5)
    xyz = points((0, 0, 5), (3, 0, 5), (0, 0, 14), (0, 5, 5))
    assert np.allclose(capsule(xyz, (0, 0, 0), (0, 0, 10), (1, 3)), (-2, 1, 1, 3), atol=1e-5)


def test_a_painted_sphere_has_its_volume_by_partial_filling():
    drawn = canvas()
    center, radius = (19.0, 22.0, 23.0), 9.0
    box = drawn.around(center, (radius, radius, radius))
    drawn.paint(box, ellipsoid(drawn.coordinates(box), center, (radius,) * 3), Material(1.0))
    volume = float(drawn.value.sum()) * drawn.geometry.voxel_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    assert ((drawn.value > 0.05) & (drawn.value < 0.95)).sum() > 100


def test_a_vessel_thinner_than_a_voxel_keeps_its_cross_section():
    drawn = canvas(spacing=(1.5, 1.5, 1.5))
    painter = Painter(drawn, {"blood": Material(1.0)}, {}, (0.0,) * 12)
    painter.rods([Rod((20, 22, -50), (20, 22, 90), (0.4, 0.4))], "blood")
    area = float(drawn.value[12].sum()) * 1.5**2
    assert 0.3 * np.pi * 0.16 < area < 3 * np.pi * 0.16


def test_what_lies_outside_the_grid_paints_nothing():
    drawn = canvas()
    assert drawn.around((500, 0, 0), (5, 5, 5)) is None
    drawn.paint(None, np.zeros(1, dtype=np.float32), Material(9.0))
    assert not drawn.value.any()


def test_a_moved_canvas_shows_the_scene_where_the_pose_puts_it():
    pose = np.eye(4)
    pose[:3, :3] = rotation(np.array([0.0, 0.0, 90.0]))
    pose[:3, 3] = (20, 20, 20)
    drawn = canvas(pose=pose)
    box = drawn.around((6, 0, 0), (4, 4, 4))
    drawn.paint(box, ellipsoid(drawn.coordinates(box), (6, 0, 0), (4, 4, 4)), Material(1.0))
    weights = drawn.value / drawn.value.sum()
    index = np.array([(weights * axis).sum() for axis in np.indices(drawn.value.shape)])
    assert np.allclose(drawn.geometry.to_world(index[None])[0], (20, 26, 20), atol=0.05)


def test_a_shifted_slice_shows_the_scene_shifted():
    shift = np.zeros((24, 2))
    shift[10] = (1.5, -3.0)  # one column, minus two rows
    plain, moved = canvas(), canvas(shift=shift)
    for drawn in (plain, moved):
        box = drawn.around((20, 22, 20), (8, 8, 8))
        distance = ellipsoid(drawn.coordinates(box), (20, 22, 20), (7, 7, 7))
        drawn.paint(box, distance, Material(1.0))
    assert np.allclose(moved.value[10], np.roll(plain.value[10], (-2, 1), (0, 1)), atol=1e-4)
    assert np.array_equal(moved.value[9], plain.value[9])


def test_texture_moves_with_the_scene():
    noise = np.random.default_rng(0).standard_normal((16, 16, 16)).astype(np.float32)
    pose = np.eye(4)
    pose[:3, 3] = (3.0, 0, 4.0)  # two columns, two slices
    still, moved = canvas().sample(noise, (4, 4, 4)), canvas(pose=pose).sample(noise, (4, 4, 4))
    assert np.allclose(moved[2:, :, 2:], still[:-2, :, :-2], atol=1e-4)


def water(bones: bool) -> np.ndarray:
    y, x = np.meshgrid(np.arange(72) - 36, np.arange(72) - 36, indexing="ij")
    image = np.where((x / 30) ** 2 + (y / 20) ** 2 < 1, 0.0, -1000.0)
    if bones:
        for side in (-14, 14):
            image[(x - side) ** 2 + y**2 < 16] = 1200
    return np.repeat(image[None], 3, axis=0).astype(np.float32)


def test_noise_has_the_wished_spread_and_no_offset():
    clean = water(bones=False)
    error = add_scanner_errors(clean.copy(), (5, 4, 4), 11.0, np.random.default_rng(1)) - clean
    body = clean > -300
    assert error[body].std() == pytest.approx(11.0, rel=0.02)
    assert abs(float(error[body].mean())) < 1.0


def test_noise_is_streaky_along_the_thick_direction():
    clean = water(bones=False)
    error = add_scanner_errors(clean.copy(), (5, 4, 4), 11.0, np.random.default_rng(2)) - clean
    middle = error[:, 26:46, 16:56]
    along = np.mean(middle[:, :, :-2] * middle[:, :, 2:])
    across = np.mean(middle[:, :-2, :] * middle[:, 2:, :])
    assert along > across


def test_beam_hardening_darkens_between_two_bones():
    clean = water(bones=True)
    error = add_scanner_errors(clean.copy(), (5, 4, 4), 1e-3, np.random.default_rng(1)) - clean
    between, above = error[:, 35:38, 33:40].mean(), error[:, 22:25, 33:40].mean()
    assert -60 < between < -2
    assert between < above


def test_without_bone_and_noise_the_slice_stays_as_it_is():
    clean = water(bones=False)
    found = add_scanner_errors(clean.copy(), (5, 4, 4), 0.0, np.random.default_rng(1))
    assert np.array_equal(found, clean)


def test_rings_are_round_and_the_same_noise_comes_from_the_same_seed():
    flat = np.full((6, 80, 80), 30000, dtype=np.float32)
    found = add_detector_errors(flat.copy(), np.random.default_rng(3))
    assert np.array_equal(found, add_detector_errors(flat.copy(), np.random.default_rng(3)))
    y, x = np.meshgrid(np.arange(80) - 40, np.arange(80) - 0.47 * 80, indexing="ij")
    radius = np.hypot(y, x).astype(int)
    mean = found.mean(axis=0)
    inner = (radius > 8) & (radius < 36)
    by_ring = np.array([mean[radius == r].mean() for r in range(9, 36)])
    rest = mean[inner] - np.interp(radius[inner], np.arange(9, 36), by_ring)
    assert np.diff(by_ring).std() > 3 * rest.std() / np.sqrt(150)


def test_turns_are_rotations_and_the_first_session_does_not_move():
    center = np.array([10.0, -20.0, 30.0])
    found = movements(np.random.default_rng(0), 4, center, (9.0, 8.0, 6.0))
    assert np.array_equal(found[0], np.eye(4))
    for matrix in found[1:]:
        shift = matrix[:3, :3] @ center + matrix[:3, 3] - center
        assert (np.abs(shift) <= (9, 8, 6)).all()
        assert (np.abs(shift) >= 0.35 * np.array((9, 8, 6)) - 1e-9).all()
        assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3))
    assert np.allclose(rotation(np.array([0, 0, 90.0])) @ (1, 0, 0), (0, 1, 0))


def test_jitter_stays_below_half_a_voxel():
    jitter = slice_jitter(np.random.default_rng(0), 500, 3.0)
    assert np.abs(jitter).max() <= 0.4 * 3.0 + 1e-9
    assert 0.3 < jitter.std() < 0.6


@pytest.mark.parametrize(
    ("modality", "region", "shape"),
    [
        ("ct", "trunk", (36, 32, 32)),
        ("xct", "trunk", (20, 32, 32)),
        ("petct", "body", (36, 32, 32)),
    ],
)
def test_slab_by_slab_a_subject_has_the_same_bits(monkeypatch, modality, region, shape):
    (whole,) = make_subject(modality, shape, 1, 3, 1, region=region)
    monkeypatch.setattr(canvas_room, "SLAB_VOXELS", 1)
    (parted,) = make_subject(modality, shape, 1, 3, 1, region=region)
    assert len(list(canvas_room.slabs(whole.geometries[next(iter(whole.images))]))) > 1
    assert np.array_equal(whole.lesions, parted.lesions)
    for channel, image in whole.images.items():
        assert np.array_equal(image, parted.images[channel])


def test_the_spread_of_many_values_is_found_piece_by_piece(monkeypatch):
    pieces = np.random.default_rng(0).normal(0, 7, (5, 400)).astype(np.float32)
    at_once = ct_artefacts._spread(iter(pieces), pieces.size)
    monkeypatch.setattr(ct_artefacts, "MOST_AT_ONCE", 10)
    assert ct_artefacts._spread(iter(pieces), pieces.size) == pytest.approx(at_once, rel=1e-9)
