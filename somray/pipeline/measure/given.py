"""The masks that a person gives: files, folders of them, or tables that say which mask is whose.

Of a folder only files are taken that may be masks by their names; folders of nnU-Net's images are passed over.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from somray.domain.scan import Scan
from somray.errors import ConfigError
from somray.io.cohort.sheet import read_sheet
from somray.io.storage import is_url
from somray.pipeline.measure.naming import NamedScan, ScanNames
from somray.pipeline.measure.request import WantedLabels

__all__ = ["GivenFile", "Unplaced", "given_files"]

_ENDINGS = (
    ".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".dcm", ".hdr", ".hdr.gz", ".tif", ".tiff",
)  # fmt: skip
_TABLES = (".csv", ".tsv", ".parquet")
_IMAGES = ("imagestr", "imagests")  # nnU-Net's
_COLUMNS = ("subject", "session", "path", "label")
_MOST_NAMED = 20


@dataclass(frozen=True)
class GivenFile:
    """A mask's file and the scan that it is said to be of.

    The path or a table says so; labels count where a table names them.
    """

    path: str
    named: NamedScan
    labels: WantedLabels = field(default_factory=WantedLabels)
    by_table: bool = False


@dataclass(frozen=True)
class Unplaced:
    """A mask that is no scan's, and why."""

    path: str
    code: str
    message: str


def given_files(
    given: Sequence[str], scans: Sequence[Scan]
) -> tuple[list[GivenFile], list[Unplaced]]:
    """Find all masks and the scans that they name.

    Returns:
        Masks with one scan each, in order of their paths, and those that name none, or more than one.

    Raises:
        ConfigError: something given does not exist, or a table is wrong; all its faulty rows are named.
    """
    names, found, unplaced = ScanNames(scans), list[GivenFile](), list[Unplaced]()
    for text in given:
        if is_url(text):
            raise ConfigError(f"{text}: masks are read from this machine's files; copy them here")
        place = Path(text).expanduser().absolute()
        if not place.exists():
            raise ConfigError(f"{place}: does not exist")
        if place.is_file() and place.name.lower().endswith(_TABLES):
            found += _of_table(place, names)
            continue
        for file in _within(place):
            _name(file, place, names, found, unplaced)
    return _once(found), unplaced


def _within(place: Path) -> Iterator[Path]:
    """Walk what may be masks."""
    if place.is_file():
        yield place
        return
    for folder, folders, files in os.walk(place):
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and f.lower() not in _IMAGES
        )
        for name in sorted(files):
            if not name.startswith(".") and name.lower().endswith(_ENDINGS):
                yield Path(folder, name)


def _name(
    file: Path, given: Path, names: ScanNames, found: list[GivenFile], unplaced: list[Unplaced]
) -> None:
    """Take one file; what lies above the folder that was given counts only where nothing below names a scan."""
    parts = file.relative_to(given).parts or (file.name,)
    named = names.find((given.name, *parts) if given.is_dir() else parts)
    if not named.scans:
        named = names.find(file.parts[1:])
    if len(named.scans) == 1:
        found.append(GivenFile(str(file), named))
    elif named.scans:
        could = ", ".join(f"{scan.subject} {scan.session}" for scan in named.scans[:_MOST_NAMED])
        told = f"names {could} equally well; rename it sub-S_ses-T, or give a table of masks"
        unplaced.append(Unplaced(str(file), "mask_ambiguous", f"mask {file}: {told}"))
    else:
        told = "names no scan of the run; rename it sub-S_ses-T, or give a table of masks"
        unplaced.append(Unplaced(str(file), "mask_missing", f"mask {file}: {told}"))


def _of_table(table: Path, names: ScanNames) -> Iterator[GivenFile]:
    """Read rows of subject, session, path and label.

    Raises:
        ConfigError: a column is missing, a row names no scan of the run or no file.
    """
    sheet = read_sheet(table, _COLUMNS)
    missing = [c for c in _COLUMNS[:3] if c not in sheet.columns]
    unknown = [c for c in sheet.columns if c not in _COLUMNS]
    if missing or unknown:
        what = f"lacks {', '.join(missing)}" if missing else f"has also {', '.join(unknown)}"
        raise ConfigError(f"{table}: a table of masks has {', '.join(_COLUMNS)}; this one {what}")
    found, faults = list[GivenFile](), list[str]()
    for line, cells in sheet.rows:
        scan = names.exactly(cells["subject"], cells["session"])
        path = Path(os.path.normpath(table.parent / Path(cells["path"]).expanduser()))
        who = f"row {line} ({cells['subject']} {cells['session']})"
        if scan is None:
            faults.append(f"{who}: the run has no such scan")
        elif not cells["path"] or not path.exists():
            faults.append(f"{who}: {path if cells['path'] else 'its path'} does not exist")
        else:
            labels = WantedLabels.parse((cells.get("label", ""),))
            found.append(GivenFile(str(path), NamedScan((scan,), path.name), labels, by_table=True))
    if faults:
        more = len(faults) - _MOST_NAMED
        told = "\n".join(faults[:_MOST_NAMED]) + (f"\n… and {more} more" if more > 0 else "")
        raise ConfigError(f"{table}:\n{told}")
    yield from found


def _once(files: Sequence[GivenFile]) -> list[GivenFile]:
    """Take a file that is given twice once; what a table says of it holds."""
    by_table = [file for file in files if file.by_table]
    told = {file.path for file in by_table}
    rest = {file.path: file for file in files if not file.by_table and file.path not in told}
    return [*by_table, *rest.values()]
