"""What people give in place of a numpy array: lists, integers, image objects, channels that come apart."""

import dask.array
import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
import xarray

import somray
from somray.api.inputs.foreign import read_image
from somray.api.inputs.mask import mask_of
from somray.api.inputs.spacing import spacing_of
from somray.api.inputs.stack import stack_of
from somray.errors import ShapeError

SPACING = (3.0, 0.8, 0.5)  # z, y, x
VOLUME = np.random.default_rng(0).normal(40, 20, (4, 12, 10)).astype("f4")


def nifti(volume=VOLUME, spacing=SPACING, unit="mm", turn=0.3):
    """An image whose axes are turned in space, and flipped along x."""
    c, s = np.cos(turn), np.sin(turn)
    affine = np.eye(4)
    affine[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag(spacing[::-1])
    affine[:, 0] *= -1
    image = nibabel.Nifti1Image(volume.T, affine)
    image.header.set_xyzt_units(unit)
    return image


def itk(volume=VOLUME, spacing=SPACING):
    image = SimpleITK.GetImageFromArray(volume)
    image.SetSpacing(spacing[::-1])
    return image


def labelled(volume=VOLUME, spacing=SPACING, units="mm", dims="zyx"):
    coords = {
        axis: (axis, 7 + step * np.arange(volume.shape[dims.index(axis)]), {"units": units})
        for axis, step in zip("zyx", spacing, strict=True)
        if axis in dims
    }
    return xarray.DataArray(volume, coords, list(dims))


@pytest.mark.parametrize(
    "given",
    [VOLUME.tolist(), torch.tensor(VOLUME, requires_grad=True), dask.array.from_array(VOLUME)],
    ids=["list", "torch", "dask"],
)
def test_arrays_of_any_kind_are_taken_for_their_numbers(given):
    found = stack_of(given, ("CT",))
    np.testing.assert_array_equal(found.images[:, 0], VOLUME)
    assert spacing_of(found.given, None) is None


@pytest.mark.parametrize("make", [nifti, itk, labelled])
def test_an_image_object_is_a_volume_with_its_own_spacing(make):
    found = stack_of(make(), ("CT",))
    np.testing.assert_array_equal(found.images[:, 0], VOLUME)
    assert not found.is_one
    assert spacing_of(found.given, None) == pytest.approx(SPACING)
    assert spacing_of(found.given, (0.8, 0.5004)) == pytest.approx(SPACING)  # rounded by hand
    with pytest.raises(ShapeError, match=r"spacing_mm=\(1.0, 1.0\) contradicts image, whose own"):
        spacing_of(found.given, (1.0, 1.0))


def test_lengths_come_in_the_unit_that_the_object_names():
    assert read_image(nifti(unit="micron")).spacing_mm == pytest.approx((3e-3, 8e-4, 5e-4))
    assert read_image(nifti(unit="unknown")).spacing_mm == pytest.approx(SPACING)
    assert read_image(labelled(units="cm")).spacing_mm == pytest.approx((30.0, 8.0, 5.0))


def test_coordinates_that_tell_no_length_ask_for_one():
    for units, why in (("", "names no unit"), ("parsec", "'parsec', no unit of length")):
        given = read_image(labelled(units=units))
        with pytest.raises(ShapeError, match=why):
            spacing_of(given, None)
        assert spacing_of(given, (1.0, 2.0)) == (1.0, 2.0)
    uneven = labelled().assign_coords(y=("y", np.arange(12.0) ** 2, {"units": "mm"}))
    with pytest.raises(ShapeError, match="coordinate y is not evenly spaced"):
        spacing_of(read_image(uneven), None)
    plain = xarray.DataArray(VOLUME, {"y": np.arange(12)}, ["z", "y", "x"])
    assert spacing_of(read_image(plain), None) is None


def test_a_scan_of_a_run_is_taken_as_it_is_opened():
    both = np.stack([VOLUME, VOLUME + 100])[None]
    scan = xarray.Dataset({"image": (("t", "c", "z", "y", "x"), both)}, {"c": ["PET", "CT"]})
    found = stack_of(scan, ("CT", "PET"))
    np.testing.assert_array_equal(found.images[:, 0], VOLUME + 100)  # by name
    with pytest.raises(ShapeError, match="has channels PET, CT; expected CT, MR"):
        stack_of(scan, ("CT", "MR"))
    with pytest.raises(ShapeError, match=r"has 2 time points: give one, image.isel\(t=0\)"):
        stack_of(xarray.concat([scan.image, scan.image], "t"), ("CT", "PET"))
    with pytest.raises(ShapeError, match=r"Dataset of som: give one of them"):
        stack_of(scan.rename(image="som"), ("CT",))


def test_axes_with_names_are_put_in_order_and_unknown_ones_refused():
    turned = labelled().transpose("x", "z", "y")
    np.testing.assert_array_equal(stack_of(turned, ("CT",)).images[:, 0], VOLUME)
    with pytest.raises(ShapeError, match="rename the others"):
        stack_of(labelled().rename(z="depth"), ("CT",))
    nameless = xarray.DataArray(VOLUME)
    np.testing.assert_array_equal(stack_of(nameless, ("CT",)).images[:, 0], VOLUME)


@pytest.mark.parametrize(
    "given",
    [{"PET": itk(VOLUME + 1), "CT": itk()}, [itk(), itk(VOLUME + 1)], [nifti(), nifti(VOLUME + 1)],
     {"CT": VOLUME, "PET": VOLUME + 1}, [labelled(), labelled(VOLUME + 1)]],
)  # fmt: skip
def test_channels_may_come_apart(given):
    found = stack_of(given, ("CT", "PET"))
    assert found.images.shape == (4, 2, 12, 10)
    np.testing.assert_array_equal(found.images[:, 1], VOLUME + 1)


def test_channels_that_do_not_lie_on_one_grid_are_refused():
    moved = itk()
    moved.SetOrigin((5.0, 0.0, 0.0))
    for pet in (moved, itk(VOLUME[:2]), itk(spacing=(1.0, 1.0, 1.0))):
        with pytest.raises(ShapeError, match=r"do not lie on one grid; resample .* SimpleITK"):
            stack_of({"CT": itk(), "PET": pet}, ("CT", "PET"))
    with pytest.raises(ShapeError, match="names channels CT; expected CT, PET"):
        stack_of({"CT": VOLUME}, ("CT", "PET"))
    with pytest.raises(ShapeError, match="one image object for each channel, CT, PET"):
        stack_of([itk(), VOLUME], ("CT", "PET"))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((4, 12, 10), r"Give every channel: \{'CT'"), ((12, 10), r"Give every channel"),
     ((2, 5, 12, 10), r"numpy.moveaxis\(image, 0, 1\)"), ((12, 10, 2), r"numpy.moveaxis\(image, -1"),
     ((0, 2, 3, 3), "image is empty")],
)  # fmt: skip
def test_two_channels_in_another_shape_are_told_what_to_type(shape, hint):
    with pytest.raises(ShapeError, match=hint):
        stack_of(np.zeros(shape), ("CT", "PET"))


