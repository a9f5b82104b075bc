"""Files damaged at random: each ends in a coded refusal or is read, soon and within bounded memory."""

import gzip
import random
import time
import tracemalloc

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK

from somray.errors import DataError
from somray.io.readers import open_source
from tests.io.voxel_files import VALUES

MOST_SECONDS = 5.0
MOST_BYTES = 32 << 20
LIES = (
    b"\xff\xff\xff\x7f",
    b"99999",
    b"\0\0\0\0",
    b"\0\0\xc0\x7f",
    b"-1 ",
    b"\xff\x7f\xff\x7f",
    b"",
)
MAKERS = {
    "a.nii": lambda path: nib.save(nib.Nifti1Image(VALUES.T, np.eye(4)), path),
    "b.nii": lambda path: nib.save(nib.Nifti2Image(VALUES.T, np.eye(4)), path),
    "c.nii.gz": lambda path: nib.save(nib.Nifti1Image(VALUES.T, np.eye(4)), path),
    "d.nrrd": lambda path: nrrd.write(
        str(path), VALUES.T, {"encoding": "gzip", "spacings": [1, 2, 3]}
    ),
    "e.nrrd": lambda path: nrrd.write(
        str(path), VALUES.T, {"encoding": "ascii", "spacings": [1, 2, 3]}
    ),
    "f.nrrd": lambda path: nrrd.write(
        str(path), VALUES.T, {"encoding": "bzip2", "spacings": [1, 2, 3]}
    ),
    "g.nrrd": lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VALUES), str(path)),
    "h.mha": lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VALUES), str(path)),
    "i.mha": lambda path: SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(VALUES), str(path), True
    ),
}


def damaged(content, chance):
    """Cut, flip, overwrite, take out or put in; mostly in the header."""
    raw = bytearray(content)
    at = chance.randrange(chance.choice((len(raw), min(len(raw), 400))))
    how = chance.choice(("cut", "flip", "lie", "drop", "add"))
    if how == "cut":
        del raw[at:]
    elif how == "flip":
        for _ in range(chance.choice((1, 20))):
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    elif how == "lie":
        lie = chance.choice(LIES)
        raw[at : at + len(lie)] = lie
    elif how == "drop":
        del raw[at : at + chance.randrange(1, 60)]
    else:
        raw[at:at] = chance.randbytes(40)
    return bytes(raw)


def outcome(path):
    """Return the code of a refusal, or ok."""
    try:
        with open_source(path) as source:
            source.verify()
            source.read(0, 0, 1)
    except DataError as error:
        return error.code
    return "ok"


@pytest.mark.parametrize("name", MAKERS)
def test_no_damage_ends_in_anything_but_a_code(tmp_path, name):
    MAKERS[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    is_packed = name.endswith(".gz")
    chance, seen = random.Random(name), set()
    assert outcome(tmp_path / name) == "ok"
    tracemalloc.start()
    try:
        for _ in range(60):
            own = is_packed and chance.random() < 0.6  # the packed header, or the one within
            spoiled = damaged(gzip.decompress(content) if own else content, chance)
            (tmp_path / name).write_bytes(gzip.compress(spoiled) if own else spoiled)
            began = time.monotonic()
            seen.add(outcome(tmp_path / name))
            assert time.monotonic() - began < MOST_SECONDS
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert seen & {"unreadable", "truncated"}
