"""NIfTI headers that lie or say little: places, units, scaling, kinds; nibabel and analytic values as oracles."""

import gzip
import struct

import nibabel as nib
import numpy as np
import pytest

from tests.io.voxel_files import VALUES, opened, refused

SFORM = np.array([[-0.8, 0, 0, 25], [0, -0.9, 0, 30], [0, 0, 2, -40], [0, 0, 0, 1.0]])
LPS = np.diag([-1.0, -1.0, 1.0, 1.0]) @ SFORM
SIZEOF, DIM, INTENT, TYPE, PIXDIM, OFFSET, SLOPE, UNITS = 0, 40, 68, 70, 76, 108, 112, 123
QFORM_CODE, SFORM_CODE, QUATERN, QOFFSET, SROW = 252, 254, 256, 268, 280


def write(path, *edits, values=VALUES, sform=SFORM, kind=nib.Nifti1Image):
    """Write a file with both forms, then overwrite bytes: (at, format, values…)."""
    image = kind(np.ascontiguousarray(values.T), sform)
    image.set_sform(sform, 1)
    image.set_qform(sform, 1)
    nib.save(image, path)
    raw = bytearray(path.read_bytes())
    for at, form, *given in edits:
        struct.pack_into("<" + form, raw, at, *given)
    path.write_bytes(bytes(raw))
    return path


def test_forms_that_disagree_give_the_sform_and_a_note(tmp_path):
    header, found = opened(write(tmp_path / "a.nii", (QOFFSET, "3f", 60, -15, 12)))
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-6)
    np.testing.assert_array_equal(found[0], VALUES)
    assert header.repairs == ("qform_ignored",)


def test_forms_that_differ_by_rounding_are_no_matter(tmp_path):
    header, _ = opened(write(tmp_path / "a.nii", (QOFFSET, "3f", 25.1, 30, -40)))
    assert header.repairs == ()


@pytest.mark.parametrize("scale", [1e-4, 1.0])
def test_what_disagrees_is_measured_in_voxels(tmp_path, scale):
    sform = np.diag([scale, scale, scale, 1.0]) @ SFORM
    path = write(
        tmp_path / "a.nii", (QOFFSET, "3f", 26 * scale, 30 * scale, -40 * scale), sform=sform
    )
    assert opened(path)[0].repairs == ("qform_ignored",)


@pytest.mark.parametrize(
    "edits",
    [
        [(QUATERN, "3f", 0.0, 0.0, 1.0001)],
        [(PIXDIM, "f", 0.0)],
        [(PIXDIM, "f", 2.0)],
        [(PIXDIM + 4, "2f", -0.8, -0.9)],
    ],
    ids=["long quaternion", "qfac 0", "qfac 2", "negative sizes"],
)
def test_small_faults_of_a_qform_are_mended(tmp_path, edits):
    header, _ = opened(write(tmp_path / "a.nii", (SFORM_CODE, "h", 0), *edits))
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-5)
    is_told = edits[0][0] in (QUATERN, PIXDIM + 4)
    assert header.repairs == (("qform_repaired",) if is_told else ())


@pytest.mark.parametrize(
    "edits",
    [
        [(QUATERN, "3f", 1.0, 1.0, 1.0)],
        [(QUATERN, "3f", np.nan, 0.0, 0.0)],
        [(PIXDIM + 4, "f", 0.0)],
        [(PIXDIM + 4, "f", np.nan)],
        [(PIXDIM + 4, "f", np.inf)],
        [(QOFFSET, "f", np.nan)],
    ],
)
def test_a_broken_qform_is_passed_over_beside_a_sform_and_refused_alone(tmp_path, edits):
    header, _ = opened(write(tmp_path / "both.nii", *edits))
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-6)
    assert header.repairs == ("qform_ignored",)
    error = refused(write(tmp_path / "alone.nii", (SFORM_CODE, "h", 0), *edits))
    assert error.code == "no_space"
    assert "its qform cannot be used" in error.message


@pytest.mark.parametrize("row", [(0.0,) * 12, (np.nan,) * 12, (1.0,) * 12])
def test_a_broken_sform_gives_way_to_the_qform_or_is_refused(tmp_path, row):
    header, _ = opened(write(tmp_path / "both.nii", (SROW, "12f", *row)))
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-5)
    assert header.repairs == ("sform_ignored",)
    error = refused(write(tmp_path / "alone.nii", (SROW, "12f", *row), (QFORM_CODE, "h", 0)))
    assert (error.code, "its sform cannot be used" in error.message) == ("no_space", True)


