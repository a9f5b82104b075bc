"""Small NRRD files, and how tests of readers open what they wrote."""

import numpy as np
import pytest

from somray.errors import DataError
from somray.io.readers import open_source

VALUES = np.random.default_rng(0).integers(-900, 900, (4, 5, 6)).astype(np.int16)  # z, y, x
RAW = VALUES.astype("<i2").tobytes()
CUBE = "(0.8,0,0) (0,0.9,0) (0,0,2)"
PLACE = f"space: left-posterior-superior\nspace directions: {CUBE}\nspace origin: (1,2,3)"
LPS = np.array([[0.8, 0, 0, 1], [0, 0.9, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1.0]])


def write_nrrd(path, fields=PLACE, data=RAW, **given):
    head = {
        "type": "short",
        "dimension": "3",
        "sizes": "6 5 4",
        "encoding": "raw",
        "endian": "little",
    } | given
    lines = [
        given.get("magic", "NRRD0005"),
        *(f"{k}: {v}" for k, v in head.items() if v and k != "magic"),
    ]
    text = "\n".join([*lines, *([fields] if fields else [])]) + "\n\n"
    path.write_bytes(text.encode() + data)
    return path


def opened(path):
    with open_source(path) as source:
        source.verify()
        header = source.header
        return header, np.stack(
            [source.read(t, 0, header.shape[1]) for t in range(header.shape[0])]
        )


def refused(path):
    with pytest.raises(DataError) as caught:
        opened(path)
    return caught.value
