"""Truth masks on grids of their own, unplaced, in floats, in stacks: each by its own header the same lesion."""

from contextlib import closing

import nibabel as nib
import numpy as np
import pytest
import tifffile

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.stages.reading.truth_mask import TruthOnGrid
from somray.stages.truth import TruthItem, TruthMethod, run
from tests.stages.stored import store

SHAPE = (6, 20, 24)
SOM = TruthMethod("som", "som", (3,))
LPS = np.diag([0.8, 0.8, 2.0, 1.0])  # the stored scan's
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture
def lesion():
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:4, 6:11, 7:12] = 1
    mask[3, 11, 7] = 1  # no symmetry
    return mask


def scored(tmp_path, lesion, mask, affine=None):
    """Compare a mask file with a scan whose classes are the lesion itself."""
    place = store(tmp_path / "run", np.zeros(SHAPE, np.float32), labels={"som": 3 * lesion})
    own = None if affine is None else TO_RAS @ affine
    nib.save(nib.Nifti1Image(np.ascontiguousarray(mask.T), own), tmp_path / "truth.nii.gz")
    return run(TruthItem(place, str(tmp_path / "truth.nii.gz"), (SOM,))).rows["truth"]


def shifted(lesion):
    moved = np.zeros_like(lesion)
    moved[:-1, :-5, :-3] = lesion[1:, 5:, 3:]
    matrix = LPS.copy()
    matrix[:3, 3] = LPS[:3] @ [3, 5, 1, 1]
    return moved, matrix


def flipped(lesion):
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    flip[:2, 3] = SHAPE[2] - 1, SHAPE[1] - 1
    return lesion[:, ::-1, ::-1], LPS @ flip


def turned(lesion):
    """Store z fastest: other axes, same places."""
    matrix = LPS[:, [2, 0, 1, 3]]
    return lesion.transpose(1, 2, 0), matrix


@pytest.mark.parametrize("move", [shifted, flipped, turned])
def test_a_mask_lies_where_its_own_header_says(tmp_path, lesion, move):
    for row in scored(tmp_path, lesion, *move(lesion)):
        assert (row.dice, row.hd95_mm) == (1.0, 0.0)


def test_a_shift_by_whole_voxels_is_seen_at_the_micrometre_scale(lesion, tmp_path):
    micro = np.diag([5e-4, 5e-4, 5e-4, 1.0])
    grid = Geometry.from_matrix(SHAPE, micro @ LPS)
    for move in (shifted, flipped):
        mask, matrix = move(lesion)
        image = nib.Nifti1Image(np.ascontiguousarray(mask.T), TO_RAS @ micro @ matrix)
        nib.save(image, tmp_path / "truth.nii")
        with closing(TruthOnGrid(str(tmp_path / "truth.nii"), grid)) as held:
            np.testing.assert_array_equal(np.concatenate([b for _, b in held.labels()]), lesion)


def test_a_mask_without_a_place_was_drawn_on_the_scan(tmp_path, lesion):
    assert {row.dice for row in scored(tmp_path, lesion, lesion)} == {1.0}


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1)])
def test_a_mask_on_the_grid_of_a_bare_array_was_drawn_on_the_scan(tmp_path, lesion, signs):
    """Identity, as RAS or as LPS: what libraries write for an array that has no place."""
    rows = scored(tmp_path, lesion, lesion, np.diag([*signs, 1.0]))
    assert {row.dice for row in rows} == {1.0}


def test_a_mask_without_sizes_of_another_shape_is_refused(tmp_path, lesion):
    tifffile.imwrite(tmp_path / "a.tif", lesion[:, ::2, ::2], photometric="minisblack")
    with pytest.raises(DataError, match=r"\[channel_mismatch\].* 6 × 10 × 12 .* 6 × 20 × 24"):
        TruthOnGrid(str(tmp_path / "a.tif"), Geometry.from_matrix(SHAPE, LPS))


def test_negative_values_are_no_label(tmp_path, lesion):
    rows = scored(tmp_path, lesion, 2 * lesion.astype(np.int16) - 1, LPS)
    assert {(row.label, row.dice) for row in rows} == {(0, 1.0), (1, 1.0)}


def test_a_mask_with_only_a_qform_is_placed_by_it(tmp_path, lesion):
    mask, matrix = shifted(lesion)
    place = store(tmp_path / "run", np.zeros(SHAPE, np.float32), labels={"som": 3 * lesion})
    image = nib.Nifti1Image(np.ascontiguousarray(mask.T), None)
    image.set_qform(TO_RAS @ matrix, 1)
    nib.save(image, tmp_path / "truth.nii")
    rows = run(TruthItem(place, str(tmp_path / "truth.nii"), (SOM,))).rows["truth"]
    assert {row.dice for row in rows} == {1.0}


def test_noise_round_labels_and_a_probability_are_rounded(tmp_path, lesion):
    noise = np.random.default_rng(0).normal(0, 0.02, SHAPE)
    probability = np.where(lesion, 0.7, 0.3)
    for mask in (7.0 * lesion + noise, probability):
        rows = scored(tmp_path, lesion, mask.astype(np.float32), LPS)
        assert {row.dice for row in rows} == {1.0}


@pytest.mark.parametrize("values", [40.5, 1e9, np.inf])
def test_what_is_no_mask_is_refused(tmp_path, lesion, values):
    with pytest.raises(DataError, match=r"\[unreadable\] truth .*(no whole numbers|labels above)"):
        scored(tmp_path, lesion, np.where(lesion, values, 0).astype(np.float32), LPS)


def test_a_stack_of_masks_beside_one_volume_is_refused(tmp_path, lesion):
    with pytest.raises(DataError, match=r"\[channel_mismatch\].*holds 2 volumes"):
        scored(tmp_path, lesion, np.stack([lesion, 1 - lesion]), LPS)


@pytest.mark.parametrize("low", [-1024, 0])
def test_an_image_in_place_of_its_mask_is_refused(tmp_path, lesion, low):
    image = np.random.default_rng(0).normal(100, 300, (6, 40, 48)).clip(low, 3071)
    with pytest.raises(
        DataError, match=r"\[unreadable\] truth .*as images do; name its label mask"
    ):
        scored(tmp_path, lesion, image.astype(np.int16), LPS)
