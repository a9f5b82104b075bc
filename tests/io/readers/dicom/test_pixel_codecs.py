"""Stored values as they were encoded, whatever packed them."""

from io import BytesIO

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from somray.errors import DataError
from somray.io.readers import open_source
from somray.io.readers.dicom.codecs import decoded
from tests.io.dicom_files import make_slice, save

ROWS, COLUMNS = 16, 20
Y, X = np.mgrid[:ROWS, :COLUMNS]
U12 = np.rint(2047 * (1 + np.sin(Y / 5) * np.cos(X / 6))).astype(np.uint16)
S16 = (U12.astype(np.int16) - 1024) * 3
U8 = (U12 >> 4).astype(np.uint8)
S12 = U12.astype(np.int16) - 2048  # two's complement in 12 bits
NATIVE = {"bits": 16, "signed": True}


def make(frame, syntax, z=0.0, bits=12, signed=False, allocated=16):
    data = make_slice(
        (0, 0, z), Rows=ROWS, Columns=COLUMNS, BitsAllocated=allocated, BitsStored=bits,
        HighBit=bits - 1, PixelRepresentation=int(signed), RescaleSlope="1", RescaleIntercept="-1000",
    )  # fmt: skip
    data.file_meta.TransferSyntaxUID = syntax
    data.PixelData = encapsulate([frame]) if syntax.is_encapsulated else frame
    if syntax.is_encapsulated:
        data["PixelData"].VR = "OB"
    return data


def read(tmp_path, make_one):
    with open_source(save(tmp_path / "a", [make_one(z) for z in (0.0, 2.0)])) as source:
        source.verify()
        found = source.read(0, 0, 2) + 1000
    np.testing.assert_array_equal(found[0], found[1])
    return found[0]


LOSSLESS = {
    "jpeg lossless": (JPEGLosslessSV1, imagecodecs.ljpeg_encode(U12, bitspersample=12), U12, {}),
    "jpeg lossless 57": (JPEGLossless, imagecodecs.ljpeg_encode(U12, bitspersample=12), U12, {}),
    "jpeg lossless signed": (
        JPEGLosslessSV1, imagecodecs.ljpeg_encode(S16.view(np.uint16), bitspersample=16), S16, NATIVE,
    ),
    "jpeg lossless signed 12": (
        JPEGLosslessSV1, imagecodecs.ljpeg_encode(S12.view(np.uint16) & 0xFFF, bitspersample=12), S12,
        {"signed": True},
    ),
    "jpeg-ls": (JPEGLSLossless, imagecodecs.jpegls_encode(U12), U12, {}),
    "jpeg-ls signed": (JPEGLSLossless, imagecodecs.jpegls_encode(S16.view(np.uint16)), S16, NATIVE),
    "jpeg 2000": (
        JPEG2000Lossless, imagecodecs.jpeg2k_encode(S16, codecformat="j2k", reversible=True, level=0), S16,
        NATIVE,
    ),
    "jpeg 2000, sign not told": (
        JPEG2000Lossless,
        imagecodecs.jpeg2k_encode(S16.view(np.uint16), codecformat="j2k", reversible=True, level=0),
        S16, NATIVE,
    ),
    "jpeg 2000 12 bits": (
        JPEG2000,
        imagecodecs.jpeg2k_encode(U12, codecformat="j2k", reversible=True, level=0, bitspersample=12),
        U12, {},
    ),
    "high-throughput jpeg 2000": (HTJ2KLossless, imagecodecs.htj2k_encode(U12, reversible=True), U12, {}),
    "little": (ExplicitVRLittleEndian, S16.astype("<i2").tobytes(), S16, NATIVE),
    "implicit": (ImplicitVRLittleEndian, S16.astype("<i2").tobytes(), S16, NATIVE),
    "big": (ExplicitVRBigEndian, S16.astype(">i2").tobytes(), S16, NATIVE),
    "deflated": (DeflatedExplicitVRLittleEndian, S16.astype("<i2").tobytes(), S16, NATIVE),
    "overlay in unused bits": (
        ExplicitVRLittleEndian, (U12 | ((Y + X) % 3 << 14).astype(np.uint16)).tobytes(), U12, {},
    ),
    "signed 12 bits, not extended": (
        ExplicitVRLittleEndian, (S12.view(np.uint16) & 0xFFF).tobytes(), S12, {"signed": True},
    ),
    "overlay in unused bits, jpeg-ls": (
        JPEGLSLossless, imagecodecs.jpegls_encode(U12 | ((Y + X) % 3 << 14).astype(np.uint16)), U12, {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSLESS)
def test_every_lossless_packing_gives_the_values_back(tmp_path, name):
    syntax, frame, wanted, how = LOSSLESS[name]
    np.testing.assert_array_equal(read(tmp_path, lambda z: make(frame, syntax, z, **how)), wanted)


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGExtended12Bit])
def test_lossy_jpeg_comes_close(tmp_path, bits, syntax):
    if (bits, syntax) == (12, JPEGBaseline8Bit):
        return
    wanted = U8 if bits == 8 else U12
    frame = imagecodecs.jpeg_encode(wanted, level=100, bitspersample=bits)
    allocated = 8 if bits == 8 else 16
    found = read(tmp_path, lambda z: make(frame, syntax, z, bits=bits, allocated=allocated))
    np.testing.assert_allclose(found, wanted, atol=2)


