"""Random grids, types and slopes, written by nibabel, SimpleITK and pynrrd and read by us: values and world agree."""

import tempfile
from pathlib import Path

import nibabel as nib
import nrrd
import numpy as np
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from somray.io.readers import open_source

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")
FEW = settings(max_examples=25, deadline=None, derandomize=True)


@st.composite
def grids(draw):
    """Draw a shape (z, y, x), LPS directions, spacing x y z in mm from microns to metres, and an origin."""
    shape = tuple(draw(st.integers(1 if axis == 0 else 2, 5)) for axis in range(3))
    angles = [draw(st.floats(-3.1, 3.1)) for _ in range(3)]
    turn = SimpleITK.Euler3DTransform()
    turn.SetRotation(*angles)
    flips = np.diag([draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)])
    order = list(draw(st.permutations(range(3))))
    direction = (np.array(turn.GetMatrix()).reshape(3, 3) @ flips)[:, order]
    scale = draw(st.sampled_from([4e-4, 1.0, 800.0]))
    spacing = np.array([draw(st.floats(0.2, 7.0)) for _ in range(3)]) * scale
    origin = np.array([draw(st.floats(-400, 400)) for _ in range(3)]) * scale
    values = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 127, shape)
    return values, direction, spacing, origin


def lps(direction, spacing, origin):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = direction * spacing, origin
    return matrix


def check(path, values, matrix, *, rounding):
    """Compare values and the world of the far corners, in voxels."""
    with open_source(path) as source:
        assert source.header.shape == (1, *values.shape)
        np.testing.assert_allclose(source.read(0, 0, len(values)), values, rtol=1e-6)
        grid = source.header.geometry
        corners = np.array([[0, 0, 0], np.array(values.shape) - 1], dtype=float)
        expected = corners[:, ::-1] @ matrix[:3, :3].T + matrix[:3, 3]
        apart = np.abs(grid.to_world(corners) - expected).max()
        assert apart <= rounding * (np.abs(matrix[:3, 3]).max() + min(grid.spacing_mm))


@given(grids(), st.sampled_from(["nii", "nii.gz", "nrrd", "mha", "mhd"]), st.sampled_from(TYPES))
@FEW
def test_simpleitk_writes_and_we_read(grid, ending, kind):
    values, direction, spacing, origin = grid
    image = SimpleITK.GetImageFromArray(values.astype(kind))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin(origin.tolist())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"scan.{ending}"
        SimpleITK.WriteImage(image, str(path))
        check(path, values, lps(direction, spacing, origin), rounding=1e-5)


@given(
    grids(),
    st.sampled_from([nib.Nifti1Image, nib.Nifti2Image]),
    st.sampled_from(["<", ">"]),
    st.sampled_from([(1.0, 0.0), (2.5, -1024.0), (-0.5, 3.0), (1e-4, 0.0)]),
    st.sampled_from(["mm", "micron", "meter"]),
)
@FEW
def test_nibabel_writes_and_we_read(grid, kind, order, slope, unit):
    values, direction, spacing, origin = grid
    per_mm = {"mm": 1.0, "micron": 1000.0, "meter": 0.001}[unit]
    matrix = lps(direction, spacing, origin)
    ras = TO_LPS @ np.diag([per_mm, per_mm, per_mm, 1.0]) @ matrix
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = kind(values.T.astype(np.int16), ras, header)
    image.header.set_xyzt_units(unit)
    image.header.set_slope_inter(*slope)
    image.header["qform_code"] = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        nib.save(image, path)
        expected = nib.load(path).get_fdata().T
        check(path, expected, matrix, rounding=1e-5)


@given(grids(), st.sampled_from(["raw", "gzip", "bzip2", "ascii"]), st.sampled_from(TYPES))
@FEW
def test_pynrrd_writes_and_we_read(grid, encoding, kind):
    values, direction, spacing, origin = grid
    matrix = lps(direction, spacing, origin)
    ras = TO_LPS @ matrix
    header = {"space": "right-anterior-superior", "encoding": encoding, "space directions": ras[:3, :3].T,
              "space origin": ras[:3, 3], "space units": ["mm", "mm", "mm"]}  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nrrd"
        nrrd.write(str(path), values.T.astype(kind), header)
        check(path, values, matrix, rounding=1e-9)
