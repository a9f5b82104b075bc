"""MetaImage headers: text data, names of data files, compression, units; SimpleITK as oracle where it reads them."""

import gzip
import zlib

import numpy as np
import pytest
import SimpleITK

from tests.io.voxel_files import VALUES, opened, refused

RAW = VALUES.astype("<i2").tobytes()
TEXT = " ".join(str(n) for n in VALUES.ravel()).encode()
HEAD = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False", "TransformMatrix": "0.8660254 0.5 0 -0.5 0.8660254 0 0 0 1",
    "Offset": "-35.995 2 6.95279e-310", "CenterOfRotation": "0 0 0", "ElementSpacing": "0.8 0.9 2", "DimSize": "6 5 4",
    "AnatomicalOrientation": "????", "ElementType": "MET_SHORT",
}  # fmt: skip
LPS = np.eye(4)
LPS[:3, :3] = np.array([[0.8660254, -0.5, 0], [0.5, 0.8660254, 0], [0, 0, 1]]) * [0.8, 0.9, 2]
LPS[:3, 3] = (-35.995, 2, 0)


def write(path, data=RAW, place="LOCAL", form="{} = {}", end="\n", **fields):
    """Write a file; a field set to None is left out."""
    head = {key: value for key, value in (HEAD | fields).items() if value is not None}
    lines = [form.format(key, value) for key, value in (head | {"ElementDataFile": place}).items()]
    path.write_bytes((end.join(lines) + end).encode() + data)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("form", ["{} = {}", "{}={}", "{}\t=\t{}", "{}: {}"])
def test_headers_are_read_as_simpleitk_reads_them(tmp_path, form, end):
    path = write(tmp_path / "a.mha", form=form, end=end)
    header, found = opened(path)
    image = SimpleITK.ReadImage(str(path))
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(header.geometry.matrix, matrix, atol=1e-12)
    np.testing.assert_allclose(header.geometry.matrix, LPS, atol=1e-12)
    np.testing.assert_array_equal(found[0], SimpleITK.GetArrayFromImage(image))
    assert header.repairs == ()


def test_fields_in_another_case_comments_and_no_dimension_count(tmp_path):
    path = write(tmp_path / "a.mha", NDims=None)
    head, _, _ = path.read_bytes().partition(b"ElementDataFile")
    path.write_bytes(b"# a comment\n\n" + head.lower().replace(b"met_short", b"MET_SHORT")
                     + b"Comment = Roe = Jane\nelementdatafile = LOCAL\n" + RAW)  # fmt: skip
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


@pytest.mark.parametrize(
    "data",
    [
        TEXT,
        TEXT.replace(b" ", b"\n") + b"\n",
        TEXT.replace(b" ", b" \r\n\t"),
        TEXT.replace(b" ", b","),
    ],
)
@pytest.mark.parametrize("detached", [False, True])
def test_text_data_are_numbers(tmp_path, data, detached):
    place = "LOCAL"
    if detached:
        (tmp_path / "numbers.txt").write_bytes(data)
        data, place = b"", "numbers.txt"
    path = write(tmp_path / "a.mhd", data, place, BinaryData="False")
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


def test_text_data_of_fractions_and_of_many_pieces(tmp_path):
    values = np.random.default_rng(1).normal(size=(3, 80, 90)).astype(np.float32)
    data = "\n".join(repr(float(v)) for v in values.ravel()).encode()
    fields = {"BinaryData": "False", "ElementType": "MET_FLOAT", "DimSize": "90 80 3"}
    np.testing.assert_array_equal(opened(write(tmp_path / "a.mha", data, **fields))[1][0], values)


@pytest.mark.parametrize(
    ("data", "code"),
    [(TEXT[:-9], "truncated"), (TEXT.replace(b" ", b" Roe ", 1), "unreadable"), (b"99999 " + TEXT, "unreadable"),
     (b"9" * 2000, "unreadable")],
)  # fmt: skip
def test_text_data_that_are_damaged_are_refused_without_quoting_them(tmp_path, data, code):
    error = refused(write(tmp_path / "a.mha", data, BinaryData="False"))
    assert (error.code, "Roe" in error.message) == (code, False)