def test_frames_of_a_run_length_file_and_of_an_extended_table_are_told_apart(tmp_path):
    shared = make(U12.tobytes(), ExplicitVRLittleEndian)
    shared.GridFrameOffsetVector, shared.NumberOfFrames = [0.0, 2.0, 4.0], 3
    planes = np.stack([U12, U12[::-1], U12 // 2])
    shared.PixelData = planes.tobytes()
    shared.compress(RLELossless, generate_instance_uid=False)
    with open_source(save(tmp_path / "rle", [shared])) as source:
        np.testing.assert_array_equal(source.read(0, 0, 3) + 1000, planes)
    shared.file_meta.TransferSyntaxUID = JPEGLSLossless
    frames = [imagecodecs.jpegls_encode(np.ascontiguousarray(plane)) for plane in planes]
    shared.PixelData, table, lengths = encapsulate_extended(frames)
    shared.ExtendedOffsetTable, shared.ExtendedOffsetTableLengths = table, lengths
    with open_source(save(tmp_path / "table", [shared])) as source:
        np.testing.assert_array_equal(source.read(0, 2, 3)[0] + 1000, planes[2])


@pytest.mark.parametrize(
    ("name", "kind"), [("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")]
)
def test_floating_point_pixels_are_read_with_their_padding(tmp_path, name, kind):
    values = (U12 / 7).astype(kind)
    values[0, 0] = -5.0

    def one(z):
        data = make(None, ExplicitVRLittleEndian, z)
        for unused in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(data, unused)
        data.BitsAllocated, data.FloatPixelPaddingValue = 8 * values.dtype.itemsize, -5.0
        setattr(data, name, values.tobytes())
        return data

    np.testing.assert_allclose(read(tmp_path, one), values, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"BitsAllocated": 1}, "BitsAllocated"),
        ({"BitsAllocated": 12}, "BitsAllocated"),
        ({"BitsStored": 20}, "BitsStored"),
        ({"BitsStored": 0}, "BitsStored"),
        ({"HighBit": 15, "BitsStored": 12}, "HighBit"),
        ({"Rows": 0}, "Rows"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "RGB"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE"),
        ({"NumberOfFrames": "999999999"}, "NumberOfFrames"),
    ],
)
def test_pixels_that_are_not_read_are_refused_by_their_field(tmp_path, changes, field):
    data = make(S16.tobytes(), ExplicitVRLittleEndian, **NATIVE)
    for key, value in changes.items():
        setattr(data, key, value)
    with pytest.raises(DataError, match=field) as caught:
        open_source(save(tmp_path / "a", [data]))
    assert caught.value.code == "unreadable"


@pytest.mark.parametrize("rows", [60000, 17])
def test_a_size_that_lies_is_truncated_before_anything_is_allocated(tmp_path, rows):
    data = make(S16.tobytes(), ExplicitVRLittleEndian, **NATIVE)
    data.Rows = rows
    with pytest.raises(DataError) as caught:
        open_source(save(tmp_path / "a", [data]))
    assert caught.value.code == "truncated"


def test_monochrome1_values_are_values(tmp_path):
    def one(z):
        data = make(S16.tobytes(), ExplicitVRLittleEndian, z, **NATIVE)
        data.PhotometricInterpretation = "MONOCHROME1"
        return data

    np.testing.assert_array_equal(read(tmp_path, one), S16)


