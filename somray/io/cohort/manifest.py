"""The manifest: scans.csv or .parquet to scans; all faulty rows are named at once.

One row is one file. Rows of one subject and session are the channels of one scan.
"""

import difflib
import math
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from somray.config import CohortConfig
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import ConfigError
from somray.io.cohort.place import place_of
from somray.io.cohort.sheet import Sheet, read_sheet
from somray.io.readers.remote import shown_url
from somray.io.storage import is_url

__all__ = ["COLUMNS", "load_manifest"]

COLUMNS = {
    "subject": "required; letters, digits, '.', '_', '-'; begins with a letter or digit",
    "session": "required; as subject; one time point of the subject",
    "protocol": "required; a key of `protocols`",
    "path": "required; file or folder, relative to the manifest, or an fsspec URL; `#channel=NAME` at its end "
    "chooses one of several channels of a TIFF or OME-Zarr",
    "channel": "a channel of the protocol; where left out, its channels in the order of the rows",
    "days": "days since the subject's first session; orders sessions where given for all of them",
    "truth": "label mask, or a folder with one mask per label, on the row of the first channel; used for the `truth` "
    "table alone",
    "anatomy": "organ mask, on the row of the first channel: a label mask, or a folder with one mask per "
    "organ; its names from the protocol's `anatomy`, its own header or a file beside it; never needed",
}
"""Column to meaning; `schemas/scans.v1.json` holds them."""

