"""Round trips with SimpleITK and nibabel as writers, on oblique and flipped grids, and files cut short."""

import bz2
import gzip

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
import tifffile

from somray.errors import DataError, ShapeError
from somray.io.readers import open_source

SHAPE = (7, 6, 5)  # z, y, x


def oblique(seed=3):
    """Make a SimpleITK image on a rotated, flipped, anisotropic grid."""
    values = np.random.default_rng(seed).integers(-900, 900, SHAPE).astype(np.int16)
    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((11.0, -22.0, 33.0))
    turn = SimpleITK.Euler3DTransform()
    turn.SetRotation(0.2, -0.3, 0.4)
    direction = np.array(turn.GetMatrix()).reshape(3, 3) @ np.diag([-1.0, 1.0, 1.0])
    image.SetDirection(direction.ravel())
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = direction * [0.7, 0.9, 2.5], (11.0, -22.0, 33.0)
    return image, values, matrix


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "nhdr", "mha", "mhd"])
@pytest.mark.parametrize("compress", [False, True])
def test_oblique_and_flipped_grids_keep_voxel_order_and_place(tmp_path, ending, compress):
    image, values, matrix = oblique()
    path = tmp_path / f"scan.{ending}"
    SimpleITK.WriteImage(image, str(path), compress)
    with open_source(path) as source:
        assert source.header.shape == (1, *SHAPE)
        np.testing.assert_allclose(source.header.geometry.matrix, matrix, atol=1e-5)
        np.testing.assert_array_equal(source.read(0, 0, 7), values)
        np.testing.assert_array_equal(source.read(0, 4, 6), values[4:6])
        np.testing.assert_array_equal(source.read(0, 1, 2), values[1:2])  # backwards
        assert source.read(0, 0, 1).dtype == np.float32


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "mhd"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_a_file_that_ends_early_is_truncated_never_zeros(tmp_path, ending, compress, kept):
    values = np.random.default_rng(0).integers(-900, 900, (20, 30, 40)).astype(np.int16)
    path = tmp_path / f"scan.{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), compress)
    data = path if ending != "mhd" else next(p for p in tmp_path.iterdir() if "raw" in p.suffix)
    content = data.read_bytes()
    data.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(DataError) as caught, open_source(path) as source:
        source.read(0, 0, 20)
    assert caught.value.code == "truncated"


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "mha", "nrrd", "tif", "dcm"])
def test_a_file_that_ends_in_its_header_or_is_empty_is_coded(tmp_path, ending):
    for size in (0, 60):
        path = tmp_path / f"scan{size}.{ending}"
        image = {"dcm": lambda p: p.write_bytes(bytes(128) + b"DICM" + bytes(20)),
                 "tif": lambda p: tifffile.imwrite(p, np.ones((4, 4), np.uint8))}  # fmt: skip
        write = image.get(ending, lambda p: SimpleITK.WriteImage(oblique()[0], str(p)))
        write(path)
        path.write_bytes(path.read_bytes()[:size])
        with pytest.raises(DataError) as caught, open_source(path) as source:
            source.read(0, 0, 1)
        assert caught.value.code in ("truncated", "unreadable")


def test_a_damaged_gzip_stream_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "scan.nii.gz"
    SimpleITK.WriteImage(oblique()[0], str(path))
    content = bytearray(path.read_bytes())
    content[-6] ^= 0xFF  # in the checksum
    path.write_bytes(content)
    with pytest.raises(DataError) as caught, open_source(path) as source:
        source.read(0, 0, 7)
    assert caught.value.code == "unreadable"


def test_nifti_slope_is_honoured_and_world_becomes_lps(tmp_path):
    stored = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # x, y, z
    image = nib.Nifti1Image(stored, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_slope_inter(0.5, -10)
    path = tmp_path / "scan.nii.gz"
    nib.save(image, path)
    with open_source(path) as source:
        np.testing.assert_allclose(source.read(0, 0, 4), stored.T * 0.5 - 10)
        np.testing.assert_allclose(source.header.geometry.matrix, np.diag([-2.0, -3.0, 4.0, 1.0]))


def test_nifti_prefers_the_sform_and_says_when_there_is_neither(tmp_path):
    image = nib.Nifti1Image(np.zeros((2, 3, 4), np.int16), None)
    image.header.set_zooms((1.0, 2.0, 3.0))
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, tmp_path / "none.nii")
    with open_source(tmp_path / "none.nii") as source:
        assert source.header.repairs == ("position_assumed",)
        assert source.header.geometry.spacing_mm == (3.0, 2.0, 1.0)
    image.set_qform(np.diag([1, 2, 3, 1.0]), 1)
    image.set_sform(np.array([[1, 0, 0, 50], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1.0]]), 1)
    nib.save(image, tmp_path / "both.nii")
    with open_source(tmp_path / "both.nii") as source:
        assert source.header.geometry.matrix[0, 3] == -50.0
        assert source.header.repairs == ("qform_ignored",)