def test_a_volume_of_two_slices_is_never_taken_for_two_channels():
    with pytest.raises(ShapeError, match=r"got shape \(2, 12, 10\) \(z, y, x\)"):
        stack_of(itk(VOLUME[:2]), ("CT", "PET"))


def test_masked_values_are_no_data_and_values_beyond_float32_infinite():
    masked = np.ma.masked_greater(VOLUME[0], 40)
    np.testing.assert_array_equal(np.isnan(read_image(masked).values), VOLUME[0] > 40)
    assert np.isinf(stack_of(np.full((3, 3), 1e300), ("CT",)).images).all()


class Torchio:
    affine, spacing = np.eye(4), (1, 1, 1)

    def __array__(self, dtype=None, copy=None):
        return VOLUME


@pytest.mark.parametrize(
    ("given", "why"),
    [("scan.nii.gz", "is a path"), (Torchio(), "geometry that somray does not read"),
     (None, "got NoneType"), ([[1, 2], [3]], "same length"), (VOLUME * 1j, "numpy.abs"),
     (np.array([["a"]]), "array of numbers"),
     (nibabel.Nifti1Image(np.zeros((3, 3, 3, 2)), np.eye(4)), "image.slicer"),
     (SimpleITK.Image((3, 3), SimpleITK.sitkVectorFloat32, 2), "one channel")],
)  # fmt: skip
def test_what_is_no_image_says_what_to_do(given, why):
    with pytest.raises(ShapeError, match=why):
        read_image(given)


def test_results_lie_on_what_was_given():
    teacher = somray.Teacher((2, 2), "CT").fit(itk())
    plain = teacher.predict(VOLUME, SPACING)
    for given in (itk(), nifti()):
        found = teacher.predict(given)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, plain)
    found = teacher.predict(labelled())
    np.testing.assert_array_equal(found.values, plain)
    assert found.dims == ("z", "y", "x")
    assert found.coords.equals(labelled().coords)
    assert found.attrs["flag_meanings"].split()[:3] == ["no_data", "background", "normal"]
    one = teacher.predict(labelled().isel(z=1))
    assert one.dims == ("y", "x")
    assert float(one.z) == float(labelled().z[1])
    assert (one.values == teacher.predict(VOLUME[1], SPACING)).all()
    assert teacher.predict(labelled().isel(z=[1])).shape == (1, 12, 10)


def test_features_and_lesions_keep_coordinates_too():
    stack = somray.features(labelled().isel(z=0))
    assert stack.dims == ("feature", "y", "x")
    assert list(stack.feature.values) == list(somray.FEATURES)
    assert (stack.values == somray.features(VOLUME[0], spacing_mm=SPACING[1:])).all()
    assert (somray.features(nifti(VOLUME[:1])) == stack.values).all()  # a volume of one slice
    parts = somray.lesions(labelled() > 60)
    assert parts.dims == ("z", "y", "x")
    assert (parts.values == somray.lesions(VOLUME > 60, SPACING)).all()
    assert (somray.lesions(itk((VOLUME > 60).astype("u1"))) == parts.values).all()


@pytest.mark.parametrize("kind", ["bool", "u1", "i2", "i8", "u4", "f4"])
def test_a_mask_is_bool_or_one_number_beside_zero(kind):
    inside = VOLUME > 50
    top = 1 if kind == "bool" else 3
    np.testing.assert_array_equal(mask_of((inside * top).astype(kind), "mask")[0], inside)


@pytest.mark.parametrize(
    ("mask", "why"),
    [((VOLUME > 50) + (VOLUME > 60) * 1, "several labels in mask: 1, 2; say which"),
     (VOLUME, "not whole, so this is no mask"), (np.full((2, 2), np.nan), "NaN in mask")],
)  # fmt: skip
def test_what_is_no_mask_is_refused(mask, why):
    with pytest.raises(ShapeError, match=why):
        mask_of(mask, "mask")
