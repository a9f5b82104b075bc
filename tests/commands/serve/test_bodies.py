"""Bodies that lie about themselves: refused before anything is allocated or unpacked."""

import contextlib
import io
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from somray.commands.serve.bodies.archives import MOST_RATIO, unpack_dicom
from somray.commands.serve.bodies.arrays import npy_bytes, read_npy, read_plain, read_png
from somray.commands.serve.bodies.places import AllowedPlaces
from somray.commands.serve.bodies.uploads import suffix_of
from somray.commands.serve.refusal import RefusedError, refusal_of
from somray.errors import QUARANTINE_CODES, DataError
from tests.commands.serve.served import npy

DICOM = bytes(128) + b"DICM"
BARE = struct.pack("<HHI", 8, 5, 10) + b"ISO_IR 100" + bytes(200)  # as old archives write it


def header(shape, dtype="'<f4'", order="False"):
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    text += b" " * (118 - len(text) - 1) + b"\n" if len(text) < 117 else b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7)])
def test_npy_goes_there_and_back(shape):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = read_npy(npy_bytes(values), 1000)
    assert np.array_equal(found.reshape(shape), values)
    assert np.array_equal(read_plain(values.tobytes(), shape, "float32").reshape(shape), values)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (header((1 << 30, 1 << 30)), 413),
        (header((40, 40)) + bytes(100), 422),
        (header((4, 4)) + bytes(65), 422),
        (header((-4, 4)), 422),
        (header((True, 4)) + bytes(16), 422),
        (header((4,)) + bytes(16), 422),
        (header((2, 2), "'<c8'") + bytes(32), 422),
        (header((2, 2), "'|O'") + bytes(32), 422),
        (header((2, 2), "[('a','<f4')]") + bytes(16), 422),
        (header((2, 2), "'<f16'") + bytes(64), 422),
        (header("(2, 2)*9**9"), 422),
        (header("__import__('os')"), 422),
        (header("(" * 5000), 422),
        (b"\x93NUMPY\x03\x00\x10\x00", 422),
        (b"\x93NUMPY", 422),
        (b"", 422),
    ],
)
def test_a_lying_npy_is_refused_and_costs_no_memory(body, status):
    tracemalloc.start()
    with pytest.raises(RefusedError) as refused:
        read_npy(body, 1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.status == status
    assert peak < 2 << 20


def png(rows, columns, bits=16, color=0, data=b""):
    def chunk(kind, content):
        found = struct.pack(">I", len(content)) + kind + content
        return found + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", columns, rows, bits, color, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + end


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (png(1 << 20, 1 << 20), 413),
        (png(0, 4), 413),
        (png(900, 900), 422),
        (png(4, 4, color=2), 422),
        (png(4, 4, bits=4), 422),
        (png(4, 4, data=b"\0"), 422),
        (b"\x89PNG\r\n\x1a\n", 422),
        (b"GIF89a", 422),
    ],
)
def test_a_lying_png_is_refused(body, status):
    with pytest.raises(RefusedError) as refused:
        read_png(body, 1 << 20)
    assert refused.value.status == status


def archive(files, kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return file.getvalue()


def unpacked(tmp_path, data, most=1 << 30):
    (tmp_path / "x.zip").write_bytes(data)
    folder = tmp_path / "out"
    folder.mkdir()
    return unpack_dicom(tmp_path / "x.zip", folder, most), sorted(p.name for p in folder.iterdir())


def test_names_of_a_zip_are_not_used(tmp_path):
    files = {"../../up.dcm": DICOM, "/abs.dcm": DICOM + b"1", "C:\\x": DICOM, "note.txt": b"hello"}
    count, names = unpacked(tmp_path, archive(files))
    assert count == 3
    assert names == [f"{n:06d}.dcm" for n in range(3)]
    assert not (tmp_path.parent / "up.dcm").exists()


@pytest.mark.parametrize(
    ("data", "most", "status"),
    [
        (archive({"a.dcm": DICOM + bytes(4 << 20)}), 1 << 30, 413),  # ratio
        (archive({str(n): DICOM + bytes(5000) for n in range(40)}), 100_000, 413),  # total
        (archive({"a": b"no dicom", "b.zip": archive({"c": DICOM})}), 1 << 30, 422),
        (archive({"a": DICOM}, zipfile.ZIP_LZMA), 1 << 30, 422),
        (archive({"a": DICOM + bytes(range(256)) * 9})[:-40], 1 << 30, 422),
        (b"PK\x03\x04", 1 << 30, 422),
    ],
)
def test_a_bomb_of_zip_is_refused_before_it_is_unpacked(tmp_path, data, most, status):
    with pytest.raises(RefusedError) as refused:
        unpacked(tmp_path, data, most)
    assert refused.value.status == status
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) < 10_000