@pytest.mark.parametrize(
    "name",
    ["plain name.raw", "77% phase.raw", "5 DS 0.75 BestDiast 77 %.raw", "dose 50% part 2.raw", "5% d 1 4.raw",
     "größe.raw", "sub/in a folder %d.raw"],
)  # fmt: skip
def test_a_data_file_may_have_any_name(tmp_path, name):
    (tmp_path / "sub").mkdir()
    (tmp_path / name).write_bytes(RAW)
    for place in (name, f"./{name}", str(tmp_path / name), name.replace("/", "\\")):
        np.testing.assert_array_equal(opened(write(tmp_path / "a.mhd", b"", place))[1][0], VALUES)


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("s%03d.raw 1 4 1", [f"s{n:03d}.raw" for n in (1, 2, 3, 4)]),
        ("s%d.raw 7 10", [f"s{n}.raw" for n in (7, 8, 9, 10)]),
        ("50% s%02d.raw 0 6 2", [f"50% s{n:02d}.raw" for n in (0, 2, 4, 6)]),
        ("LIST\nb.raw\na.raw\nd e.raw\nc.raw", ["b.raw", "a.raw", "d e.raw", "c.raw"]),
        ("LIST 2\nb.raw\na.raw\nd.raw\nc.raw", ["b.raw", "a.raw", "d.raw", "c.raw"]),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_slices_in_files_of_their_own(tmp_path, place, names, compressed):
    for name, plane in zip(names, VALUES, strict=True):
        data = plane.astype("<i2").tobytes()
        (tmp_path / name).write_bytes(zlib.compress(data) if compressed else data)
    path = write(tmp_path / "a.mhd", b"", place, CompressedData=str(compressed))
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


@pytest.mark.parametrize(
    ("place", "code"),
    [("none.raw", "missing"), ("C:\\Roe\\x.raw", "missing"), ("s%03d.raw 0 999999999", "unreadable"),
     ("LIST\n", "unreadable"),
     ("s%s.raw 0 3 1", "missing"), ("", "unreadable")],
)  # fmt: skip
def test_data_files_that_are_not_there_are_refused(tmp_path, place, code):
    error = refused(write(tmp_path / "a.mhd", b"", place))
    assert (error.code, "Roe" in error.message) == (code, False)


@pytest.mark.parametrize("size", [None, "true", "17"])
@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_compressed_data_are_read_whatever_size_the_header_gives(tmp_path, size, pack):
    data = pack(RAW)
    given = str(len(data)) if size == "true" else size
    path = write(tmp_path / "a.mha", data, CompressedData="True", CompressedDataSize=given)
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)
    cut = write(tmp_path / "b.mha", data[:-9], CompressedData="True", CompressedDataSize=given)
    assert refused(cut).code == "truncated"


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("MET_CHAR", "i1"), ("MET_UCHAR", "u1"), ("MET_USHORT", "<u2"), ("MET_INT", "<i4"), ("MET_UINT", "<u4"),
     ("MET_LONG", "<i4"), ("MET_ULONG", "<u4"), ("MET_LONG_LONG", "<i8"), ("MET_ULONG_LONG", "<u8"),
     ("MET_FLOAT", "<f4"), ("MET_DOUBLE", "<f8"), ("MET_SHORT_ARRAY", "<i2")],
)  # fmt: skip
def test_types_have_metaios_sizes(tmp_path, kind, dtype):
    values = np.abs(VALUES) % 100
    path = write(tmp_path / "a.mha", values.astype(dtype).tobytes(), ElementType=kind)
    np.testing.assert_array_equal(opened(path)[1][0], values)
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    np.testing.assert_array_equal(read.reshape(values.shape), values)


