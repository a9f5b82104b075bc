"""A finished run as what measures on it sees it: its scans, how its sessions lie to each other, its rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow.dataset

from somray.config import CohortConfig
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.tables import ScanRow
from somray.domain.work import digest_of
from somray.errors import ConfigError, StoreError
from somray.io.cohort.manifest import load_manifest
from somray.io.ome.image import ScanMeta, is_complete, read_meta
from somray.io.run import StoredRun, open_run
from somray.io.tables import arrow_schema

__all__ = ["MeasuredRun", "to_first"]

Rows = list[dict[str, Any]]  # Any: one row of a table, values plain
Motion = tuple[float, ...] | None
_NO_MANIFEST = (
    "its manifest cannot be read any more: no mask is compared with truth, and sessions stand in the order of their "
    "days, or of their names"
)


@dataclass(frozen=True)
class MeasuredRun:
    """A finished run.

    `rows` are those of its table `scans`; `scans` are complete, in the table's order, each with its meta; those
    `set_aside` the run itself could not use.
    """

    stored: StoredRun
    config: CohortConfig
    rows: Mapping[tuple[str, str], ScanRow]
    scans: tuple[Scan, ...]
    set_aside: tuple[Scan, ...]
    metas: Mapping[Scan, ScanMeta] = field(repr=False)
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, location: str) -> "MeasuredRun":
        """Read what is known of a run.

        Raises:
            ConfigError: it is not finished, or holds no scan.
            StoreError: there is no run.
        """
        stored = open_run(location)
        state = str(stored.state().get("state", "gone"))
        if state != "done":
            raise ConfigError(f"{stored.root}: the run is {state}, not done; let it finish first")
        config = stored.config
        known, notes = _manifest(config)
        rows, scans, aside = {}, list[Scan](), list[Scan]()
        for protocol in config.protocols:
            of_protocol = [ScanRow(**row) for row in _table_rows(stored, "scans", protocol)]
            rows.update({(row.subject, row.session): row for row in of_protocol})
            for scan in _scans(of_protocol, protocol, known):
                row = rows[scan.subject, scan.session]
                name = RunLayout.scan(scan.subject, scan.session)
                is_done = row.status == "done" and is_complete(stored.storage, name)
                (scans if is_done else aside).append(scan)
        if not scans:
            raise ConfigError(
                f"{stored.root}: has no scan that is done; there is nothing to measure on"
            )
        metas = {
            scan: read_meta(stored.storage, RunLayout.scan(scan.subject, scan.session))
            for scan in scans
        }
        return cls(stored, config, rows, tuple(scans), tuple(aside), metas, notes)

    @property
    def root(self) -> str:
        """Where it lies."""
        return self.stored.root

    def row(self, scan: Scan) -> ScanRow:
        """Return the row of a scan in `scans`."""
        return self.rows[scan.subject, scan.session]

    def read(self, table: str, protocol: str, subject: str) -> Rows:
        """Read a subject's rows of one table, values plain."""
        return _table_rows(self.stored, table, protocol, subject)

    @cached_property
    def failures(self) -> Mapping[tuple[str, str], tuple[str, str]]:
        """Code and message of every scan that the run set aside."""
        found = {}
        for protocol in self.config.protocols:
            for row in _table_rows(self.stored, "failures", protocol):
                if row["session"] is not None:
                    found[row["subject"], row["session"]] = (row["code"], row["message"])
        return found

    def digest(self) -> str:
        """Name what the run was made from, and the pixels of its scans."""
        info = self.stored.info
        made = [info.get(key) for key in ("code_digest", "config_digest", "manifest_digest")]
        pixels = [[s.subject, s.session, self.metas[s].source_digest] for s in self.scans]
        return digest_of(made, pixels)


def _manifest(config: CohortConfig) -> tuple[dict[tuple[str, str], Scan], tuple[str, ...]]:
    """Read the manifest for truth and the order of sessions; nothing where it is gone or no longer right."""
    try:
        found = load_manifest(Path(config.scans), config)
    except (ConfigError, OSError):
        return {}, (_NO_MANIFEST,)
    return {(scan.subject, scan.session): scan for scan in found}, ()


def _scans(rows: list[ScanRow], protocol: str, known: Mapping[tuple[str, str], Scan]) -> list[Scan]:
    """Make scans of rows, their sessions numbered in time."""
    subjects: dict[str, list[ScanRow]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    found = []
    for subject, sessions in subjects.items():
        if all(row.days is not None for row in sessions):
            sessions = sorted(sessions, key=lambda row: (row.days or 0.0, row.session))
        for order, row in enumerate(sessions):
            own = known.get((subject, row.session))
            bare = Scan(subject, row.session, protocol, (None,), row.path, row.days, order=order)
            found.append(bare if own is None else own)
    return found


def _table_rows(stored: StoredRun, table: str, protocol: str, subject: str | None = None) -> Rows:
    """Read the rows of a protocol, or of one subject, values plain."""
    folder = RunLayout.partition(table, protocol)
    if not stored.storage.names(folder):
        return []
    filesystem, path = fsspec.core.url_to_fs(stored.storage.uri(folder))
    data = pyarrow.dataset.dataset(path, arrow_schema(table), "parquet", filesystem)
    mine = None if subject is None else pyarrow.dataset.field("subject") == subject
    try:
        return list(data.to_table(filter=mine).to_pylist())
    except pyarrow.ArrowInvalid as error:
        where = stored.storage.uri(folder)
        raise StoreError(f"{where}: a file in it is damaged; copy it again ({error})") from error


def to_first(sessions: list[str], alignment: Rows) -> list[Motion]:
    """Bring sessions to the first of them, as the run aligned them.

    Sessions stand in time order, some of the run's, perhaps not its first; `alignment` are the subject's rows.

    Returns:
        Each one's 4×4, row-major LPS mm, to the first; None where the run could not align it.
    """
    identity = tuple(np.eye(4).ravel().tolist())
    found: dict[str, Motion] = {
        row["session"]: None if row["matrix"] is None else tuple(row["matrix"])
        for row in alignment
        if row["kind"] == "sessions"
    }
    first = found.get(sessions[0])
    moved: list[Motion] = [identity]
    for session in sessions[1:]:
        own = found.get(session)
        if first is None or own is None or first == identity:
            moved.append(None if first is None else own)
            continue
        between = np.linalg.solve(np.reshape(first, (4, 4)), np.reshape(own, (4, 4)))
        moved.append(tuple(between.ravel().tolist()))
    return moved