_REQUIRED = ("subject", "session", "protocol", "path")
_OPTIONAL = tuple(column for column in COLUMNS if column not in _REQUIRED)
_NOTHING = frozenset(("n/a", "na", "#n/a", "nan", "none", "null", "<na>"))
"""What BIDS, R, Excel and pandas write where nothing stands."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST = 64  # characters of a name, as in the configuration: files are named after one subject and two sessions
_SHORTENED = re.compile(r"[0-9](\.[0-9]+)?E\+[0-9]+")
_NUMBER = re.compile(r"[-+]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][-+]?[0-9]+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]{0,2},[0-9]{3}")
_DATE = re.compile(
    r"[0-9]{1,4}([./-])[0-9]{1,2}\1[0-9]{1,4}|[0-9]{1,2}[-. ]*[A-Za-z]{3}|[A-Za-z]{3,9}[-. ]+[0-9]"
)
_WITH_UNIT = re.compile(r"([-+]?[0-9.]+) *d(ays?)?", re.IGNORECASE)
_MOST_DAYS = 36525  # a century; above it Excel's numbers of dates of this century begin
_MOST_NAMED = 50  # faulty rows named in one message


@dataclass
class _Rows:
    """Rows of one subject and session, gathered: per channel the path as written and absolute."""

    subject: str
    session: str
    protocol: str
    line: int
    sources: dict[str, tuple[str, str]] = field(default_factory=dict)
    days: float | None = None
    truth: str | None = None
    anatomy: str | None = None


def load_manifest(path: Path, config: CohortConfig) -> list[Scan]:
    """Read and check the manifest.

    Returns:
        Scans in the manifest's order, sessions numbered in time.

    Raises:
        ConfigError: it cannot be read, lacks a column or row, or holds rows that are wrong; all such
            rows are named.
    """
    sheet = _read(path)
    problems: list[str] = []
    gathered: dict[tuple[str, str], _Rows] = {}
    for line, cells in sheet.rows:
        row = _row(cells, path.parent, config)
        found = _problems(row, config) or _located(row, path.parent)
        if sheet.is_guessed and not found:
            found = _misread(row, cells)
        if not found:
            found = _gather(row, cells["path"], line, config, gathered)
        problems += [f"row {line} ({row['subject']} {row['session']}): {what}" for what in found]
    problems += _colliding(gathered) or ([] if problems else _unreferred(gathered, config))
    if problems:
        shown = "\n".join(problems[:_MOST_NAMED])
        more = len(problems) - _MOST_NAMED
        raise ConfigError(f"{path}:\n{shown}" + (f"\n… and {more} more" if more > 0 else ""))
    return _ordered([_scan(rows, config) for rows in gathered.values()])


def _read(path: Path) -> Sheet:
    """Read the rows and check the titles."""
    sheet = read_sheet(path, COLUMNS)
    missing = [c for c in _REQUIRED if c not in sheet.columns]
    unknown = [c for c in sheet.columns if c not in COLUMNS]
    if missing:
        raise ConfigError(f"{path}: the manifest lacks the columns {_lacking(missing, sheet)}")
    if unknown:
        raise ConfigError(
            f"{path}: unknown columns {', '.join(unknown)}; known are {', '.join(COLUMNS)}; take the others out"
        )
    if not sheet.rows:
        raise ConfigError(
            f"{path}: the manifest holds no rows; below the titles, each row names one file"
        )
    return sheet


def _row(cells: Mapping[str, str], folder: Path, config: CohortConfig) -> dict[str, str]:
    """Take the known cells of a row; what only says that nothing stands there is left out, unless it is a name."""
    row = {column: cells.get(column, "") for column in COLUMNS}
    for column in _OPTIONAL:
        text = row[column]
        is_name = any(text in p.channels for p in config.protocols.values()) or (
            column in ("truth", "anatomy") and os.path.lexists(folder / text)
        )
        if text.lower() in _NOTHING and not is_name:
            row[column] = ""
    return row


def _located(row: dict[str, str], folder: Path) -> list[str]:
    """Make the paths of a row absolute, in place; name what leads nowhere."""
    found = []
    for column in ("path", "truth", "anatomy"):
        if row[column]:
            try:
                row[column] = place_of(row[column], folder, column)
            except ConfigError as error:
                found.append(str(error))
    if row["path"] in (row["truth"], row["anatomy"]):
        found.append("the scan itself cannot be its own mask; correct `truth` or `anatomy`")
    return found


def _misread(row: Mapping[str, str], cells: Mapping[str, str]) -> list[str]:
    """Doubt the cells of a file whose encoding was guessed, unless what they name exists."""
    doubtful = [c for c, text in cells.items() if not text.isascii()]
    if all(os.path.lexists(row[column]) for column in doubtful):
        return []
    return [
        f"{doubtful[0]} {cells[doubtful[0]]!r} may be misread: the manifest is not UTF-8; save it as 'CSV UTF-8 "
        "(comma delimited)'"
    ]


def _lacking(missing: Sequence[str], sheet: Sheet) -> str:
    """Say which titles are missing, what stands there instead, and what may have happened."""
    found = f"{', '.join(missing)}; its first row holds {', '.join(sheet.columns)}"
    if len(sheet.columns) == 1:
        return f"{found}; separate cells by commas"
    if len(missing) == len(_REQUIRED):
        return f"{found}; write a first row of titles: {','.join(_REQUIRED)}"
    others = [c for c in sheet.columns if c not in COLUMNS]
    near = [(n[0], c) for c in missing if (n := difflib.get_close_matches(c, others, 1))]
    return found + "".join(f"; is {given!r} meant to be {title!r}?" for given, title in near)


def _problems(row: Mapping[str, str], config: CohortConfig) -> list[str]:
    """Name what is wrong with a row by itself."""
    found = []
    for name in ("subject", "session"):
        text, is_cut = row[name], _SHORTENED.fullmatch(row[name])
        if is_cut or not _NAME.fullmatch(text):
            why = "; Excel shortened a number: make the column text" if is_cut else _unlike(text)
            signs = "letters, digits, '.', '_' or '-', and begin with a letter or digit"
            found.append(f"{name} {text!r} must be {signs}{why}")
        if len(text) > _LONGEST:
            what = f"{_LONGEST} are the most that names of files have room for"
            found.append(f"{name} has {len(text)} characters; {what}")
    if not row["path"]:
        found.append("path is empty; name a file or folder")
    if row["protocol"] not in config.protocols:
        known = ", ".join(config.protocols)
        found.append(f"protocol {row['protocol']!r} is not in the configuration, which has {known}")
    elif row["channel"] and row["channel"] not in config.protocols[row["protocol"]].channels:
        known = ", ".join(config.protocols[row["protocol"]].channels)
        found.append(f"channel {row['channel']!r} is not one of the protocol's: {known}")
    if row["days"] and (what := _no_days(row["days"])):
        found.append(f"days {row['days']!r} {what}")
    return found


def _unlike(text: str) -> str:
    """Name a sign that only looks like a permitted one, as word processors and web pages write them; "" of none."""
    sign = next((c for c in text if not c.isascii() and not c.isalpha()), "")
    return f"; {sign!r} is a {unicodedata.name(sign, 'sign').lower()}" if sign else ""


def _no_days(text: str) -> str:
    """Say why a text is no number of days; "" where it is one."""
    value = _number(text)
    if found := _WITH_UNIT.fullmatch(text):
        return f"holds a unit; write days alone: {found[1]}"
    if _DATE.match(text) or (value is not None and value > _MOST_DAYS):
        return "is a date; write the days since the subject's first session: 0, 14, 90"
    if _THOUSANDS.fullmatch(text):
        return "may be a thousand or a fraction; write it without ','"
    return "is not a number" if value is None else ""


def _number(text: str) -> float | None:
    """Read a number, with a decimal comma too."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def _gather(
    row: Mapping[str, str],
    written: str,
    line: int,
    config: CohortConfig,
    gathered: dict[tuple[str, str], _Rows],
) -> list[str]:
    """Add a row to its scan; name what contradicts the rows before it."""
    key = row["subject"], row["session"]
    rows = gathered.setdefault(key, _Rows(*key, row["protocol"], line))
    if rows.protocol != row["protocol"]:
        return [
            f"the scan is of protocol {rows.protocol!r} in row {rows.line}; one subject and session "
            "is one scan of one protocol: give the other one its own session name"
        ]
    channels = config.protocols[rows.protocol].channels
    free = [c for c in channels if c not in rows.sources]
    channel = row["channel"] or (free[0] if free else channels[0])
    if channel in rows.sources:
        return [
            f"subject, session and channel {channel!r} stand in an earlier row already; remove one of them, or give "
            "it a session of its own"
        ]
    twin = next((c for c, (_, place) in rows.sources.items() if place == row["path"]), None)
    if twin is not None:
        return [f"names the file of channel {twin!r} again, as channel {channel!r}"]
    for mask, earlier in (("truth", rows.truth), ("anatomy", rows.anatomy)):
        if row[mask] and earlier and row[mask] != earlier:
            return [f"{mask} contradicts that of an earlier row; keep the one of the first channel"]
    days = _number(row["days"]) if row["days"] else None
    if days is not None and rows.days is not None and days != rows.days:
        return [f"days {row['days']} contradicts {rows.days:g} of row {rows.line}"]
    rows.sources[channel] = (written, row["path"])
    rows.days = rows.days if days is None else days
    rows.truth = rows.truth or row["truth"] or None
    rows.anatomy = rows.anatomy or row["anatomy"] or None
    return []