@pytest.mark.parametrize(
    "fields",
    [
        {"BinaryDataByteOrderMSB": "True"},
        {"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "True"},
    ],
)
def test_big_endian_by_either_name(tmp_path, fields):
    path = write(tmp_path / "a.mha", VALUES.astype(">i2").tobytes(), **fields)
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


def test_units_and_the_function_to_intensity_are_honoured(tmp_path):
    fields = {
        "DistanceUnits": "um",
        "ElementToIntensityFunctionSlope": "2",
        "ElementToIntensityFunctionOffset": "-5",
    }
    header, found = opened(write(tmp_path / "a.mha", **fields))
    np.testing.assert_allclose(header.geometry.matrix[:3], LPS[:3] * 1e-3, atol=1e-15)
    np.testing.assert_array_equal(found[0], VALUES * 2 - 5)
    assert refused(write(tmp_path / "b.mha", DistanceUnits="s")).code == "no_space"


def test_bytes_before_the_data_are_skipped(tmp_path):
    (tmp_path / "a.raw").write_bytes(b"12345" + RAW)
    for skip in ("5", "-1"):
        np.testing.assert_array_equal(
            opened(write(tmp_path / "a.mhd", b"", "a.raw", HeaderSize=skip))[1][0], VALUES
        )
    local = write(tmp_path / "a.mha", b"12345" + RAW, HeaderSize="-1")
    np.testing.assert_array_equal(opened(local)[1][0], VALUES)
    assert "HeaderSize" in refused(write(tmp_path / "b.mha", HeaderSize="5")).message


@pytest.mark.parametrize(
    ("fields", "repairs"),
    [
        ({"ElementSpacing": None}, ("spacing_assumed",)),
        ({"ElementSpacing": None, "ElementSize": "0.8 0.9 2"}, ()),
        ({"Offset": None}, ("position_assumed",)),
        ({"TransformMatrix": None}, ("position_assumed",)),
        ({"Offset": None, "Position": "1 2 3"}, ()),
    ],
)
def test_what_the_header_leaves_out_is_told(tmp_path, fields, repairs):
    assert opened(write(tmp_path / "a.mha", **fields))[0].repairs == repairs


def test_compressed_data_that_the_header_calls_plain_are_called_so(tmp_path):
    (tmp_path / "a.raw.gz").write_bytes(gzip.compress(bytes(len(RAW))))
    error = refused(write(tmp_path / "a.mhd", b"", place="a.raw.gz"))
    assert (error.code, "is compressed" in error.message) == ("unreadable", True)


@pytest.mark.parametrize("kind", ["list", "time"])
def test_frames_of_one_slice_are_times(tmp_path, kind):
    header, found = opened(write(tmp_path / "a.mha", Kinds=f"domain domain {kind}"))
    np.testing.assert_array_equal(found[:, 0], VALUES)
    assert header.shape == (len(VALUES), 1, *VALUES.shape[1:])


def test_two_dimensions_and_four(tmp_path):
    flat = {
        "NDims": "2",
        "TransformMatrix": "1 0 0 1",
        "Offset": "1 2",
        "ElementSpacing": "0.8 0.9",
        "DimSize": "6 5",
    }
    header, found = opened(write(tmp_path / "a.mha", VALUES[0].astype("<i2").tobytes(), **flat))
    np.testing.assert_array_equal(found[0, 0], VALUES[0])
    assert header.repairs == ("thickness_assumed",)
    times = [SimpleITK.GetImageFromArray(VALUES + n) for n in range(3)]
    SimpleITK.WriteImage(SimpleITK.JoinSeries(times), str(tmp_path / "b.mha"))
    np.testing.assert_array_equal(opened(tmp_path / "b.mha")[1], [VALUES, VALUES + 1, VALUES + 2])


@pytest.mark.parametrize(
    ("fields", "code", "word"),
    [
        ({"ElementNumberOfChannels": "3"}, "unreadable", "3 values per voxel"),
        ({"ObjectType": "Tube"}, "unreadable", "no image"),
        ({"NDims": "2"}, "unreadable", "NDims"),
        ({"DimSize": "6.5 5 4"}, "unreadable", "DimSize"),
        ({"DimSize": "Roe 5 4"}, "unreadable", "DimSize"),
        ({"DimSize": "-6 5 4"}, "unreadable", "axes"),
        ({"DimSize": "6 5 400"}, "truncated", "promises"),
        ({"DimSize": "30000 30000 30000", "CompressedData": "True"}, "truncated", "promises"),
        ({"ElementType": "MET_STRING"}, "unreadable", "ElementType"),
        ({"ElementType": None}, "unreadable", "ElementType"),
        ({"ElementSpacing": "0 1 1"}, "no_space", "singular"),
        ({"ElementSpacing": "nan 1 1"}, "no_space", "finite"),
        ({"TransformMatrix": "1 0 0 1"}, "unreadable", "TransformMatrix"),
        ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "no_space", "singular"),
        ({"ElementToIntensityFunctionSlope": "0"}, "unreadable", "Slope"),
    ],
)
def test_headers_that_lie_are_refused_with_the_field(tmp_path, fields, code, word):
    error = refused(write(tmp_path / "a.mha", **fields))
    assert (error.code, word in error.message) == (code, True)


def test_a_file_that_holds_more_than_it_says_is_told_or_refused(tmp_path):
    assert opened(write(tmp_path / "a.mha", RAW + b"\n"))[0].repairs == ("surplus_ignored",)
    assert "more than" in refused(write(tmp_path / "b.mha", RAW + bytes(9000))).message


def test_a_field_that_is_given_twice_is_refused_unless_it_says_the_same(tmp_path):
    path = write(tmp_path / "a.mha")
    same, other = b"DimSize = 6 5 4\n", b"DimSize = 5 6 4\n"
    content = path.read_bytes()
    path.write_bytes(same + content)
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)
    path.write_bytes(other + content)
    assert "dimsize twice" in refused(path).message
