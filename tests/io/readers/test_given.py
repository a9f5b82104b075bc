"""A voxel size that a person gives is taken where the file names none, and only there."""

import nibabel as nib
import numpy as np
import pytest
import tifffile

from somray.io.readers import open_source
from tests.io.dicom_files import make_slice, save

VALUES = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
GIVEN = (0.5, 0.25, 0.125)


def header(path):
    with open_source(path, spacing_mm=GIVEN) as source:
        np.testing.assert_array_equal(source.read(0, 0, 3), VALUES)
        return source.header.geometry.spacing_mm, source.header.repairs


def test_a_given_size_stands_in_for_one_that_nobody_named(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", VALUES, photometric="minisblack")
    assert header(tmp_path / "a.tif") == (GIVEN, ("spacing_given",))


def test_of_a_file_that_names_pixels_alone_the_distance_of_slices_is_given(tmp_path):
    told = {"axes": "TYX", "unit": "mm"}
    tifffile.imwrite(tmp_path / "a.tif", VALUES, imagej=True, resolution=(0.5, 0.25), metadata=told)
    found, repairs = header(tmp_path / "a.tif")
    assert found == pytest.approx((0.5, 4.0, 2.0))
    assert repairs == ("spacing_given", "frames_as_slices")


def test_a_size_that_the_file_names_is_kept(tmp_path):
    nib.save(nib.Nifti1Image(VALUES.T, np.diag([-2.0, -2.0, 3.0, 1.0])), tmp_path / "a.nii.gz")
    assert header(tmp_path / "a.nii.gz") == (pytest.approx((3.0, 2.0, 2.0)), ())


def test_a_single_slice_whose_thickness_nobody_named_is_as_thick_as_is_given(tmp_path):
    save(tmp_path / "a", [make_slice((0, 0, 0), SliceThickness=None)])
    with open_source(tmp_path / "a", spacing_mm=GIVEN) as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.5, 1.5, 0.75))
        assert source.header.repairs == ("spacing_given",)
