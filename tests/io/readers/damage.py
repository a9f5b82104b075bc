"""Damage files by a seed and read them in a process of their own: `python -m tests.io.readers.damage FIRST LAST`.

One JSON line is printed before and one after each seed, so that who listens knows which one killed the process.
"""

import contextlib
import gzip
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom

from somray.errors import DataError
from somray.io.masks.label_masks import LabelMask
from somray.io.readers import open_source
from tests.io.readers.valid_files import MAKERS, files_of

SECONDS = 8  # for one file
MEMORY_BYTES = 300 << 20  # that are touched beyond what the process holds before it opens the file
ADDRESS_BYTES = (
    5 << 30
)  # asked for in all: a lying length of 32 bits is read into a buffer that nobody fills
SLICE_BYTES = 100 << 20  # a larger one is read in parts, or asks for its memory
MOST_READS = 300
HEADER_BYTES = 600
LIES = (
    "0",
    "-1",
    "1",
    "99999999999",
    "4294967295",
    "65536",
    "1e30",
    "nan",
    "inf",
    "x",
    "",
    "3.5",
    "0 0 0",
)
WORDS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
TAGS = (
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "RescaleSlope", "RescaleIntercept", "Modality", "SeriesInstanceUID", "SOPClassUID", "ImageType",
    "NumberOfFrames", "PixelData", "PatientWeight", "Units", "SeriesTime", "SliceThickness",
    "RadiopharmaceuticalInformationSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

Generator = np.random.Generator


def _place(rng: Generator, size: int) -> int:
    """Choose a byte, every other time one of the header."""
    return int(rng.integers(0, max(1, min(size, HEADER_BYTES) if rng.random() < 0.6 else size)))


def truncate(data: bytes, rng: Generator) -> bytes:
    """Keep the beginning."""
    return data[: _place(rng, len(data))]


def flip(data: bytes, rng: Generator) -> bytes:
    """Change some bytes."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        if out:
            out[_place(rng, len(out))] = int(rng.integers(0, 256))
    return bytes(out)


def block(data: bytes, rng: Generator) -> bytes:
    """Zero, repeat, remove or insert a block."""
    start, size = _place(rng, len(data)), int(2 ** rng.integers(1, 10))
    head, body, tail = data[:start], data[start : start + size], data[start + size :]
    new = (bytes(len(body)), body * 2, b"", body + rng.bytes(size))[rng.integers(0, 4)]
    return head + new + tail


def lie(data: bytes, rng: Generator) -> bytes:
    """Overwrite a number: a word of the header, or digits of a text."""
    start = _place(rng, len(data))
    stop = start
    while stop < len(data) and data[stop : stop + 1].isdigit():
        stop += 1
    if stop > start:
        return data[:start] + LIES[rng.integers(0, len(LIES))].encode() + data[stop:]
    size = int(2 ** rng.integers(0, 4))
    value = int(WORDS[rng.integers(0, len(WORDS))]) % (1 << 8 * size)
    order = "little" if rng.random() < 0.7 else "big"
    start -= start % min(size, 4)
    return data[:start] + value.to_bytes(size, order) + data[start + size :]


def extreme(data: bytes, rng: Generator) -> bytes:
    """Leave nothing, or junk before, behind or instead of it."""
    junk = rng.bytes(int(rng.integers(1, 2000)))
    return (b"", junk, data + junk, junk + data, data * 2)[rng.integers(0, 5)]


DAMAGES = (truncate, flip, flip, block, block, lie, lie, lie, extreme)


def unpacked(data: bytes, rng: Generator, change) -> bytes:
    """Damage what lies inside a compressed file, which then unpacks without an error."""
    if data[:2] == b"\x1f\x8b":
        try:
            return gzip.compress(change(gzip.decompress(data), rng), mtime=0)
        except (OSError, EOFError, zlib.error):  # damaged before
            return change(data, rng)
    head, _, tail = data.partition(b"\n\n" if b"\n\n" in data else b"ElementDataFile = LOCAL\n")
    mark = data[len(head) : len(data) - len(tail)]
    try:
        return head + mark + zlib.compress(change(zlib.decompress(tail), rng))
    except zlib.error:
        return change(data, rng)


def drop_tags(file: Path, rng: Generator) -> bool:
    """Take an element of a DICOM file out, or let it lie; False where it is no such file."""
    try:
        data = pydicom.dcmread(file, force=False)
    except Exception:
        return False
    for name in rng.choice(TAGS, int(rng.integers(1, 3)), replace=False):
        if name not in data or rng.random() < 0.5:
            data.pop(name, None)
            continue
        element = data[name]
        if element.VR in ("US", "UL", "SS", "IS"):
            element.value = int(rng.choice((0, 1, 7, 12, 4000, 65535)))
        elif element.VR == "DS":
            count = int(rng.integers(0, 4))
            element.value = [str(v) for v in rng.choice((0, -1, 1e-9, 1e9, 3, 5), count)]
        elif name == "PixelData":
            element.value = bytes(element.value)[: int(rng.integers(0, 60)) * 2]
        else:
            data.pop(name)
    with contextlib.suppress(Exception):  # what cannot be written whole is left as far as it came
        data.save_as(file)
    return True


def damage(folder: Path, seed: int) -> tuple[str, Path]:
    """Make one damaged source; return what it is and where it lies."""
    rng = np.random.default_rng(seed)
    name = list(MAKERS)[seed % len(MAKERS)]
    source = MAKERS[name](folder)
    told = []
    for _ in range(1 if rng.random() < 0.7 else 2):
        files = [f for f in files_of(source) if f.stat().st_size]
        if not files:
            break
        file = files[rng.integers(0, len(files))]
        change = DAMAGES[rng.integers(0, len(DAMAGES))]
        told.append(f"{change.__name__} {file.name}")
        if len(files) > 1 and rng.random() < 0.08:
            file.unlink()
            told[-1] = f"without {file.name}"
        elif rng.random() < 0.4 and drop_tags(file, rng):
            told[-1] = f"tags {file.name}"
        elif rng.random() < 0.4:
            file.write_bytes(unpacked(file.read_bytes(), rng, change))
        else:
            file.write_bytes(change(file.read_bytes(), rng))
    return f"{name}: {', '.join(told)}", source


def read_all(path: Path) -> str:
    """Open, verify and read a source as ingest does; return how it ended.

    Raises:
        AssertionError: what is read is not what the header says.
    """
    with open_source(path, "resample") as source:
        times, *grid = source.header.shape
        assert min(times, *grid) > 0
        assert np.isfinite(source.header.geometry.matrix).all()
        if 4 * grid[1] * grid[2] > SLICE_BYTES:
            return "too_large"
        source.verify()
        deep = max(1, (16 << 20) // (4 * grid[1] * grid[2]))
        steps = ((t, z) for t in range(times) for z in range(0, grid[0], deep))
        for n, (t, z) in enumerate(steps):
            if n == MOST_READS:
                return "long"
            found = source.read(t, z, min(grid[0], z + deep))
            assert found.shape == (min(grid[0], z + deep) - z, *grid[1:])
            assert found.dtype == np.float32
    return "read"


def read_labels(path: Path) -> None:
    """Read a source as if it were a mask."""
    with LabelMask(str(path)) as mask:
        shape = mask.geometry.shape
        if 4 * shape[1] * shape[2] < SLICE_BYTES:
            assert mask.read(0, 1).shape == (1, *shape[1:])


def _refused(error: DataError) -> str:
    """Return the code of a refusal; being out of memory is none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"FAULT: memory: {error}"
        cause = cause.__cause__ or cause.__context__
    return error.code


def attempt(path: Path) -> str:
    """Read one damaged source; what begins with FAULT is a fault of ours."""

    def late(*_: object) -> None:
        raise TimeoutError("took too long")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    before = _peak_bytes(anew=True)
    try:
        ended = read_all(path)
        read_labels(path)
    except DataError as error:
        ended = f"FAULT: {error}" if "took too long" in str(error) else _refused(error)
    except BaseException as error:
        ended = f"FAULT: {type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    touched = _peak_bytes() - before
    if touched > MEMORY_BYTES:
        return f"FAULT: memory: {touched >> 20} MiB for a file of some KiB"
    return ended


def _peak_bytes(*, anew: bool = False) -> int:
    """Return the largest resident memory since it was last asked for anew."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    told = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return int(told.split()[0]) * 1024


def _limit_memory() -> None:
    """Make what asks for more than any file of these can need fail, instead of the machine."""
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + ADDRESS_BYTES, resource.RLIM_INFINITY))


def main(first: int, last: int) -> None:
    """Try all seeds from the first to the last (excluded)."""
    warnings.simplefilter("ignore")
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print what they think of such files
    os.dup2(1, 2)
    for kind in MAKERS:  # import what readers import when they are first asked
        with tempfile.TemporaryDirectory() as place:
            attempt(MAKERS[kind](Path(place)))
    _limit_memory()
    for seed in range(first, last):
        print(json.dumps({"seed": seed}), file=out, flush=True)
        folder = Path(tempfile.mkdtemp())
        try:
            what, source = damage(folder, seed)
            ended = attempt(source)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        print(json.dumps({"seed": seed, "what": what, "ended": ended}), file=out, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