def test_check_finds_a_missing_codec_and_a_cut_file_without_reading_all(tmp_path):
    frame = imagecodecs.jpegls_encode(U12)
    slices = [make(frame, JPEGLSLossless, z) for z in (0.0, 2.0, 4.0)]
    slices[2].file_meta.TransferSyntaxUID = JPEG2000Lossless  # its pixels are none
    with open_source(save(tmp_path / "a", slices)) as source:
        with pytest.raises(DataError, match="JPEG 2000") as caught:
            source.verify()
        assert caught.value.code == "unreadable"
    folder = save(tmp_path / "b", [make(frame, JPEGLSLossless, z) for z in (0.0, 2.0, 4.0)])
    content = (folder / "001.dcm").read_bytes()
    (folder / "001.dcm").write_bytes(content[: len(content) - len(frame) // 2])
    with open_source(folder) as source:
        with pytest.raises(DataError, match=r"001\.dcm") as caught:
            source.verify()
        assert caught.value.code == "truncated"


def test_eight_bits_and_odd_lengths_are_read(tmp_path):
    odd = np.arange(15, dtype=np.uint8).reshape(3, 5)

    def one(z):
        data = make(odd.tobytes() + b"\0", ExplicitVRLittleEndian, z, bits=8, allocated=8)
        data.Rows, data.Columns = odd.shape
        return data

    np.testing.assert_array_equal(read(tmp_path, one), odd)


STREAMS = {
    JPEGLosslessSV1: imagecodecs.ljpeg_encode(U12, bitspersample=12),
    JPEGLSLossless: imagecodecs.jpegls_encode(U12),
    JPEG2000Lossless: imagecodecs.jpeg2k_encode(U12, codecformat="j2k", reversible=True, level=0),
    JPEGBaseline8Bit: imagecodecs.jpeg_encode(U8, level=95),
}


@pytest.mark.parametrize("syntax", STREAMS)
def test_a_damaged_stream_never_hangs_kills_or_allocates_by_its_own_word(tmp_path, syntax):
    """CharLS looks for the end of a cut stream for ever, and GDCM's ends the process."""
    rng = np.random.default_rng(3)
    stream = STREAMS[syntax]
    found = []
    for trial in range(60):
        frame = bytearray(stream)
        for _ in range(rng.integers(1, 6)):
            frame[rng.integers(len(frame))] = rng.integers(256)
        if trial % 3 == 0:
            frame = frame[: rng.integers(len(frame))]
        try:
            found.append(decoded(bytes(frame), str(syntax), (ROWS, COLUMNS), 16, is_signed=False))
        except (EOFError, RuntimeError) as error:
            found.append(error)
    assert any(isinstance(f, EOFError) for f in found)
    assert all(f.shape == (ROWS, COLUMNS) for f in found if isinstance(f, np.ndarray))
    wide = bytearray(stream)
    at = wide.find(ROWS.to_bytes(2, "big") + COLUMNS.to_bytes(2, "big"))
    if at > 0:
        wide[at : at + 4] = b"\xff\xff\xff\xff"
        with pytest.raises(RuntimeError, match="the header says"):
            decoded(bytes(wide), str(syntax), (ROWS, COLUMNS), 16, is_signed=False)


@pytest.mark.parametrize("told", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_data_set_that_is_encoded_otherwise_than_told_is_read_as_it_is(tmp_path, told):
    def write(z):
        data = make(S16.astype("<i2").tobytes(), told, z, **NATIVE)
        meta, data.file_meta = data.file_meta, None
        del data.file_meta
        body, head = BytesIO(), BytesIO()
        is_implicit = told != ImplicitVRLittleEndian
        pydicom.dcmwrite(body, data, implicit_vr=is_implicit, little_endian=True)
        meta.FileMetaInformationVersion, meta.ImplementationClassUID = b"\0\1", "1.2.3"
        write_file_meta_info(head, meta)
        place = tmp_path / f"{z}.dcm"
        place.write_bytes(bytes(128) + b"DICM" + head.getvalue() + body.getvalue())

    for z in (0.0, 2.0):
        write(z)
    with open_source(tmp_path) as source:
        found = source.read(0, 0, 2) + 1000
    np.testing.assert_array_equal(found, [S16, S16])


def test_loss_is_told(tmp_path):
    data = make(U12.tobytes(), ExplicitVRLittleEndian)
    with open_source(save(tmp_path / "a", [data])) as source:
        assert "lossy_compressed" not in source.header.repairs
    data.LossyImageCompression = "01"
    with open_source(save(tmp_path / "b", [data])) as source:
        assert "lossy_compressed" in source.header.repairs