def test_voxel_sizes_that_contradict_a_lone_sform_are_told(tmp_path):
    header, _ = opened(write(tmp_path / "a.nii", (QFORM_CODE, "h", 0), (PIXDIM + 4, "f", 3.0)))
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-6)
    assert header.repairs == ("pixdim_ignored",)


def test_without_forms_sizes_count_and_place_is_nibabels(tmp_path):
    path = write(tmp_path / "a.nii", (QFORM_CODE, "2h", 0, 0))
    header, _ = opened(path)
    expected = np.diag([-1.0, -1.0, 1.0, 1.0]) @ nib.load(path).affine
    np.testing.assert_allclose(header.geometry.matrix, expected)
    assert header.repairs == ("position_assumed",)
    for sizes in ((0.0, 0.0, 0.0), (0.8, np.nan, 2.0)):
        edits = ((QFORM_CODE, "2h", 0, 0), (PIXDIM + 4, "3f", *sizes))
        assert refused(write(tmp_path / "b.nii", *edits)).code == "no_space"


@pytest.mark.parametrize(
    ("code", "mm", "repairs"),
    [(0, 1.0, ()), (1, 1000.0, ()), (2, 1.0, ()), (3, 0.001, ()), (3 | 56, 0.001, ()), (3 | 8, 0.001, ()),
     (5, 1.0, ("unit_assumed",))],
)  # fmt: skip
def test_the_unit_of_length_counts_whatever_the_unit_of_time(tmp_path, code, mm, repairs):
    header, _ = opened(write(tmp_path / "a.nii", (UNITS, "B", code)))
    np.testing.assert_allclose(header.geometry.matrix[:3], LPS[:3] * mm, rtol=1e-6)
    assert header.repairs == repairs


def test_a_sheared_sform_is_read_exactly_and_told(tmp_path):
    sform = SFORM.copy()
    sform[0, 1] = 0.3
    header, _ = opened(write(tmp_path / "a.nii", (QFORM_CODE, "h", 0), sform=sform))
    np.testing.assert_allclose(header.geometry.matrix, np.diag([-1, -1, 1, 1]) @ sform, atol=1e-6)
    assert "sheared" in header.repairs


def test_a_single_slice_without_thickness_is_told(tmp_path):
    edits = ((SFORM_CODE, "h", 0), (PIXDIM + 12, "f", 0.0))
    header, found = opened(write(tmp_path / "a.nii", *edits, values=VALUES[0]))
    np.testing.assert_array_equal(found[0, 0], VALUES[0])
    assert header.geometry.spacing_mm == pytest.approx((1.0, 0.9, 0.8))
    assert header.repairs == ("thickness_assumed",)


@pytest.mark.parametrize(
    ("slope", "intercept", "expected", "repairs"),
    [
        (0.0, 500.0, (1, 0), ()),
        (np.nan, np.nan, (1, 0), ()),
        (1.0, np.nan, (1, 0), ("scaling_ignored",)),
        (np.inf, 0.0, (1, 0), ("scaling_ignored",)),
        (1.0, -1024.0, (1, -1024), ()),
        (-0.5, 10.0, (-0.5, 10), ()),
        (1e-3, 0.0, (1e-3, 0), ()),
    ],
)
def test_scaling_is_applied_where_it_is_a_number(tmp_path, slope, intercept, expected, repairs):
    header, found = opened(write(tmp_path / "a.nii", (SLOPE, "2f", slope, intercept)))
    np.testing.assert_allclose(found[0], VALUES * expected[0] + expected[1], rtol=1e-6)
    assert header.repairs == repairs


