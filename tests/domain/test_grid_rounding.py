"""Whether two grids are the same is judged in voxels, so that micrometres and metres fare alike."""

from contextlib import closing

import nibabel as nib
import numpy as np
import pytest

from somray.domain.geometry import Geometry
from somray.io.masks.label_masks import LabelMask
from somray.kernels.grids.slabs import overlaps
from somray.stages.reading.truth_mask import TruthOnGrid

SHAPE = (6, 8, 10)
SCALES = [1e-6, 6.5e-4, 1.0, 1e3]


def grid(scale, shift=(0.0, 0.0, 0.0), turn=0.0, shape=SHAPE):
    """Make a grid of voxels of about `scale` mm, moved by (x, y, z) voxels and turned in its plane."""
    c, s = np.cos(turn), np.sin(turn)
    axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([1.0, 0.8, 2.0]) * scale
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = axes @ np.array(shift) + 40 * scale
    return Geometry.from_matrix(shape, matrix)


@pytest.mark.parametrize("scale", SCALES)
def test_rounding_agrees_and_a_tenth_of_a_voxel_does_not(scale):
    first = grid(scale)
    assert first.is_same_grid(first)
    assert first.is_same_grid(grid(scale, (0.01, 0, 0)))
    assert first.is_same_grid(grid(scale, turn=1e-3))
    assert not first.is_same_grid(grid(scale, (0.1, 0, 0)))
    assert not first.is_same_grid(grid(scale, (0, 0, 1)))
    assert not first.is_same_grid(grid(scale, turn=0.02))
    assert not first.is_same_grid(grid(1.01 * scale))
    assert not first.is_same_grid(grid(scale, shape=(6, 8, 11)))


@pytest.mark.parametrize("scale", SCALES)
def test_grids_side_by_side_do_not_overlap(scale):
    assert overlaps(grid(scale), grid(scale, (8.9, 0, 0)))
    assert not overlaps(grid(scale), grid(scale, (9.1, 0, 0)))


@pytest.mark.parametrize("scale", [6.5e-4, 1.0, 1e2])
def test_a_truth_that_lies_one_voxel_beside_is_brought_to_its_place(scale, tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:4, 3:5, 4:7] = 1
    own = grid(scale, (1, 0, 0)).matrix
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ own
    nib.save(nib.Nifti1Image(mask.T, to_ras), tmp_path / "truth.nii")
    with closing(TruthOnGrid(str(tmp_path / "truth.nii"), grid(scale))) as held:
        found = np.concatenate([block for _, block in held.labels()])
    np.testing.assert_array_equal(found, np.roll(mask, 1, axis=2))
    with LabelMask(str(tmp_path / "truth.nii")) as opened:
        assert not opened.geometry.is_same_grid(grid(scale))
