import contextlib

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.masks.label_masks import LabelMask
from somray.stages.reading.truth_mask import TruthOnGrid

LABELS = np.random.default_rng(1).integers(0, 118, (5, 6, 7)).astype(np.uint8)  # z, y, x
AFFINE = np.array([[-2.0, 0, 0, 10], [0, -3.0, 0, 20], [0, 0, 4.0, -30], [0, 0, 0, 1]])  # RAS


def save(path, array, affine=AFFINE):
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array.T), affine), path)
    return str(path)


def test_values_and_grid_are_those_of_the_file(tmp_path):
    with LabelMask(save(tmp_path / "m.nii.gz", LABELS)) as mask:
        np.testing.assert_array_equal(mask.read(0, 5), LABELS)
        np.testing.assert_array_equal(mask.read(1, 3), LABELS[1:3])
        assert mask.read(0, 1).dtype == np.int32
        world = mask.geometry.to_world(np.array([[2.0, 1.0, 3.0]]))[0]
    image = sitk.ReadImage(str(tmp_path / "m.nii.gz"))
    np.testing.assert_allclose(world, image.TransformIndexToPhysicalPoint((3, 1, 2)))
    assert mask.is_placed


def test_nrrd_masks_are_read_as_simpleitk_reads_them(tmp_path):
    image = sitk.GetImageFromArray(LABELS)
    image.SetSpacing((2.0, 3.0, 4.0))
    image.SetOrigin((5.0, 6.0, 7.0))
    sitk.WriteImage(image, str(tmp_path / "m.nrrd"))
    with LabelMask(str(tmp_path / "m.nrrd")) as mask:
        np.testing.assert_array_equal(mask.read(0, 5), LABELS)
        np.testing.assert_allclose(mask.geometry.to_world(np.zeros((1, 3)))[0], (5.0, 6.0, 7.0))


def test_a_file_that_does_not_say_where_it_lies_is_told(tmp_path):
    nib.save(nib.Nifti1Image(LABELS.T, None), tmp_path / "m.nii")
    with LabelMask(str(tmp_path / "m.nii")) as mask:
        assert not mask.is_placed


def test_values_scaled_in_the_header_are_rounded_and_negative_ones_are_none(tmp_path):
    values = np.array([[[-1.0, 0.0001, 2.9999, np.nan]]], dtype=np.float32)
    with LabelMask(save(tmp_path / "m.nii", values)) as mask:
        assert mask.read(0, 1).ravel().tolist() == [0, 0, 3, 0]


@pytest.mark.parametrize("value", [0.5, 2.01, np.inf])
def test_an_image_is_no_label_mask(tmp_path, value):
    values = np.full((1, 2, 2), value, dtype=np.float32)
    with (
        LabelMask(save(tmp_path / "m.nii", values)) as mask,
        pytest.raises(DataError, match=r"\[unreadable\].*no whole numbers"),
    ):
        mask.read(0, 1)


def _grey(seed):
    return np.random.default_rng(seed).normal(0, 300, (2, 40, 50)).round()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (_grey(0), "different negative values, from -"),
        (np.abs(_grey(1)), "different values that change from voxel to voxel"),
        (np.abs(_grey(2)) % 256, "different values that change from voxel to voxel"),
        (_grey(3) % 2 - 1024, "values below 0 alone, from -1024 on, as one saved with a CT's"),
    ],
)
def test_an_image_of_whole_numbers_is_no_label_mask(tmp_path, values, words):
    with (
        LabelMask(save(tmp_path / "m.nii", values.astype(np.int16))) as mask,
        pytest.raises(DataError, match=rf"\[unreadable\] .*{words}.*name the mask"),
    ):
        mask.read(0, 2)


@pytest.mark.parametrize("side", [2, 3])
def test_a_fine_parcellation_and_scattered_numbers_are_labels(tmp_path, side):
    numbers = 1 + np.arange(2 * 40 * 50).reshape(2, 40, 50)
    parcels = numbers.repeat(side, 1).repeat(side, 2)  # thousands of labels, none wider than this
    scattered = np.where(np.random.default_rng(0).random(parcels.shape) < 0.1, parcels, -1)
    for values in (parcels, scattered):
        with LabelMask(save(tmp_path / "m.nii", values.astype(np.int32))) as mask:
            np.testing.assert_array_equal(mask.read(0, 2), np.maximum(values, 0))