def test_nifti_in_micrometres_becomes_mm(tmp_path):
    image = nib.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.diag([20.0, 20.0, 20.0, 1.0]))
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "scan.nii")
    with open_source(tmp_path / "scan.nii") as source:
        assert source.header.geometry.spacing_mm == pytest.approx((0.02, 0.02, 0.02))


def test_nifti_keeps_time_apart_and_nan_as_nan(tmp_path):
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    values[0, 0, 0, 1] = np.nan
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "scan.nii.gz")
    with open_source(tmp_path / "scan.nii.gz") as source:
        assert source.header.shape == (5, 4, 3, 2)
        for t in (0, 4, 1):
            np.testing.assert_array_equal(source.read(t, 0, 4), values[..., t].T)


def test_a_nifti_of_vectors_or_without_space_is_coded(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 1, 3), np.float32), np.eye(4)), tmp_path / "v.nii")
    flat = nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.diag([1.0, 1.0, 1.0, 1.0]))
    flat.set_sform(np.diag([1.0, 1.0, 0.0, 1.0]), 1)
    nib.save(flat, tmp_path / "flat.nii")
    surface = np.zeros((27307, 1, 6), np.uint8)
    nib.save(nib.Nifti1Image(surface, np.eye(4)), tmp_path / "surface.nii")
    warp = nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.float32), np.eye(4))
    warp.header.set_intent(2006)
    nib.save(warp, tmp_path / "warp.nii")
    codes = []
    for name in ("v.nii", "surface.nii", "warp.nii", "flat.nii"):
        with pytest.raises(DataError) as caught:
            open_source(tmp_path / name)
        codes.append(caught.value.code)
    assert codes == [*["unreadable"] * 3, "no_space"]


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_nrrd_in_ras_and_all_encodings_become_lps(tmp_path, encoding):
    values = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(">u2")  # x, y, z
    header = {"space": "right-anterior-superior", "encoding": encoding, "endian": "big",
              "space directions": np.diag([1.0, 2.0, 3.0]), "space origin": [4.0, 5.0, 6.0]}  # fmt: skip
    path = tmp_path / "scan.nrrd"
    nrrd.write(str(path), values, header)
    with open_source(path) as source:
        matrix = np.diag([-1.0, -2.0, 3.0, 1.0])
        matrix[:3, 3] = [-4.0, -5.0, 6.0]
        np.testing.assert_allclose(source.header.geometry.matrix, matrix)
        np.testing.assert_array_equal(source.read(0, 0, 7), values.T)


def test_nrrd_with_colour_axis_is_refused(tmp_path):
    header = {"kinds": ["vector", "domain", "domain", "domain"]}
    nrrd.write(str(tmp_path / "rgb.nrrd"), np.zeros((3, 4, 4, 4), np.uint8), header)
    with pytest.raises(DataError, match="vector"):
        open_source(tmp_path / "rgb.nrrd")


def test_streams_of_several_gzip_members_are_read_whole(tmp_path):
    values = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "plain.nii")
    content = (tmp_path / "plain.nii").read_bytes()
    (tmp_path / "two.nii.gz").write_bytes(
        gzip.compress(content[:370]) + gzip.compress(content[370:])
    )
    with open_source(tmp_path / "two.nii.gz") as source:
        np.testing.assert_array_equal(source.read(0, 0, 5), values.T)
    assert bz2.compress(b"")  # the module that NRRD's bzip2 needs is there


def test_slices_outside_the_scan_are_refused(tmp_path):
    SimpleITK.WriteImage(oblique()[0], str(tmp_path / "scan.mha"))
    with open_source(tmp_path / "scan.mha") as source:
        for t, z0, z1 in [(0, 5, 8), (1, 0, 1), (0, -1, 1), (0, 2, 2)]:
            with pytest.raises(ShapeError):
                source.read(t, z0, z1)


def test_what_is_not_there_or_not_a_scan_is_coded(tmp_path):
    (tmp_path / "note.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    (tmp_path / "wrong.nii").write_text("hello, this is no NIfTI" * 40)
    codes = {}
    for name in ("none.nii", "note.txt", "empty", "wrong.nii"):
        with pytest.raises(DataError) as caught:
            open_source(tmp_path / name)
        codes[name] = caught.value.code
        assert str(tmp_path / name) in caught.value.message
    assert codes == {"none.nii": "missing", "note.txt": "unreadable", "empty": "unreadable",
                     "wrong.nii": "unreadable"}  # fmt: skip