def test_blank_slices_and_files_without_preamble_are_no_reason_to_refuse_a_zip(tmp_path):
    noise = np.random.default_rng(0).bytes(60_000)
    files = {"blank.dcm": DICOM + bytes(500_000), "bare": BARE + noise, "full.dcm": DICOM + noise}
    assert unpacked(tmp_path, archive(files))[0] == 3


def test_a_zip_that_understates_its_sizes_unpacks_to_no_more(tmp_path):
    data = bytearray(archive({"a.dcm": DICOM + bytes(60_000)}))
    place = data.rindex(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", 500)
    with contextlib.suppress(RefusedError):
        unpacked(tmp_path, bytes(data))
    assert sum(p.stat().st_size for p in (tmp_path / "out").iterdir()) <= 500
    assert MOST_RATIO < 1032  # what deflate reaches


def test_what_a_file_is_its_content_says():
    assert suffix_of(DICOM) == ".dcm"
    assert suffix_of(BARE) == ".dcm"
    assert suffix_of(b"PK\x03\x04") == ".zip"
    assert suffix_of(b"\x1f\x8b\x08") == ".nii.gz"
    assert suffix_of(b"NRRD0005\n") == ".nrrd"
    assert suffix_of(bytes(344) + b"n+1\0") == ".nii"
    assert suffix_of(b"ObjectType = Image") == ".mha"
    with pytest.raises(RefusedError):
        suffix_of(b"\x7fELF")
    with pytest.raises(RefusedError, match="empty"):
        suffix_of(archive({}))


@pytest.fixture
def places(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "inner").mkdir()
    (tmp_path / "in" / "out.nii").symlink_to(tmp_path / "inner" / "x.nii")
    return AllowedPlaces((str(tmp_path / "in"), "s3://bucket/scans", "https://host.org/a/"))


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/scans/x.nii",
        "s3://bucket/scans",
        "https://host.org/a/b/c.nii.gz",
        "{}/in/x.nii",
    ],
)
def test_what_lies_below_a_named_place_is_read(places, tmp_path, uri):
    assert places.checked(uri.format(tmp_path)) == uri.format(tmp_path)
    assert places.checked("file://" + str(tmp_path / "in/y")) == str(tmp_path / "in/y")


@pytest.mark.parametrize(
    "uri",
    [
        "{}/inner/x.nii", "{}/in/../inner/x.nii", "{}/in/out.nii", "{}/in/out.nii#channel=1", "in/x.nii", "/",
        "s3://bucket/scans-other/x", "s3://bucket/scans/../x", "s3://bucket/scans/%2e%2e/x", "s3://other/scans/x",
        "s3://bucket/scans/%252e%252e/x", "https://host.org.evil/a/x", "https://host.org@evil/a/x",
        "https://evil/https://host.org/a/x", "zip://x::https://host.org/a/x", "simplecache::s3://bucket/scans/x",
        "https://host.org/a/x?u=http://evil", "http://host.org/a/x", "file:///etc/passwd", "memory://x",
        "https://host.org/a\\..\\x",
    ],
)  # fmt: skip
def test_what_lies_elsewhere_is_not_read(places, tmp_path, uri):
    with pytest.raises(RefusedError) as refused:
        places.checked(uri.format(tmp_path))
    assert refused.value.status == 403
    assert str(tmp_path) not in refused.value.message


def test_no_place_is_allowed_by_itself(tmp_path):
    with pytest.raises(RefusedError):
        AllowedPlaces().checked(str(tmp_path))


@pytest.mark.parametrize("code", QUARANTINE_CODES)
def test_what_a_reader_says_is_told_by_its_code_alone(code):
    told = refusal_of(DataError(code, "/data/Secret^Name.dcm: PatientName 'Secret'"))
    assert "secret" not in str(told.as_json()).lower()
    assert told.code == code
    assert 400 <= told.status < 500


def test_a_foreign_error_is_told_by_nothing(caplog):
    told = refusal_of(ValueError("/data/Secret^Name.dcm"))
    assert told.status == 500
    assert "Secret" not in str(told.as_json()) + caplog.text
    assert "ValueError" in caplog.text


def test_npy_of_tests_is_numpys_own():
    assert npy(np.zeros((2, 2), np.uint8)) == npy_bytes(np.zeros((2, 2), np.uint8))
