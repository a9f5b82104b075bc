"""A zip of DICOM files, unpacked into a private folder under names of our own.

Sizes that the directory declares are added up before the first byte is unpacked, and held while it is. Folders,
names, links and whatever is no DICOM stay behind; a zip within it is no DICOM.
"""

import zipfile
from pathlib import Path

from somray.commands.serve.refusal import RefusedError
from somray.io.readers.dicom.dataset import is_dicom_head

__all__ = ["unpack_dicom"]

MOST_FILES = 20_000
MOST_RATIO = 200  # of unpacked to packed bytes, all files together; DICOM seldom reaches 10, blank slices 500
SMALL_BYTES = 1 << 16  # of an archive whose ratio says nothing
_CHUNK = 1 << 20
_ENCRYPTED = 0x1
_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def unpack_dicom(archive: Path, folder: Path, most_bytes: int) -> int:
    """Unpack what is DICOM into an empty folder, at most so many bytes together; return how many files.

    Raises:
        RefusedError: it is no zip, unpacks to too much, is encrypted, or holds no DICOM.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            wanted = _checked(opened, most_bytes)
            kept = sum(
                _unpack(opened, one, folder / f"{n:06d}.dcm") for n, one in enumerate(wanted)
            )
    except (zipfile.BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as error:
        raise RefusedError(422, "zip", "the zip is damaged, or packed in a way not read") from error
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise RefusedError(422, "zip", "the zip is damaged") from error
        raise
    if not kept:
        raise RefusedError(
            422,
            "zip",
            "the zip holds no DICOM file; send those of one series, and other formats without a zip",
        )
    return kept


def _checked(opened: zipfile.ZipFile, most_bytes: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive whose declared sizes are bearable."""
    files = [one for one in opened.infolist() if not one.is_dir()]
    if len(files) > MOST_FILES:
        raise RefusedError(413, "too_large", f"at most {MOST_FILES} files are taken of a zip")
    unpacked, packed = sum(one.file_size for one in files), sum(one.compress_size for one in files)
    if unpacked > most_bytes:
        raise RefusedError(413, "too_large", f"a zip may unpack to {most_bytes} bytes at most")
    if any(one.flag_bits & _ENCRYPTED or one.compress_type not in _KINDS for one in files):
        raise RefusedError(422, "zip", "a zip must be stored or deflated, and not encrypted")
    if unpacked > max(SMALL_BYTES, MOST_RATIO * packed):
        raise RefusedError(
            413, "too_large", f"the zip unpacks to more than {MOST_RATIO} times its size"
        )
    return files


def _unpack(opened: zipfile.ZipFile, one: zipfile.ZipInfo, target: Path) -> bool:
    """Unpack one file as far as it declares, where it is DICOM."""
    left = one.file_size
    with opened.open(one) as packed:
        head = packed.read(min(left, 1 << 12))
        if not is_dicom_head(head):
            return False
        with target.open("xb") as out:
            while head and left > 0:
                out.write(head[:left])
                left -= len(head)
                head = packed.read(min(max(left, 0), _CHUNK))
    return True
