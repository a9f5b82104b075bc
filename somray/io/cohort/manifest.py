"""The manifest: scans.csv or .parquet to scans; all faulty rows are named at once.

One row is one file. Rows of one subject and session are the channels of one scan.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from somray.config import CohortConfig
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import ConfigError
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
    "truth": "label mask, on the row of the first channel; used for the `truth` table alone",
    "anatomy": "organ mask, on the row of the first channel: a label mask, or a folder with one mask per "
    "organ; its names from the protocol's `anatomy`, its own header or a file beside it; never needed",
}
"""Column to meaning; `schemas/scans.v1.json` holds them."""

_REQUIRED = ("subject", "session", "protocol", "path")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MOST_NAMED = 50  # faulty rows named in one message


@dataclass
class _Rows:
    """Rows of one subject and session, gathered."""

    subject: str
    session: str
    protocol: str
    line: int
    sources: dict[str, str] = field(default_factory=dict)
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
    rows = _read(path)
    problems: list[str] = []
    gathered: dict[tuple[str, str], _Rows] = {}
    for line, row in enumerate(rows, start=2):
        found = _problems(row, config)
        if not found:
            found = _gather(row, line, config, gathered)
        problems += [f"row {line} ({row['subject']} {row['session']}): {what}" for what in found]
    problems += _colliding(gathered)
    if problems:
        shown = "\n".join(problems[:_MOST_NAMED])
        more = len(problems) - _MOST_NAMED
        raise ConfigError(f"{path}:\n{shown}" + (f"\n… and {more} more" if more > 0 else ""))
    return _ordered([_scan(rows, config, path.parent) for rows in gathered.values()])


def _read(path: Path) -> list[dict[str, str]]:
    """Read every row as text, empty where nothing stands."""
    try:
        if path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: the manifest does not exist") from None
    except Exception as error:
        raise ConfigError(f"{path}: the manifest cannot be read: {error}") from error
    frame.columns = [str(c).strip() for c in frame.columns]
    missing = [c for c in _REQUIRED if c not in frame.columns]
    if missing:
        raise ConfigError(f"{path}: the manifest lacks the columns {', '.join(missing)}")
    unknown = [c for c in frame.columns if c not in COLUMNS]
    if unknown:
        raise ConfigError(
            f"{path}: unknown columns {', '.join(unknown)}; known are {', '.join(COLUMNS)}"
        )
    if frame.empty:
        raise ConfigError(f"{path}: the manifest holds no rows")
    records = frame.reindex(columns=list(COLUMNS)).to_dict("records")
    return [{str(k): _text(v) for k, v in record.items()} for record in records]


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    return str(value).strip()


def _problems(row: Mapping[str, str], config: CohortConfig) -> list[str]:
    """Name what is wrong with a row by itself."""
    found = [
        f"{name} {row[name]!r} must be letters, digits, '.', '_' or '-', and begin with a letter or "
        "digit"
        for name in ("subject", "session")
        if not _NAME.fullmatch(row[name])
    ]
    if not row["path"]:
        found.append("path is empty")
    if row["protocol"] not in config.protocols:
        known = ", ".join(config.protocols)
        found.append(f"protocol {row['protocol']!r} is not in the configuration, which has {known}")
    elif row["channel"] and row["channel"] not in config.protocols[row["protocol"]].channels:
        known = ", ".join(config.protocols[row["protocol"]].channels)
        found.append(f"channel {row['channel']!r} is not one of the protocol's: {known}")
    if row["days"] and _number(row["days"]) is None:
        found.append(f"days {row['days']!r} is not a number")
    return found


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _gather(
    row: Mapping[str, str],
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
        return [f"subject, session and channel {channel!r} stand in an earlier row already"]
    days = _number(row["days"]) if row["days"] else None
    if days is not None and rows.days is not None and days != rows.days:
        return [f"days {row['days']} contradicts {rows.days:g} of row {rows.line}"]
    rows.sources[channel] = row["path"]
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


def _located(folder: Path, path: str) -> str:
    """Make a path absolute; a URL is left as it is."""
    return path if is_url(path) else str((folder / path).absolute())


def _scan(rows: _Rows, config: CohortConfig, folder: Path) -> Scan:
    channels = config.protocols[rows.protocol].channels
    present = [rows.sources[c] for c in channels if c in rows.sources]
    return Scan(
        subject=rows.subject,
        session=rows.session,
        protocol=rows.protocol,
        paths=tuple(
            _located(folder, rows.sources[c]) if c in rows.sources else None for c in channels
        ),
        path=present[0],
        days=rows.days,
        truth=None if rows.truth is None else _located(folder, rows.truth),
        anatomy=None if rows.anatomy is None else _located(folder, rows.anatomy),
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
