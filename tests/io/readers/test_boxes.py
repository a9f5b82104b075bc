"""Boxes of every format are the bits that whole slices have there; formats say how little they decode for them."""

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from somray.domain.brick import Brick
from somray.errors import ShapeError
from somray.io.readers import open_source
from somray.io.readers.tiff import boxes
from tests.io.readers.omezarr.test_omezarr import write as write_zarr
from tests.io.readers.valid_files import MAKERS

SHAPE = (3, 70, 90)


def picture(dtype=np.uint16, shape=SHAPE):
    """Values that differ everywhere, and compress."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    return ((7 * z + 3 * y + x + (x * y) % 5) % 251).astype(dtype)


def tiff(dtype=np.uint16, photometric="minisblack", **said):
    def make(folder):
        values = picture(dtype)
        if photometric == "rgb":
            values = np.repeat(values.astype(np.uint8)[..., None], 3, axis=-1)
        tifffile.imwrite(folder / "a.tif", values, photometric=photometric, metadata=None, **said)
        return folder / "a.tif"

    return make


def pages_of(folder, **said):
    for z, plane in enumerate(picture()):
        tifffile.imwrite(folder / f"s{z:02d}.tif", plane, metadata=None, **said)
    return folder


def ome_set(folder):
    values = picture()
    names = [f"p{z}.ome.tif" for z in range(len(values))]
    data = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint16" SizeX="90" SizeY="70" SizeZ="3" SizeC="1" SizeT="1">'
        f'<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
    )
    for name, plane in zip(names, values, strict=True):
        tifffile.imwrite(
            folder / name,
            plane,
            metadata=None,
            description=text,
            rowsperstrip=8,
            compression="zlib",
        )
    return folder / names[0]


def serial_nrrd(folder):
    """Time lies together at each voxel."""
    stored = np.stack([picture(np.int16), picture(np.int16)[::-1]], axis=-1)
    head = (
        "NRRD0004\ntype: short\ndimension: 4\nsizes: 2 90 70 3\nspace: left-posterior-superior\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nkinds: list domain domain domain\n"
        "endian: little\nencoding: raw\n\n"
    )
    (folder / "a.nrrd").write_bytes(head.encode() + stored.tobytes())
    return folder / "a.nrrd"


def scaled_raw(folder):
    head = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = True\nElementType = MET_SHORT\n"
        "DimSize = 90 70 3\nElementSpacing = 1 1 1\nElementToIntensityFunctionSlope = 0.37\n"
        "ElementToIntensityFunctionOffset = -3.1\nElementDataFile = a.raw\n"
    )
    (folder / "a.mhd").write_text(head)
    (folder / "a.raw").write_bytes(picture(">i2").tobytes())
    return folder / "a.mhd"


def zarr_of(version):
    def make(folder):
        return write_zarr(folder / "a.zarr", picture(), version=version, chunks=(2, 32, 32))

    return make


CASES = {
    "contiguous": (tiff(), "boxes", True),
    "tiles": (tiff(tile=(16, 32)), "boxes", True),
    "packed tiles": (tiff(tile=(32, 16), compression="zlib", predictor=True), "boxes", True),
    "strips": (tiff(rowsperstrip=7, compression="lzw", predictor=True), "rows", True),
    "big endian strips": (tiff(rowsperstrip=9, byteorder=">", compression="zlib"), "rows", True),
    "white at zero": (
        tiff(photometric="miniswhite", rowsperstrip=16, compression="zlib", dtype=np.uint8),
        "rows",
        True,
    ),
    "gray as color": (
        tiff(photometric="rgb", rowsperstrip=16, compression="zlib", dtype=np.uint8),
        "rows",
        True,
    ),
    "plain gray as color": (tiff(photometric="rgb", dtype=np.uint8), "boxes", True),
    "one strip": (tiff(rowsperstrip=70, compression="zlib"), "slices", True),
    "tiles of color": (tiff(photometric="rgb", dtype=np.uint8, tile=(16, 16)), "boxes", True),
    "pages": (lambda folder: pages_of(folder, tile=(16, 16)), "boxes", True),
    "plain pages": (pages_of, "boxes", True),
    "set": (ome_set, "rows", True),
    "serial": (serial_nrrd, "boxes", True),
    "scaled": (scaled_raw, "boxes", True),
    "zarr 0.4": (zarr_of(4), "boxes", True),
    "zarr 0.5": (zarr_of(5), "boxes", True),
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    made = {}

    def get(name):
        if name not in made:
            folder = tmp_path_factory.mktemp("boxes")
            make = CASES[name][0] if name in CASES else MAKERS[name]
            made[name] = open_source(make(folder))
        return made[name]

    yield get
    for source in made.values():
        source.close()


@st.composite
def boxes_of(draw, shape):
    t = draw(st.integers(0, shape[0] - 1))
    ends = []
    for size in shape[1:]:
        low = draw(st.integers(0, size - 1))
        ends += [low, draw(st.integers(low + 1, size))]
    return Brick(t, *ends)


@pytest.mark.parametrize("name", [*CASES, *MAKERS])
def test_a_box_is_what_its_slices_have_there(name, opened):
    source = opened(name)
    times, depth = source.header.shape[:2]
    whole = [source.read(t, 0, depth) for t in range(times)]

    @settings(
        max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(boxes_of(source.header.shape))
    def holds(box):
        found = source.read_box(box)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, whole[box.t][box.box])

    holds()


@pytest.mark.parametrize("name", CASES)
def test_a_format_says_how_little_it_decodes(name, opened):
    assert (opened(name).windows, opened(name).splits) == CASES[name][1:]


def test_streams_are_read_forwards_by_one(opened):
    for name in ("nii.gz", "nrrd gzip", "mha zlib"):
        source = opened(name)
        assert (source.windows, source.splits, source.is_forward) == ("rows", False, True)


def test_only_the_strips_that_a_box_meets_are_decoded(opened, monkeypatch):
    source, seen = opened("packed tiles"), []
    part = boxes.PagesSource._part

    def noted(self, path, page, number):
        seen.append(number)
        return part(self, path, page, number)

    monkeypatch.setattr(boxes.PagesSource, "_part", noted)
    source.read_box(Brick(0, 1, 2, 33, 60, 20, 40))
    assert seen == [7, 8]  # of 3 rows of 6


@pytest.mark.parametrize(
    "box", [(0, 0, 4, 0, 1, 0, 1), (0, 0, 1, 5, 5, 0, 1), (1, 0, 1, 0, 1, 0, 1)]
)
def test_a_box_outside_is_refused(box, opened):
    with pytest.raises(ShapeError):
        opened("strips").read_box(Brick(*box))
