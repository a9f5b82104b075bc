import numpy as np
import pytest
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.kernels.grids.blocks import fill_slice
from somray.kernels.grids.index_map import index_map
from somray.kernels.registration import SpaceOptions, register_volumes
from somray.kernels.registration.space.itk_engine import refine_itk
from somray.kernels.registration.space.motions import (
    corners_of,
    fit_rigid,
    is_believable,
    is_rigid,
    reflected,
)
from somray.kernels.registration.space.prepare import GriddedVolume, prepare_volume
from somray.kernels.registration.space.search import SpaceMotion, SpaceSearch, mirror_images
from tests.kernels.registration import scans
from tests.kernels.registration.known_motion import error_voxels, move_volume, rigid

SPACING = (3.0, 2.0, 2.0)


def body(shape=(28, 56, 64), seed=0, axes_share=(0.3, 0.16, 0.14)):
    """A textured ellipsoid in air."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), (1.5, 2, 2))
    coarse = ndimage.gaussian_filter(rng.normal(size=shape), (4, 6, 6))
    axes = [(np.arange(n) - (n - 1) / 2) / n for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    a, b, c = axes_share
    inside = z**2 / a + y**2 / b + x**2 / c < 1
    tissue = 80 * noise / noise.std() + 80 * coarse / coarse.std()
    sharp = np.where(inside, tissue, -1000).astype(np.float32)
    return ndimage.gaussian_filter(sharp, 0.7)  # no scanner shows edges sharper than its voxels


GRID = Geometry.from_spacing((28, 56, 64), SPACING)
MOTIONS = {
    "turn": ((4, -3, 6), (0.0, 0.0, 0.0)),
    "both": ((-5, 4, 5), (-18.0, 14.0, -24.0)),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_a_known_rigid_motion_is_recovered(motion):
    fixed, matrix = body(), rigid(GRID, *motion)
    moving = move_volume(fixed, GRID, matrix, GRID, noise=20)
    found = register_volumes(fixed, moving, GRID, GRID)
    assert (found.status, found.model) == ("ok", "rigid3d")
    assert error_voxels(found.matrix, matrix, GRID) < 0.2
    assert found.ncc_after > max(found.ncc_before, 0.9)
    assert is_rigid(found.matrix)
    assert np.linalg.det(found.matrix) == pytest.approx(1)


def test_grids_may_differ_in_spacing_axes_and_origin():
    fixed, matrix = body(), rigid(GRID, (3, -4, 5), (8.0, 10.0, -12.0))
    axes = np.array([[-1.6, 0, 0, 150], [0, 0, 3.4, -10], [0, 2.2, 0, -20], [0, 0, 0, 1]])
    other = Geometry.from_matrix((40, 60, 90), axes)
    moving = move_volume(fixed, GRID, matrix, other, noise=20)
    found = register_volumes(fixed, moving, GRID, other)
    assert found.status == "ok"
    assert error_voxels(found.matrix, matrix, GRID) < 0.25


def test_scanner_coordinates_need_not_be_shared_and_the_pictured_slices_show_the_same_place():
    fixed, matrix = body(), rigid(GRID, (0, 0, 0), (0.0, 0.0, 15.0))
    far = Geometry.from_matrix(GRID.shape, GRID.matrix + np.eye(4, k=3) * 900.0)
    found = register_volumes(fixed, move_volume(fixed, GRID, matrix, GRID), GRID, far)
    assert found.matrix[:3, 3] == pytest.approx((-900, 0, -15), abs=0.3)
    assert found.ncc_before is None
    assert found.moving_z - found.fixed_z == 5


def test_blank_and_unrelated_volumes_are_refused():
    fixed = body()
    for moving in (np.zeros_like(fixed), np.full_like(fixed, np.nan)):
        found = register_volumes(fixed, moving, GRID, GRID)
        assert (found.status, found.matrix) == ("refused", None)
        assert "blank" in found.reason
    noise = np.random.default_rng(5).normal(size=fixed.shape).astype(np.float32)
    assert register_volumes(fixed, noise, GRID, GRID).status == "refused"
    other = body(seed=9, axes_share=(0.12, 0.2, 0.06))
    assert register_volumes(fixed, other, GRID, GRID).status == "refused"


def test_missing_data_and_half_the_coverage_are_no_obstacle():
    fixed, matrix = body(), rigid(GRID, (2, 3, -2), (6.0, -4.0, 9.0))
    half = Geometry.from_matrix((17, 56, 64), GRID.matrix)
    moving = move_volume(fixed, GRID, matrix, half, noise=20)
    moving[:, :10] = np.nan
    found = register_volumes(fixed, moving, GRID, half)
    assert found.status == "ok"
    assert error_voxels(found.matrix, matrix, GRID) < 0.3


def test_the_same_volumes_give_the_same_bits():
    grid = Geometry.from_spacing((16, 32, 32), SPACING)
    fixed = body(grid.shape)
    moving = move_volume(fixed, grid, rigid(grid, (2, 3, -2), (6.0, -4.0, 9.0)), grid)
    one, other = (
        register_volumes(fixed, moving, grid, grid, SpaceOptions(seed=1)) for _ in range(2)
    )
    assert one.matrix is not None
    assert np.array_equal(one.matrix, other.matrix)


def test_tiny_volumes_never_raise():
    for shape in ((1, 40, 40), (2, 12, 12), (4, 56, 64)):
        grid = Geometry.from_spacing(shape, SPACING)
        image = body()[: shape[0], : shape[1], : shape[2]]
        found = register_volumes(image, image, grid, grid)
        assert found.status in {"ok", "weak", "refused"}


def test_wrong_arguments_are_errors():
    volume = body()
    with pytest.raises(ShapeError, match="moving"):
        register_volumes(volume, volume[1:], GRID, GRID)
    for wrong in ({"detector": "surf"}, {"model": "elastic"}, {"engine": "elastix"}):
        with pytest.raises(ShapeError, match=next(iter(wrong))):
            SpaceOptions(**wrong)


def test_rigid_fit_recovers_a_motion_from_points():
    points = np.random.default_rng(0).normal(size=(6, 3)) * 30
    matrix = rigid(GRID, (20, -35, 50), (5.0, 6.0, 7.0))
    moved = points @ matrix[:3, :3].T + matrix[:3, 3]
    assert fit_rigid(points, moved) == pytest.approx(matrix, abs=1e-9)


def test_the_mirror_image_of_a_session_is_refused():
    fixed = body()
    symmetric = fixed + 0.25 * (fixed[:, :, ::-1] - fixed)  # left and right look alike
    moving = move_volume(symmetric, GRID, rigid(GRID, (1, 2, -1), (3.0, 2.0, 3.0)), GRID, noise=10)
    assert register_volumes(symmetric, moving, GRID, GRID).status == "ok"
    mirrored = np.ascontiguousarray(moving[:, :, ::-1])
    found = register_volumes(symmetric, mirrored, GRID, GRID)
    assert found.matrix is None
    assert "mirror" in found.reason or found.structure < 0.5


def stretched(share):
    """A rigid motion with each axis stretched by its own share."""
    matrix = rigid(GRID, (2, -2, 3), (6.0, -5.0, 8.0))
    matrix[:3, :3] = matrix[:3, :3] @ np.diag(1 + np.array(share))
    return matrix


def test_an_affine_motion_is_found_where_it_explains_more():
    fixed, matrix = body(), stretched((0.06, -0.05, 0.04))
    moving = move_volume(fixed, GRID, matrix, GRID, noise=20)
    found = register_volumes(fixed, moving, GRID, GRID)
    assert (found.status, found.model) == ("ok", "affine3d")
    assert error_voxels(found.matrix, matrix, GRID) < 0.2


def test_an_affine_motion_may_be_asked_for_and_stays_near_a_rigid_truth():
    fixed, matrix = body(), rigid(GRID, (2, -2, 3), (6.0, -5.0, 8.0))
    moving = move_volume(fixed, GRID, matrix, GRID, noise=20)
    found = register_volumes(fixed, moving, GRID, GRID, SpaceOptions(model="affine"))
    assert (found.status, found.model) == ("ok", "affine3d")
    assert np.linalg.det(found.matrix[:3, :3]) == pytest.approx(1, abs=0.02)
    assert error_voxels(found.matrix, matrix, GRID) < 0.3


@pytest.mark.parametrize("model", ["rigid", "affine"])
def test_simpleitk_finds_the_same_motion(model):
    fixed, matrix = body(), rigid(GRID, (4, -3, 6), (12.0, -9.0, 15.0))
    moving = move_volume(fixed, GRID, matrix, GRID, noise=20)
    options = SpaceOptions(model, engine="simpleitk")
    found = register_volumes(fixed, moving, GRID, GRID, options)
    assert (found.status, found.model) == ("ok", f"{model}3d")
    assert error_voxels(found.matrix, matrix, GRID) < 0.5


def test_simpleitk_repeats_its_bits_and_may_lose_the_volumes():
    small = Geometry.from_spacing((16, 32, 32), SPACING)
    fixed = prepare_volume(GriddedVolume(body((16, 32, 32)), small), (-1000, 300), 2.0)
    moving = prepare_volume(GriddedVolume(body((16, 32, 32)), small), (-1000, 300), 2.0)
    start = rigid(small, (1, -1, 2), (3.0, 2.0, -2.0))
    one, other = (refine_itk(fixed, moving, start, 4) for _ in range(2))
    assert np.array_equal(one, other)
    assert np.abs(one - np.eye(4)).max() < np.abs(start - np.eye(4)).max()
    assert refine_itk(fixed, moving, rigid(small, (0, 0, 0), (9e3, 0.0, 0.0)), 4) is None


def test_a_warped_slice_shows_the_fixed_slice_again():
    fixed, matrix = body(), rigid(GRID, (0, 0, 0), (4.0, -6.0, 6.0))
    moving = move_volume(fixed, GRID, matrix, GRID).astype(np.float32)
    empty = np.full(GRID.shape[1:], np.nan, dtype=np.float32)
    index = index_map(GRID, GRID, matrix)
    slice_ = fill_slice(empty, index, 14, GRID.shape[0], lambda part: moving[part])
    inside = np.isfinite(slice_)
    assert 0.8 < inside.mean() < 1
    assert np.abs(slice_ - fixed[14])[inside].max() < 1e-2


def test_a_real_aorta_is_found_again_after_a_known_motion(real_data):
    volume = scans.aorta(real_data)[::2, ::2, ::2]
    grid = Geometry.from_spacing(volume.shape, (3.0, 3.0, 3.0))
    matrix = rigid(grid, (4, -5, 3), (20.0, -15.0, 30.0))
    moving = move_volume(volume, grid, matrix, grid, noise=30)
    found = register_volumes(volume, moving, grid, grid)
    assert found.status == "ok"
    assert error_voxels(found.matrix, matrix, grid) < 0.2


def test_other_subjects_are_refused(real_data):
    grids = []
    for subject in ("003", "012"):
        volume = scans.sarcoma(real_data, subject)[:, ::2, ::2]
        grids.append((volume, Geometry.from_spacing(volume.shape, (3.27, 1.954, 1.954))))
    (fixed, one), (moving, other) = grids
    assert register_volumes(fixed, moving, one, other).status == "refused"


def test_real_lungs_of_two_sessions_stay_aligned(real_data):
    (fixed, first), (moving, second) = scans.lung(real_data)
    grids = []
    for array, image in ((fixed, first), (moving, second)):
        matrix = np.eye(4)
        direction = np.array(image.GetDirection()).reshape(3, 3)
        matrix[:3, :3] = direction @ np.diag(image.GetSpacing())
        matrix[:3, 3] = image.GetOrigin()
        grids.append(Geometry.from_matrix(array.shape, matrix))
    found = register_volumes(fixed, moving, *grids)
    assert found.status == "ok"
    middle = np.append(grids[0].to_world((np.array([fixed.shape]) - 1) / 2)[0], 1)
    assert np.linalg.norm((found.matrix @ middle - middle)[:3]) < 3.0
    assert found.ncc_after > found.ncc_before - 0.01


def test_the_mirrored_volume_is_what_leads_a_mirrored_pair():
    """What decides, alone: the true motion leads its mirror image, and the mirror image leads it."""
    fixed = body()
    symmetric = fixed + 0.25 * (fixed[:, :, ::-1] - fixed)
    window = (-1000.0, 300.0)
    leads = []
    for moving in (symmetric, np.ascontiguousarray(symmetric[:, :, ::-1])):
        search = SpaceSearch(
            GriddedVolume(symmetric, GRID), GriddedVolume(moving, GRID), window, "somray"
        )
        leads.append(search.lead(SpaceMotion(np.eye(4), 1.0), mirror_images))
    assert leads[0] > 0.2
    assert leads[1] < -0.2


def test_a_motion_is_believed_only_upright_and_near_its_size():
    assert is_believable(rigid(GRID, (40, 10, -90), (500.0, 0.0, 0.0)))
    assert is_believable(np.diag([1.1, 0.9, 1.0, 1.0]))
    assert not is_believable(np.diag([1.3, 1.0, 1.0, 1.0]))
    assert not is_believable(np.diag([-1.0, 1.0, 1.0, 1.0]))


def test_a_reflected_grid_lies_on_itself_the_other_way_round():
    grid = Geometry.from_matrix((4, 5, 6), np.diag([2.0, 3.0, 4.0, 1.0]) + np.eye(4, k=3) * 7)
    for axis in range(3):
        there = reflected(grid, axis)
        assert np.sort(corners_of(there), axis=0) == pytest.approx(np.sort(corners_of(grid), 0))
        assert np.linalg.det(there.matrix) == pytest.approx(-np.linalg.det(grid.matrix))
