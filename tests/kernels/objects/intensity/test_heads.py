"""What is seen of a head: its outline, the space within the skull, its plane of symmetry."""

import numpy as np
import pytest

from somray.kernels.objects.intensity.head import depth_below, look_at, outline
from somray.kernels.objects.intensity.mirror import find_mirror, twins
from tests.kernels.objects.heads_drawn import BRIGHT, DARK, SPACING, away_from, draw_head, mapped


def test_the_outline_of_a_head_is_its_skin():
    image, _ = draw_head()
    body = outline(image, SPACING)
    inside = away_from((0, 0, 0)) < 80
    outside = away_from((0, 0, 0)) > 88
    assert body[inside].all()
    assert not body[outside].any()


def test_depth_is_the_distance_from_the_skin_but_not_from_the_views_end():
    body = np.zeros((10, 40, 40), dtype=bool)
    body[:, 10:30, 10:30] = True
    depth = depth_below(body, (1.0, 1.0, 1.0))
    assert depth[0, 20, 12] == depth[5, 20, 12] == 3.0
    assert depth[0, 5, 5] == 0.0


def test_the_vault_is_the_brain_with_what_it_encloses():
    ball = (0, 20, 30), 12, BRIGHT
    image, (mass,) = draw_head([ball])
    scene = look_at(image, mapped(image), SPACING)
    assert scene.vault is not None
    assert not scene.is_bare
    from_middle = away_from((0, 0, 0))
    assert scene.vault[from_middle < 62].mean() > 0.97
    assert scene.vault[from_middle > 72].mean() < 0.02
    assert scene.vault[mass].all()


def test_a_bare_brain_has_no_vault():
    image, _ = draw_head([((0, 20, 30), 12, BRIGHT)], scalp=False)
    scene = look_at(image, mapped(image), SPACING)
    assert scene.vault is None
    assert scene.is_bare


def test_the_coils_bias_is_taken_out_of_the_field():
    image, _ = draw_head(noise=2.0)
    ramp = np.linspace(0.8, 1.25, image.shape[2], dtype=np.float32)
    scene = look_at(image * ramp, mapped(image), SPACING)
    inner = away_from((0, 0, 0)) < 50
    assert np.ptp(np.log2(ramp)) > 0.6
    left, right = (scene.field[inner & (away_from((0, 0, side)) < 30)] for side in (-35, 35))
    assert abs(np.median(left) - np.median(right)) < 0.3


@pytest.mark.parametrize(("value", "sign"), [(BRIGHT, 1), (DARK, -1)])
def test_the_mask_tells_whether_lesions_are_bright_or_dark(value, sign):
    image, (mass,) = draw_head([((0, 20, 30), 12, value)])
    scene = look_at(image, mass.astype(np.float32), SPACING)
    assert scene.sign == sign
    assert np.median(scene.field[mass]) > 0.8


def test_a_scan_without_a_body_is_no_scene():
    assert look_at(np.full((4, 5, 6), np.nan), np.zeros((4, 5, 6)), SPACING) is None


@pytest.mark.parametrize("turn", [0.0, 7.0, -12.0])
def test_the_plane_of_symmetry_is_found_however_the_head_is_turned(turn):
    z, y, x = (np.indices((40, 70, 70)) * 3.0).astype(float)
    angle = np.deg2rad(turn)
    u = (x - 103) * np.cos(angle) + (y - 100) * np.sin(angle)  # across the head
    v = -(x - 103) * np.sin(angle) + (y - 100) * np.cos(angle)
    body = (u / 65) ** 2 + (v / 85) ** 2 + ((z - 60) / 70) ** 2 < 1
    eyes = (np.hypot(np.abs(u) - 32, v + 50) < 14) & (abs(z - 40) < 15)
    field = np.where(eyes, 1.5, 0.0)
    plane = find_mirror(field, body, (3.0, 3.0, 3.0))
    normal = np.array([0.0, np.sin(angle), np.cos(angle)])
    assert plane is not None
    assert np.degrees(np.arccos(min(np.dot(plane.normal, normal), 1.0))) < 3.0
    assert abs(plane.distance_mm(np.array([[60.0, 100.0, 103.0]]))[0]) < 3.0


def test_what_is_not_symmetric_has_no_plane():
    rng = np.random.default_rng(0)
    body = np.zeros((30, 60, 60), dtype=bool)
    body[:, 5:55, 5:55] = True
    body[:, 20:, 5:30] = False
    field = rng.normal(size=body.shape)
    assert find_mirror(field, body, (3.0, 3.0, 3.0)) is None


def test_twins_are_alike_and_lie_in_mirrored_places():
    image, balls = draw_head(
        [((0, 20, 30), 8, BRIGHT), ((0, 20, -30), 8, BRIGHT), ((25, -20, 30), 8, BRIGHT)]
    )
    scene = look_at(image, mapped(image), SPACING)
    plane = find_mirror(scene.field, scene.body, SPACING)
    labels = sum((n + 1) * own.astype(np.int32) for n, own in enumerate(balls)).astype(np.int32)
    found = twins(labels, np.ones(3), SPACING, plane)
    assert found[0] > 0.9
    assert found[1] > 0.9
    assert found[2] == 0.0
    unlike = twins(labels, np.array([1.0, 9.0, 1.0]), SPACING, plane)
    assert unlike[0] == 0.0


def test_mirroring_twice_changes_nothing():
    image, _ = draw_head()
    scene = look_at(image, mapped(image), SPACING)
    plane = find_mirror(scene.field, scene.body, SPACING)
    points = np.random.default_rng(1).uniform(0, 100, (20, 3))
    assert plane.mirrored(plane.mirrored(points)) == pytest.approx(points)
    assert plane.distance_mm(plane.mirrored(points)) == pytest.approx(-plane.distance_mm(points))
