"""How NRRD files hold voxels: encodings, skips, detached data, damage; and what must not leave them."""

import bz2
import gzip

import numpy as np
import pytest

from somray.io.readers import open_source
from tests.io.voxel_files import CUBE, LPS, PLACE, RAW, VALUES, opened, refused, write_nrrd

TEXT = " ".join(str(n) for n in VALUES.ravel()).encode()
HEX = VALUES.astype("<i2").tobytes().hex()


@pytest.mark.parametrize(
    ("encoding", "data", "more"),
    [
        ("gz", gzip.compress(RAW), ""),
        ("bz2", bz2.compress(RAW), ""),
        ("ascii", TEXT, ""),
        ("TEXT", TEXT.replace(b" ", b"\r\n") + b"\n", ""),
        ("txt", TEXT.replace(b" ", b", "), ""),
        ("hex", HEX.encode(), ""),
        ("hex", "\n".join(HEX[at : at + 71] for at in range(0, len(HEX), 71)).encode(), ""),
        ("raw", b"abc" + RAW, "\nbyte skip: 3"),
        ("raw", b"abc" + RAW, "\nbyteskip: -1"),
        ("raw", b"one\ntwo\n" + RAW, "\nline skip: 2"),
        ("gzip", b"one\n" + gzip.compress(bytes(7) + RAW), "\nlineskip: 1\nbyte skip: 7"),
        ("gzip", gzip.compress(bytes(7) + RAW), "\nbyte skip: -1"),
    ],
)
def test_encodings_and_skips(tmp_path, encoding, data, more):
    path = write_nrrd(tmp_path / "a.nrrd", PLACE + more, data, encoding=encoding)
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)
    with open_source(path) as source:
        np.testing.assert_array_equal(source.read(0, 2, 3), VALUES[2:3])
        np.testing.assert_array_equal(source.read(0, 0, 1), VALUES[:1])


@pytest.mark.parametrize(
    ("given", "code", "word"),
    [
        ({"endian": ""}, "unreadable", "endian"),
        ({"type": "block"}, "unreadable", "block"),
        ({"encoding": "zrl"}, "unreadable", "zrl"),
        ({"magic": "NRRD0006"}, "unreadable", "version"),
        ({"dimension": "4"}, "unreadable", "dimension"),
        ({"sizes": "6 5 40"}, "truncated", "promises"),
        ({"sizes": "99999 99999 99999"}, "truncated", "promises"),
        ({"sizes": "-6 5 4"}, "unreadable", "sizes"),
        ({"sizes": ""}, "unreadable", "lacks sizes"),
        ({"encoding": "ascii"}, "unreadable", "no int16 numbers"),
        ({"encoding": "gzip"}, "unreadable", "damaged"),
    ],
)
def test_headers_that_lie_are_refused_with_the_field(tmp_path, given, code, word):
    error = refused(write_nrrd(tmp_path / "a.nrrd", **given))
    assert (error.code, word in error.message) == (code, True)


@pytest.mark.parametrize("encoding", ["gzip", "bzip2", "ascii", "hex"])
def test_check_finds_data_that_end_early(tmp_path, encoding):
    data = {
        "gzip": gzip.compress(RAW),
        "bzip2": bz2.compress(RAW),
        "ascii": TEXT,
        "hex": HEX.encode(),
    }[encoding]
    assert (
        refused(write_nrrd(tmp_path / "a.nrrd", data=data[:-9], encoding=encoding)).code
        == "truncated"
    )


@pytest.mark.parametrize("magic", ["NRRD00.01", "NRRD0001", "NRRD0004"])
def test_old_headers_in_any_case_with_dos_line_ends(tmp_path, magic):
    path = write_nrrd(
        tmp_path / "a.nrrd",
        f"SPACE: LPS\nSpace  Directions: {CUBE}\nSpace Origin: (1,2,3)",
        b"",
        magic=magic,
    )
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + RAW)
    header, found = opened(path)
    np.testing.assert_array_equal(found[0], VALUES)
    np.testing.assert_allclose(header.geometry.matrix, LPS)


def test_nothing_that_names_a_person_breaks_or_leaves_the_header(tmp_path):
    more = "\ncontent: Roe^Jane\nRoe^Jane:=1\nmeasurement frame: Roe\n# Roe^Jane\nold min: Roe^Jane\nRoe Jane"
    np.testing.assert_array_equal(
        opened(write_nrrd(tmp_path / "a.nrrd", PLACE + more))[1][0], VALUES
    )
    for bad in (
        PLACE.replace("(1,2,3)", "(Roe,Jane,3)"),
        PLACE.replace("(0,0,2)", "Roe"),
        PLACE + "\nspace: Roe",
    ):
        assert "Roe" not in refused(write_nrrd(tmp_path / "b.nrrd", bad)).message
    error = refused(write_nrrd(tmp_path / "c.nhdr", f"{PLACE}\ndata file: C:\\Roe^Jane\\scan.raw"))
    assert (error.code, "Roe" in error.message) == ("missing", False)


@pytest.mark.parametrize(
    "named",
    [
        "data file: data 5% d.raw",
        "datafile: ./data 5% d.raw",
        "data file: s%03d.raw 0 3 1",
        "data file: s%03d.raw 0 3 1 2",
        "data file: LIST\ns000.raw\ns001.raw\ns002.raw\ns003.raw",
        "data file: LIST 2\ns000.raw\ns001.raw\ns002.raw\ns003.raw",
    ],
)
def test_detached_data_are_found(tmp_path, named):
    (tmp_path / "data 5% d.raw").write_bytes(RAW)
    for z, plane in enumerate(VALUES):
        (tmp_path / f"s{z:03d}.raw").write_bytes(plane.astype("<i2").tobytes())
    path = write_nrrd(tmp_path / "a.nhdr", f"{PLACE}\n{named}", b"")
    np.testing.assert_array_equal(opened(path)[1][0], VALUES)


@pytest.mark.parametrize(
    ("named", "code"),
    [("s%03d.raw 0 999999999 1", "unreadable"), ("s%03d.raw 0 3 0", "unreadable"), ("s%03d.raw 0 2 1", "unreadable"),
     ("s%n%s.raw 0 3 1", "missing"), ("LIST", "unreadable"), ("none.raw", "missing"), ("/dev/zero", "missing")],
)  # fmt: skip
def test_detached_data_that_are_not_there_are_refused(tmp_path, named, code):
    assert (
        refused(write_nrrd(tmp_path / "a.nhdr", f"{PLACE}\ndata file: {named}", b"")).code == code
    )


def test_the_content_decides_what_is_nrrd(tmp_path):
    for name in ("a.dat", "a.nii"):
        np.testing.assert_array_equal(opened(write_nrrd(tmp_path / name))[1][0], VALUES)
    packed = gzip.compress(write_nrrd(tmp_path / "a.nrrd").read_bytes())
    (tmp_path / "a.nrrd").write_bytes(packed)
    assert "compressed as a whole" in refused(tmp_path / "a.nrrd").message
