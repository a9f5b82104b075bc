import itertools

import nibabel.processing
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.kernels.grids import slabs
from somray.kernels.grids.slabs import nearest_box, nearest_slab, resample_box, resample_slab


def turned(shape, spacing_xyz, degrees, origin, flips=(1, 1, 1)):
    """A grid turned about two axes, some of its axes running backwards."""
    a, b = np.deg2rad(degrees)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag(spacing_xyz) @ np.diag(flips)
    matrix[:3, 3] = origin
    return Geometry.from_matrix(shape, matrix)


SOURCE = turned((9, 11, 13), (2.0, 3.1, 2.6), (12, -7), (-13, -17, -12))
TARGETS = {
    "oblique": turned((12, 17, 15), (1.7, 1.9, 2.1), (-9, 15), (-16, -14, -15)),
    "flipped": turned((12, 17, 15), (1.7, 1.9, 2.1), (5, 3), (14, 12, 15), (-1, -1, -1)),
    "mirrored": turned((12, 17, 15), (1.7, 1.9, 2.1), (0, 0), (16, -14, -15), (-1, 1, 1)),
    "other_axes": turned((14, 12, 10), (2.2, 1.8, 2.0), (90, 90), (-10, -9, -12)),
}
LABELS = np.random.default_rng(0).integers(0, 200_000, SOURCE.shape).astype(np.int32)


def resampled(target, z0=0, z1=None, labels=LABELS, source=SOURCE):
    stop = target.shape[0] if z1 is None else z1
    return nearest_slab(lambda a, b: labels[a:b], source, target, z0, stop)


def slow(target, labels=LABELS, source=SOURCE):
    """Voxel by voxel through the world; also tells which voxels lie well inside a cell."""
    found, is_clear = np.zeros(target.shape, np.int32), np.zeros(target.shape, bool)
    for index in np.ndindex(target.shape):
        world = target.matrix @ [index[2], index[1], index[0], 1.0]
        at = (np.linalg.inv(source.matrix) @ world)[2::-1]
        cell = np.floor(at + 0.5).astype(int)
        is_clear[index] = np.abs(at + 0.5 - np.round(at + 0.5)).min() > 1e-3
        if (cell >= 0).all() and (cell < source.shape).all():
            found[index] = labels[tuple(cell)]
    return found, is_clear


@pytest.mark.parametrize("name", TARGETS)
def test_each_voxel_takes_the_label_of_the_cell_its_centre_lies_in(name):
    wanted, is_clear = slow(TARGETS[name])
    assert is_clear.mean() > 0.9
    assert np.count_nonzero(wanted) > 200
    np.testing.assert_array_equal(resampled(TARGETS[name])[is_clear], wanted[is_clear])


def itk_image(geometry, array=None):
    image = sitk.Image(*geometry.shape[::-1], sitk.sitkInt32)
    if array is not None:
        image = sitk.GetImageFromArray(array)
    columns = geometry.matrix[:3, :3]
    lengths = np.linalg.norm(columns, axis=0)
    image.SetSpacing(lengths.tolist())
    image.SetDirection((columns / lengths).ravel().tolist())
    image.SetOrigin(geometry.matrix[:3, 3].tolist())
    return image


@pytest.mark.parametrize("name", TARGETS)
def test_simpleitk_gives_the_same_labels(name):
    target = TARGETS[name]
    found = sitk.Resample(
        itk_image(SOURCE, LABELS), itk_image(target), sitk.Transform(), sitk.sitkNearestNeighbor, 0
    )
    is_clear = slow(target)[1]
    np.testing.assert_array_equal(
        resampled(target)[is_clear], sitk.GetArrayFromImage(found)[is_clear]
    )