def test_labels_that_float32_cannot_hold_are_refused(tmp_path):
    values = np.full((1, 2, 2), 2**24 + 2, dtype=np.int32)
    with (
        LabelMask(save(tmp_path / "m.nii", values)) as mask,
        pytest.raises(DataError, match="above"),
    ):
        mask.read(0, 1)


def test_a_folder_of_masks_numbers_them_by_name_and_the_first_wins(tmp_path):
    kidney, spleen = LABELS % 2 == 0, LABELS % 3 == 0
    save(tmp_path / "spleen.nii.gz", spleen.astype(np.uint8))
    save(tmp_path / "kidney_left.nii.gz", kidney.astype(np.uint8))
    (tmp_path / "statistics.json").write_text("{}")
    save(tmp_path / ".hidden.nii.gz", np.ones_like(LABELS))
    with LabelMask(str(tmp_path)) as mask:
        wanted = np.where(kidney, 1, np.where(spleen, 2, 0))
        np.testing.assert_array_equal(mask.read(0, 5), wanted)
        np.testing.assert_array_equal(mask.read(3, 5), wanted[3:5])
    with contextlib.closing(TruthOnGrid(str(tmp_path), mask.geometry)) as truth:
        np.testing.assert_array_equal(np.concatenate([slab for _, slab in truth.labels()]), wanted)
    save(
        tmp_path / "z_ct.nii.gz",
        np.arange(LABELS.size, dtype=np.int16).reshape(LABELS.shape) - 1000,
    )
    with (
        LabelMask(str(tmp_path)) as mask,
        pytest.raises(DataError, match=r"z_ct\.nii\.gz: .*images do"),
    ):
        mask.read(0, 5)


def test_an_image_pair_in_a_folder_is_one_mask(tmp_path):
    nib.save(nib.Nifti1Pair(LABELS.T, AFFINE), tmp_path / "spleen.img")
    with LabelMask(str(tmp_path)) as mask:
        assert set(np.unique(mask.read(0, 5))) == {0, 1}


def test_masks_of_one_folder_on_several_grids_are_refused(tmp_path):
    save(tmp_path / "a.nii.gz", LABELS)
    nrrd.write(str(tmp_path / "b.nrrd"), LABELS.T)
    with pytest.raises(DataError, match=r"b\.nrrd: lies on another grid than .*a\.nii\.gz"):
        LabelMask(str(tmp_path))


@pytest.mark.parametrize(("part", "is_one"), [(0.01, True), (0.3, False)])
def test_one_grid_is_measured_in_voxels(tmp_path, part, is_one):
    micro = np.diag([1e-4, 1e-4, 1e-4, 1.0]) @ AFFINE
    moved = micro.copy()
    moved[0, 3] += part * 2e-4
    save(tmp_path / "a.nii", LABELS, micro)
    save(tmp_path / "b.nii", LABELS, moved)
    if is_one:
        LabelMask(str(tmp_path)).close()
    else:
        with pytest.raises(DataError, match="lies on another grid"):
            LabelMask(str(tmp_path))


def test_a_mask_without_a_place_takes_the_images_of_its_shape(tmp_path):
    image = Geometry.from_spacing(LABELS.shape, (3.0, 2.0, 1.0))
    nib.save(nib.Nifti1Image(LABELS.T, None), tmp_path / "bare.nii")
    with LabelMask(str(tmp_path / "bare.nii")) as mask:
        assert mask.grid_on(image) == image
        assert mask.grid_on(Geometry.from_spacing((9, 9, 9), (1, 1, 1))) == mask.geometry
    with LabelMask(save(tmp_path / "placed.nii", LABELS)) as mask:
        assert mask.grid_on(image) == mask.geometry


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (-0.8, -0.8, 2.0), (0.8, 0.8, 2.0001)])
@pytest.mark.parametrize("shift", [0.0, 5.0])
def test_a_mask_from_the_origin_on_was_drawn_on_the_image(tmp_path, sizes, shift):
    placed = np.diag([0.8, 0.8, 2.0, 1.0])
    placed[:3, 3] = [-30.0, 12.0, 700.0]
    image = Geometry.from_matrix(LABELS.shape, placed)
    affine = np.diag([*sizes, 1.0])
    affine[2, 3] = shift  # it was told where it lies
    with LabelMask(save(tmp_path / "mask.nii", LABELS, affine)) as mask:
        assert (mask.grid_on(image) == image) is not bool(shift)