def _colliding(gathered: Mapping[tuple[str, str], _Rows]) -> list[str]:
    """Name scans whose subject and session would make the same folder name."""
    taken: dict[str, _Rows] = {}
    found = []
    for rows in gathered.values():
        first = taken.setdefault(RunLayout.scan(rows.subject, rows.session), rows)
        if first is not rows:
            found.append(
                f"row {rows.line} ({rows.subject} {rows.session}): would have the same name on disk "
                f"as {first.subject} {first.session} of row {first.line}"
            )
    return found


def _unreferred(gathered: Mapping[tuple[str, str], _Rows], config: CohortConfig) -> list[str]:
    """Name references of the configuration that no row of their protocol is."""
    found = []
    for name, protocol in config.protocols.items():
        own = [key for key, rows in gathered.items() if rows.protocol == name]
        for one in protocol.teacher.named:
            if own and (one.subject, one.session) not in own:
                near = difflib.get_close_matches(
                    f"{one.subject} {one.session}", [" ".join(key) for key in own], 1, 0.5
                )
                meant = f"; did you mean {near[0]}?" if near else ""
                found.append(
                    f"protocols.{name}.teacher.reference names {one.subject} {one.session}, and no row of protocol "
                    f"{name} does{meant}"
                )
    return found


def _scan(rows: _Rows, config: CohortConfig) -> Scan:
    sources = [rows.sources.get(c) for c in config.protocols[rows.protocol].channels]
    shown = next(source[0] for source in sources if source is not None)
    return Scan(
        subject=rows.subject,
        session=rows.session,
        protocol=rows.protocol,
        paths=tuple(None if source is None else source[1] for source in sources),
        path=shown_url(shown) if is_url(shown) else shown,
        days=rows.days,
        truth=rows.truth,
        anatomy=rows.anatomy,
    )


def _ordered(scans: Sequence[Scan]) -> list[Scan]:
    """Number each subject's sessions: by days where all of them have some, else as they stand."""
    subjects: dict[str, list[Scan]] = {}
    for scan in scans:
        subjects.setdefault(scan.subject, []).append(scan)
    place: dict[tuple[str, str], int] = {}
    for sessions in subjects.values():
        if all(s.days is not None for s in sessions):
            sessions = sorted(sessions, key=lambda s: s.days or 0.0)
        place.update({(s.subject, s.session): n for n, s in enumerate(sessions)})
    return [replace(scan, order=place[scan.subject, scan.session]) for scan in scans]
