"""A run as the report reads it: whole, one protocol of it, one subject of a protocol.

Rows are plain Python values (null is None, lists are lists, whole numbers ints), filtered before they leave
pandas, so that a large cohort is never unrolled whole.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from somray.config import CohortConfig, ProtocolConfig
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.tables import TABLES, field_specs
from somray.domain.teacher import TeacherModel
from somray.errors import SomrayError
from somray.io import leftovers
from somray.io.cohort.manifest import load_manifest
from somray.io.ome import image as ome_zarr
from somray.io.run import StoredRun
from somray.report.data.foreign import measured, stand_in, with_foreign
from somray.report.data.scan import ScanPixels

__all__ = [
    "ProtocolData",
    "ReportData",
    "Row",
    "Rows",
    "SubjectData",
    "has_subjects",
    "is_4d",
    "plain_rows",
    "records",
]

WHOLE = ("scans", "failures", "notes")
"""Tables that are short, one row or less a scan, and wanted whole."""

Row = dict[str, Any]  # Any: one row of a table of domain/tables/, values plain
Rows = list[Row]


def has_subjects(table: str) -> bool:
    """Tell whether a table has rows of subjects."""
    return any(spec.name == "subject" for spec in field_specs(TABLES[table]))


def plain_rows(table: str, frame: pd.DataFrame) -> Rows:
    """Turn rows of a table into plain ones; pandas holds whole numbers with gaps as floats."""
    kinds = {s.name: s.kind for s in field_specs(TABLES[table])}
    columns = [str(c) for c in frame.columns]
    typed = [[_plain(v, kinds.get(c, "str")) for v in frame[c].tolist()] for c in columns]
    return [dict(zip(columns, values, strict=True)) for values in zip(*typed, strict=True)]


def _plain(value: Any, kind: str) -> Any:  # Any: whatever pandas holds
    if isinstance(value, np.ndarray):
        return [_plain(v, "") for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return int(value) if kind == "int" else value


def records(frame: pd.DataFrame) -> Rows:
    """Turn rows of any frame into plain ones; what does not exist is None."""
    return [
        {str(k): _plain(v, "") for k, v in row.items()} for row in frame.to_dict(orient="records")
    ]


def is_4d(scan: Row) -> bool:
    """Tell whether a row of `scans` has several time points."""
    return (scan["shape_t"] or 1) > 1


class ReportData:
    """A run as the report reads it.

    Args:
        root: path or fsspec URL of the run.
        subjects: whose rows are wanted of long tables; all where left out.
    """

    def __init__(self, root: str, subjects: Sequence[str] | None = None) -> None:
        self.run = StoredRun(root)
        self.storage = self.run.storage
        self._subjects = None if subjects is None else list(subjects)
        self._tables: dict[str, pd.DataFrame] = {}
        self._scans: dict[tuple[str, str], ScanPixels | None] = {}
        self._teachers: dict[str, TeacherModel | None] = {}
        self._manifest: dict[tuple[str, str], Scan] = {}
        self.manifest_trouble: str | None = None
        """Why the manifest cannot be read any more, so that no truth is drawn; None where it can."""
        folder = Path(self.storage.root) if self.storage.is_local else Path()
        try:
            manifest = load_manifest(folder / self.config.scans, self.config)
            self._manifest = {(scan.subject, scan.session): scan for scan in manifest}
        except (SomrayError, OSError) as error:
            self.manifest_trouble = str(error)

    @cached_property
    def state(self) -> dict[str, Any]:
        """How far the run is, as last written."""
        return self.run.state()

    def remove_pages_but(self, pages: Collection[str], records: Collection[str]) -> None:
        """Remove the pages of an earlier report, and what is known of them, that this one does not have."""
        leftovers.remove_pages_but(self.storage, pages)
        folder = RunLayout.report_records
        for name in self.storage.names(folder):
            if f"{folder}/{name}" not in records:
                self.storage.remove(f"{folder}/{name}")

    def named_scans(self, subject: str) -> list[Scan]:
        """Return a subject's scans as the manifest names them."""
        return [scan for (name, _), scan in self._manifest.items() if name == subject]

    @property
    def is_unfinished(self) -> bool:
        """Whether units of the run are still to be done.

        The state is "running" still while the run's last act, its report, is written; nothing else is left then.
        """
        stages = self.state.get("stages")
        left = sum(int(s["left"]) for s in stages if s["stage"] != "report") if stages else None
        return self.state.get("state", "done") != "done" and left != 0

    @cached_property
    def foreign(self) -> dict[str, Any]:  # Any: JSON
        """What `somray measure` says of masks from outside; {} for a run that segmented by itself."""
        return measured(self.run)

    @cached_property
    def config(self) -> CohortConfig:
        """The resolved configuration; of masks from outside, its protocols segment by none of our methods."""
        return with_foreign(self.run.config) if self.foreign else self.run.config

    @property
    def config_text(self) -> str:
        """The resolved configuration as it lies in the run."""
        return self.storage.read_text(RunLayout.config)

    @property
    def protocols(self) -> "list[ProtocolData]":
        """The protocols, in the configuration's order."""
        return [ProtocolData(self, name) for name in self.config.protocols]

    def table(self, name: str) -> pd.DataFrame:
        """Return a table, whole or of the subjects that are wanted; read once."""
        if name not in self._tables:
            self._tables[name] = self._read(name)
        return self._tables[name]

    def _read(self, name: str) -> pd.DataFrame:
        is_short = self._subjects is None or name in WHOLE or not has_subjects(name)
        if is_short or not self._has_parts(name):
            return self.run.table(name)
        place = self.storage.uri(RunLayout.table(name))
        return pd.DataFrame(pd.read_parquet(place, filters=[("subject", "in", self._subjects)]))

    def _has_parts(self, name: str) -> bool:
        folder = RunLayout.table(name)
        return any(self.storage.names(f"{folder}/{p}") for p in self.storage.names(folder))

    def columns(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return some columns of a whole table, which may be long; `protocol` is always among them."""
        if name in self._tables or not self._has_parts(name):
            return self.table(name)[[*columns, "protocol"]]
        place = self.storage.uri(RunLayout.table(name))
        return pd.DataFrame(pd.read_parquet(place, columns=[*columns, "protocol"]))

    def forget_scans(self) -> None:
        """Let go of what scans were opened."""
        self._scans.clear()

    def frame(self, table: str, **where: object) -> pd.DataFrame:
        """Return what `rows` does as columns, for tables that may be long."""
        frame = self.table(table)
        for column, value in where.items():
            frame = frame[frame[column] == value]
        return frame

    def rows(self, table: str, **where: object) -> Rows:
        """Return the rows whose columns equal what is given, in the table's order."""
        return plain_rows(table, self.frame(table, **where))

    def teacher(self, protocol: str) -> TeacherModel | None:
        """Return a protocol's teacher, None while there is none; read once."""
        if protocol not in self._teachers:
            self._teachers[protocol] = self.run.teacher(protocol)
        return self._teachers[protocol]

    def scan(self, subject: str, session: str) -> ScanPixels | None:
        """Open one scan, None where it is not complete (quarantined, or not yet done); opened once."""
        key = (subject, session)
        if key not in self._scans:
            self._scans[key] = self._open(*key)
        return self._scans[key]

    def _open(self, subject: str, session: str) -> ScanPixels | None:
        name = RunLayout.scan(subject, session)
        if not ome_zarr.is_complete(self.storage, name):
            return None
        named = self._manifest.get((subject, session))
        truth = str(named.truth) if named and named.truth else None
        return ScanPixels(self.storage, name, truth)

    def in_time(self, scans: Rows) -> Rows:
        """Sort a subject's rows of `scans`: by days where all have them, else as in the manifest."""
        if scans and all(r["days"] is not None for r in scans):
            return sorted(scans, key=lambda r: (r["days"], r["session"]))
        place = self._places
        return sorted(
            scans,
            key=lambda r: (place.get((r["subject"], r["session"]), len(place)), r["session"]),
        )

    @cached_property
    def _places(self) -> dict[tuple[str, str], int]:
        return {key: scan.order for key, scan in self._manifest.items()}


@dataclass(frozen=True)
class ProtocolData:
    """What a run holds of one protocol."""

    cohort: ReportData
    protocol: str

    @property
    def config(self) -> ProtocolConfig:
        """The protocol's configuration."""
        return self.cohort.config.protocols[self.protocol]

    @property
    def teacher(self) -> TeacherModel | None:
        """Its teacher, None while there is none."""
        return self.cohort.teacher(self.protocol)

    @property
    def look(self) -> TeacherModel | None:
        """What pictures go by: the teacher, or a stand-in for masks from outside; None while there is neither."""
        if self.teacher is None and self.cohort.foreign:
            return stand_in(self.config)
        return self.teacher

    def model_info(self, part: str) -> dict[str, Any]:
        """Return what `model.json` says of its student or encoder; {} while there is none."""
        return dict(self.cohort.run.model_info(self.protocol).get(part, {}))

    @property
    def student_history(self) -> dict[str, Any]:
        """What its student says of its training; {} while there is none."""
        return dict(self.model_info("student").get("history", {}))

    def frame(self, table: str, **where: object) -> pd.DataFrame:
        """Return what `rows` does as columns, for tables that may be long."""
        return self.cohort.frame(table, protocol=self.protocol, **where)

    def rows(self, table: str, **where: object) -> Rows:
        """Return the protocol's rows of a table whose columns equal what is given."""
        return self.cohort.rows(table, protocol=self.protocol, **where)

    def subjects(self) -> "list[SubjectData]":
        """Return all its subjects, by name."""
        names = sorted({str(r["subject"]) for r in self.rows("scans")})
        return [SubjectData(self.cohort, self.protocol, name) for name in names]


@dataclass(frozen=True)
class SubjectData(ProtocolData):
    """What a run holds of one subject in one protocol; rows are the subject's alone."""

    subject: str

    def frame(self, table: str, **where: object) -> pd.DataFrame:
        """Return what `rows` does as columns, for tables that may be long."""
        return super().frame(table, subject=self.subject, **where)

    def rows(self, table: str, **where: object) -> Rows:
        """Return the subject's rows of a table whose columns equal what is given."""
        return super().rows(table, subject=self.subject, **where)

    @property
    def whole(self) -> ProtocolData:
        """The protocol with all its subjects."""
        return ProtocolData(self.cohort, self.protocol)

    @cached_property
    def scans(self) -> Rows:
        """Its rows of `scans` in order of time."""
        return self.cohort.in_time(self.rows("scans"))

    @property
    def done(self) -> Rows:
        """Those that are done."""
        return [s for s in self.scans if s["status"] == "done"]

    @property
    def order(self) -> dict[str, int]:
        """Place in time of each session."""
        return {s["session"]: place for place, s in enumerate(self.scans)}

    def scan(self, session: str) -> ScanPixels | None:
        """Open one session's scan, None where it is not complete."""
        return self.cohort.scan(self.subject, session)

    def target_areas(self, session: str) -> dict[tuple[int, int], float]:
        """Return the target's area of each (t, z) of a session.

        By the method that the protocol segments with, by direct transfer while that is not done yet, {} while
        neither is.
        """
        for method in (self.config.segment, "som"):
            rows = self.rows("slices", session=session, method=method)
            if rows:
                return {(r["t"], r["z"]): r["target_area_mm2"] for r in rows}
        return {}