def test_a_slope_with_no_intercept_is_refused(tmp_path):
    error = refused(write(tmp_path / "a.nii", (SLOPE, "2f", 2.0, np.nan)))
    assert (error.code, "scl_inter" in error.message) == ("no_units", True)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_real_type_in_both_byte_orders(tmp_path, kind, order):
    values = np.abs(VALUES // 8).astype(order + kind)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(values.dtype)
    nib.save(nib.Nifti1Image(values.T, SFORM, header), tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(opened(tmp_path / "a.nii.gz")[1][0], values)


@pytest.mark.parametrize(
    ("code", "name"),
    [(32, "complex64"), (128, "RGB"), (1536, "float128"), (1792, "complex128"), (2304, "RGBA"),
     (1, "binary"), (7, "unknown type")],
)  # fmt: skip
def test_other_types_are_refused_by_name(tmp_path, code, name):
    error = refused(write(tmp_path / "a.nii", (TYPE, "h", code)))
    assert error.code == "unreadable"
    assert name in error.message


@pytest.mark.parametrize(
    "shape",
    [
        (5, 6),
        (1, 5, 6),
        (3, 4, 5, 6),
        (3, 1, 5, 6),
        (1, 1, 4, 5, 6),
        (1, 1, 1, 1, 4, 5, 6),
        (4, 5, 1),
    ],
)
def test_singleton_axes_are_dropped_and_time_is_kept(tmp_path, shape):
    values = np.random.default_rng(1).integers(0, 99, shape).astype(np.int16)
    header, found = opened(write(tmp_path / "a.nii.gz", values=values))
    np.testing.assert_array_equal(found.reshape(shape), values)
    assert header.shape == (1, 1, 1, 1, *shape)[-4:]
    assert ("times_of_one_slice" in header.repairs) is (shape == (3, 1, 5, 6))


@pytest.mark.parametrize(
    ("shape", "edits", "word"),
    [
        ((3, 1, 4, 5, 6), [], "vector"),
        ((2, 3, 4, 5, 6), [], "vector"),
        ((3, 4, 5, 6), [(INTENT, "h", 1007)], "vector"),
        ((3, 4, 5, 6), [(INTENT, "h", 1006)], "displacement"),
        ((3, 4, 5, 6), [(INTENT, "h", 2003)], "rgb"),
    ],
)
def test_several_values_per_voxel_are_refused_by_name(tmp_path, shape, edits, word):
    error = refused(write(tmp_path / "a.nii", *edits, values=np.zeros(shape, np.int16)))
    assert (error.code, word in error.message) == ("unreadable", True)


@pytest.mark.parametrize(
    ("edits", "code"),
    [
        ([(DIM, "h", 9)], "unreadable"),
        ([(DIM, "h", 0)], "unreadable"),
        ([(DIM + 2, "h", -6)], "unreadable"),
        ([(DIM + 2, "3h", 32767, 32767, 32767)], "truncated"),
        ([(OFFSET, "f", 340.0)], "unreadable"),
        ([(OFFSET, "f", -4.0)], "unreadable"),
        ([(OFFSET, "f", np.nan)], "unreadable"),
        ([(OFFSET, "f", 1e9)], "truncated"),
        ([(344, "4s", b"abcd")], "unreadable"),
    ],
)
def test_sizes_and_offsets_that_lie_are_refused(tmp_path, edits, code):
    assert refused(write(tmp_path / "a.nii", *edits)).code == code


def test_sizes_are_checked_against_the_packed_file_before_room_is_made(tmp_path):
    write(tmp_path / "a.nii", (DIM + 2, "3h", 32767, 32767, 32767))
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    assert refused(tmp_path / "a.nii.gz").code == "truncated"


@pytest.mark.parametrize(
    "edit", [(OFFSET, "f", 0.0), (SIZEOF, "i", 0), (DIM, "8h", 4, 6, 5, 4, 0, 0, 0, 0)]
)
def test_fields_that_tools_leave_empty_do_no_harm(tmp_path, edit):
    header, found = opened(write(tmp_path / "a.nii", edit))
    np.testing.assert_array_equal(found[0], VALUES)
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-6)


def test_a_damaged_byte_order_mark_is_told_by_the_axes(tmp_path):
    path = write(tmp_path / "a.nii", kind=nib.Nifti2Image)
    raw = bytearray(path.read_bytes())
    raw[0:4] = bytes(4)
    path.write_bytes(raw)
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


def test_values_that_float32_cannot_hold_become_infinite_without_a_warning(tmp_path):
    values = np.full((2, 2, 2), 1e300)
    assert np.isinf(opened(write(tmp_path / "a.nii", values=values))[1]).all()