@pytest.mark.parametrize("name", TARGETS)
def test_nibabel_gives_the_same_labels_within_its_outer_centres(name):
    target, to_ras = TARGETS[name], np.diag([-1.0, -1.0, 1.0, 1.0])
    image = nibabel.Nifti1Image(LABELS.T.astype(np.float64), to_ras @ SOURCE.matrix)
    grid = (target.shape[::-1], to_ras @ target.matrix)
    found = np.asarray(nibabel.processing.resample_from_to(image, grid, order=0, cval=-1).dataobj).T
    is_known = slow(target)[1] & (
        found >= 0
    )  # nibabel ends at the outer centres, we at the outer cells
    assert is_known.sum() > 200
    np.testing.assert_array_equal(resampled(target)[is_known], found[is_known])


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("cuts", [(1,), (5, 6), tuple(range(1, 12))])
def test_slabs_cut_anywhere_make_the_whole(name, cuts):
    target = TARGETS[name]
    ends = [0, *[c for c in cuts if c < target.shape[0]], target.shape[0]]
    parts = [resampled(target, a, b) for a, b in itertools.pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(parts), resampled(target))


def test_the_size_of_the_blocks_read_changes_nothing(monkeypatch):
    whole = {name: resampled(target) for name, target in TARGETS.items()}
    monkeypatch.setattr(slabs, "_BLOCK_VOXELS", 2 * 11 * 13)
    for name, target in TARGETS.items():
        np.testing.assert_array_equal(resampled(target), whole[name])


def test_only_the_slices_that_a_slab_needs_are_read():
    source = Geometry.from_spacing((100, 4, 4), (1.0, 1.0, 1.0))
    asked = []

    def read(first, last):
        asked.append((first, last))
        return np.zeros((last - first, 4, 4), np.int32)

    nearest_slab(read, source, Geometry.from_spacing((50, 4, 4), (2.0, 1.0, 1.0)), 10, 12)
    assert asked == [(20, 23)]


def test_a_border_between_two_cells_belongs_to_the_lower_one_in_spite_of_rounded_headers():
    labels = np.arange(1, 5, dtype=np.int32).reshape(1, 1, 4)
    source = Geometry.from_spacing((1, 1, 4), (1.0, 1.0, 1.0))
    for noise in (-1e-7, 0.0, 1e-7):
        matrix = np.eye(4)
        matrix[0, 3] = 0.5 + noise
        target = Geometry.from_matrix((1, 1, 4), matrix)
        assert resampled(target, labels=labels, source=source).ravel().tolist() == [1, 2, 3, 4]


def test_outside_the_source_is_no_label():
    labels = np.full((2, 2, 2), 7, np.int32)
    source = Geometry.from_spacing((2, 2, 2), (1.0, 1.0, 1.0))
    matrix = np.eye(4)
    matrix[:3, 3] = -2.0
    found = resampled(Geometry.from_matrix((6, 6, 6), matrix), labels=labels, source=source)
    assert found.sum() == 8 * 7
    assert (found[2:4, 2:4, 2:4] == 7).all()


def test_boxes_of_a_turned_grid_ask_only_for_what_they_need_and_give_the_slabs_labels():
    labels = np.random.default_rng(0).integers(0, 9, (30, 40, 50)).astype(np.int32)
    source = Geometry.from_spacing(labels.shape, (1.0, 1.0, 1.0))
    turned = np.array([[0.0, 0, 0.9, 2], [0, 1.1, 0, 1], [0.8, 0.1, 0, 3], [0, 0, 0, 1]])
    target = Geometry.from_matrix((28, 30, 24), turned)
    whole = nearest_slab(lambda a, b: labels[a:b], source, target, 0, 28)
    values = labels.astype(np.float32)
    image = resample_slab(lambda a, b: values[a:b], source, target, 0, 28)
    asked = []

    def read(box):
        asked.append(box.voxels)
        return labels[box.box]

    for z, y, x in itertools.product((0, 14), (0, 10, 20), (0, 12)):
        box = Brick(0, z, z + 14, y, y + 10, x, x + 12)
        np.testing.assert_array_equal(nearest_box(read, source, target, box), whole[box.box])
        found = resample_box(lambda b: values[b.box], source, target, box)
        np.testing.assert_allclose(found, image[box.box], rtol=1e-5, atol=1e-5)
    assert max(asked) < labels.size / 4
    assert (whole > 0).mean() > 0.8
