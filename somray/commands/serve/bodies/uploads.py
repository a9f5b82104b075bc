"""Scans that were sent: what each file is, its content says; it gets a name of our own in a private folder."""

import shutil
from pathlib import Path
from typing import BinaryIO

from somray.commands.serve.bodies.archives import unpack_dicom
from somray.commands.serve.refusal import RefusedError
from somray.io.readers.dicom.dataset import is_dicom_head

__all__ = ["store_upload", "suffix_of"]

_HEAD = 1024


def suffix_of(head: bytes) -> str:
    """Return the suffix of a file by its first kilobyte.

    Raises:
        RefusedError: it is none of the formats that are taken.
    """
    if head[:4] == b"PK\x03\x04":
        return ".zip"
    if head[:2] == b"\x1f\x8b":
        return ".nii.gz"
    if head[:5] == b"NRRD0":
        return ".nrrd"
    if head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0":
        return ".nii"
    if head.lstrip().startswith((b"ObjectType", b"NDims", b"Comment")):
        return ".mha"
    if is_dicom_head(head):
        return ".dcm"
    if head[:4] == b"PK\x05\x06":
        raise RefusedError(422, "zip", "the zip is empty")
    raise RefusedError(
        415,
        "format",
        "a file is neither NIfTI, NRRD, MHA (header and voxels in one file), DICOM nor a zip of DICOM files",
    )


def store_upload(file: BinaryIO, folder: Path, number: int, most_bytes: int) -> Path:
    """Write what was sent for one channel into a private folder; return what a reader opens.

    Raises:
        RefusedError: it cannot be taken.
    """
    head = file.read(_HEAD)
    target = folder / f"channel{number}{suffix_of(head)}"
    with target.open("xb") as out:
        out.write(head)
        shutil.copyfileobj(file, out, 1 << 20)
    if target.suffix != ".zip":
        return target
    unpacked = folder / f"channel{number}"
    unpacked.mkdir()
    unpack_dicom(target, unpacked, most_bytes)
    target.unlink()
    return unpacked
