"""NIfTI files by content: misnamed, packed, padded, paired, cut short."""

import bz2
import gzip
import lzma

import nibabel as nib
import numpy as np
import pytest

from somray.errors import DataError
from somray.io.readers import open_source
from somray.io.readers.nifti import is_nifti, nifti_extensions

VALUES = np.random.default_rng(0).integers(-900, 900, (6, 30, 40)).astype(np.int16)  # z, y, x
AFFINE = np.diag([-0.8, -0.9, 2.0, 1.0])


@pytest.fixture
def plain(tmp_path):
    nib.save(nib.Nifti1Image(VALUES.T, AFFINE), tmp_path / "plain.nii")
    return (tmp_path / "plain.nii").read_bytes()


def whole(path):
    with open_source(path) as source:
        source.verify()
        return source.read(0, 0, len(VALUES)), source.header


def check(path):
    with open_source(path) as source:
        source.verify()


def code(path, read=check):
    """Return the code with which a file is refused."""
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value.code


def members(raw):
    return b"".join(gzip.compress(raw[at : at + 5000]) for at in range(0, len(raw), 5000))


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("plain.nii.gz", bytes),
        ("packed.nii", gzip.compress),
        ("padded.nii.gz", lambda raw: gzip.compress(raw) + bytes(700)),
        ("trailing.nii.gz", lambda raw: gzip.compress(raw) + b"something else"),
        ("both.nii.gz", lambda raw: gzip.compress(raw) + bytes(9) + b"x"),
        ("members.nii.gz", members),
        ("members_padded.nii.gz", lambda raw: members(raw) + bytes(513)),
        ("a.nii.bz2", bz2.compress),
        ("a.nii.xz", lzma.compress),
        ("bzip2.nii.gz", bz2.compress),
        ("no_ending", bytes),
        ("single.img", bytes),
        ("single.hdr", bytes),
        ("line.nii", lambda raw: raw + b"\n"),
    ],
)
def test_the_content_decides_and_what_follows_the_stream_is_no_matter(tmp_path, plain, name, pack):
    (tmp_path / name).write_bytes(pack(plain))
    found, header = whole(tmp_path / name)
    np.testing.assert_array_equal(found, VALUES)
    assert set(header.repairs) <= {"surplus_ignored"}


@pytest.mark.parametrize(
    ("name", "pack", "expected"),
    [
        ("cut.nii", lambda raw: raw[:-1], "truncated"),
        ("cut.nii.gz", lambda raw: gzip.compress(raw)[:-1], "truncated"),
        ("half.nii.gz", lambda raw: gzip.compress(raw)[: len(raw) // 3], "truncated"),
        ("few.nii.gz", lambda raw: gzip.compress(raw)[:60], "truncated"),
        ("short.nii.gz", lambda raw: gzip.compress(raw[:-2]), "truncated"),
        ("member.nii.gz", lambda raw: gzip.compress(raw[:9000]) + gzip.compress(raw[9000:])[:-40], "truncated"),
        ("cut.nii.bz2", lambda raw: bz2.compress(raw)[:-20], "truncated"),
        ("empty.nii", lambda raw: b"", "truncated"),
        ("page.nii.gz", lambda raw: b"<html>404 not found</html>" * 30, "unreadable"),
        ("twice.nii.gz", lambda raw: gzip.compress(gzip.compress(raw)), "unreadable"),
        ("zstd.nii.gz", lambda raw: b"\x28\xb5\x2f\xfd" + raw, "unreadable"),
        ("zip.nii.gz", lambda raw: b"PK\x03\x04" + raw, "unreadable"),
        ("more.nii", lambda raw: raw + raw, "unreadable"),
    ],
)  # fmt: skip
def test_check_finds_what_a_run_would_find(tmp_path, plain, name, pack, expected):
    (tmp_path / name).write_bytes(pack(plain))
    assert code(tmp_path / name) == expected


def test_a_damaged_sum_is_found_when_the_end_is_read(tmp_path, plain):
    packed = bytearray(gzip.compress(plain))
    packed[-6] ^= 0xFF
    (tmp_path / "a.nii.gz").write_bytes(packed)
    assert code(tmp_path / "a.nii.gz", whole) == "unreadable"


def test_a_damaged_sum_is_found_also_where_more_follows_the_voxels(tmp_path, plain):
    packed = bytearray(gzip.compress(plain + bytes(100)))
    packed[-6] ^= 0xFF
    (tmp_path / "a.nii.gz").write_bytes(packed)
    assert code(tmp_path / "a.nii.gz", whole) == "unreadable"


def test_check_reads_but_the_first_slice_of_a_sound_packed_file(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 9999, (60, 100, 100)).astype(np.int16)
    nib.save(nib.Nifti1Image(values.T, AFFINE), tmp_path / "a.nii.gz")
    asked = []
    with open_source(tmp_path / "a.nii.gz") as source:
        stream = source._streams[0]
        read = stream.read
        monkeypatch.setattr(stream, "read", lambda at, n: asked.append(n) or read(at, n))
        source.verify()
    assert asked == [100 * 100 * 2]


@pytest.mark.parametrize(
    ("header", "pixels"),
    [("p.hdr", "p.img"), ("P.HDR", "P.IMG"), ("p.hdr.gz", "p.img.gz"), ("p.hdr", "p.img.gz")],
)
@pytest.mark.parametrize("named", [0, 1])
def test_pairs_are_found_from_either_file(tmp_path, header, pixels, named):
    (tmp_path / "made").mkdir()
    nib.save(nib.Nifti1Pair(VALUES.T, AFFINE), tmp_path / "made" / "p.img")
    for name, made in ((header, "p.hdr"), (pixels, "p.img")):
        raw = (tmp_path / "made" / made).read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(raw) if name.endswith("gz") else raw)
    np.testing.assert_array_equal(whole(tmp_path / (header, pixels)[named])[0], VALUES)


def test_half_a_pair_is_missing_and_analyze_is_refused_by_name(tmp_path):
    nib.save(nib.Nifti1Pair(VALUES.T, AFFINE), tmp_path / "p.img")
    (tmp_path / "p.img").rename(tmp_path / "q.img")
    assert code(tmp_path / "p.hdr") == "missing"
    assert code(tmp_path / "q.img") == "missing"
    nib.save(nib.AnalyzeImage(VALUES.T, AFFINE), tmp_path / "a.img")
    with pytest.raises(DataError, match=r"Analyze 7\.5, which does not say where left is"):
        open_source(tmp_path / "a.hdr")


def test_other_formats_under_a_nifti_name_are_not_taken_for_it(tmp_path):
    (tmp_path / "a.nii").write_bytes(b"NRRD0005\n" + bytes(400))
    (tmp_path / "b.img").write_bytes(bytes(128) + b"DICM" + bytes(400))
    assert not is_nifti(tmp_path / "a.nii")
    assert not is_nifti(tmp_path / "b.img")
    assert not is_nifti(tmp_path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.img", "a.hdr"])
def test_extensions_are_read_and_skipped(tmp_path, name):
    kind = nib.Nifti1Image if "nii" in name else nib.Nifti1Pair
    image = kind(VALUES.T, AFFINE)
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"one"))
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"two" * 50))
    nib.save(image, tmp_path / name)
    np.testing.assert_array_equal(whole(tmp_path / name)[0], VALUES)
    found = [content.strip(b"\0") for content in nifti_extensions(tmp_path / name)]
    assert found == [b"one", b"two" * 50]
