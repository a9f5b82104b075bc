"""What a report is made from: the one seam between pages and a run on storage.

Tables come as lists of plain rows (null is None, lists are lists), filtered before they leave pandas, so
that a large cohort is never unrolled whole. Pixels come slice by slice.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somray.config import CohortConfig, ProtocolConfig
from somray.domain.run import RunLayout
from somray.domain.tables import TABLES, field_specs
from somray.domain.teacher import TeacherModel
from somray.errors import SomrayError
from somray.io import models
from somray.io.ome import image as ome_zarr
from somray.io.ome.arrays import open_level, store_errors
from somray.io.ome.image import ScanMeta
from somray.io.ome.metadata import level_shapes
from somray.io.run import StoredRun
from somray.io.storage import Storage
from somray.report.drawing.tiles import Frame
from somray.report.truth import Origin, TruthMask, origins

__all__ = ["ReportData", "Row", "Rows", "ScanPixels", "SliceKey"]

Row = dict[str, Any]  # Any: one row of a table of domain/tables/, values plain
Rows = list[Row]


@dataclass(frozen=True, order=True)
class SliceKey:
    """One slice of one scan."""

    subject: str
    session: str
    t: int
    z: int


def _plain(value: Any) -> Any:  # Any: whatever pandas holds
    """Turn pandas' missing values into None and numpy's scalars and arrays into Python's own."""
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


def _typed(value: Any, kind: str) -> Any:  # Any: whatever pandas holds
    """Undo pandas' habit of holding a column of whole numbers with gaps as floats."""
    plain = _plain(value)
    if plain is None:
        return None
    return int(plain) if kind == "int" else plain


class ScanPixels:
    """One complete scan, read slice by slice.

    Args:
        storage: where the run lies.
        name: the scan's group.
        truth: path of its truth mask, where one was given.
    """

    def __init__(self, storage: Storage, name: str, truth: str | None = None) -> None:
        self._storage, self._name = storage, name
        self.truth_trouble: str | None = None
        self._truth: TruthMask | None = None
        if truth is not None:
            try:
                self._truth = TruthMask(truth)
            except (SomrayError, OSError) as error:
                self.truth_trouble = str(error)  # the page says so
        self.meta: ScanMeta = ome_zarr.read_meta(storage, name)
        self.labels = tuple(
            label
            for label in ("som", "student", "lesions", "objects")
            if ome_zarr.labels_complete(storage, name, label)
        )

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each channel."""
        return tuple(self.meta.unit.split(","))

    @property
    def frame(self) -> Frame:
        """The physical frame of a slice; in pixels where the file gave no spacing."""
        unit = "px" if "spacing_assumed" in self.meta.repairs else "mm"
        return Frame.of(self.meta.geometry, self.meta.anatomical, unit)

    def slab(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read slices z0 to z1 (excluded) as (c, z, y, x)."""
        return ome_zarr.read_slab(self._storage, self._name, t, z0, z1)

    def image(self, t: int, z: int) -> NDArray[np.float32]:
        """Read one slice as (c, y, x)."""
        return self.slab(t, z, z + 1)[:, 0]

    def label(self, label: str, t: int, z: int) -> NDArray[np.integer[Any]] | None:
        """Read one slice of a label as (y, x), None where there is no complete one."""
        if label not in self.labels:
            return None
        slab = ome_zarr.read_label_slab(self._storage, self._name, label, t, z, z + 1)
        return np.asarray(slab[0])

    def level_for(self, size_mm: float) -> int:
        """Return the coarsest stored level whose pixels are no larger than a size; 0 where all are."""
        finest = min(self.meta.geometry.spacing_mm[1:])
        count = len(level_shapes(*self.meta.shape[3:]))
        return max((n for n in range(count) if finest * 2**n <= size_mm * 1.01), default=0)

    def level_shape(self, level: int) -> tuple[int, int, int]:
        """Voxels (z, y, x) of a stored level."""
        return (self.meta.shape[2], *level_shapes(*self.meta.shape[3:])[level])

    def level_spacing_mm(self, shape: tuple[int, int, int]) -> tuple[float, float, float]:
        """Size (z, y, x) of the voxels of a level of a shape."""
        whole = (
            n * s for n, s in zip(self.meta.shape[2:], self.meta.geometry.spacing_mm, strict=True)
        )
        z, y, x = (length / n for length, n in zip(whole, shape, strict=True))
        return z, y, x

    def coarse(self, level: int, channel: int, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read slices z0 to z1 (excluded) of one channel at a stored level as (z, y, x)."""
        array = open_level(self._storage, self._name, str(level))
        with store_errors(self._storage.uri(self._name)):
            return np.asarray(array[t, channel, z0:z1], dtype=np.float32)

    def coarse_label(
        self, label: str, level: int, t: int, z0: int, z1: int
    ) -> NDArray[np.integer[Any]] | None:
        """Read slices z0 to z1 (excluded) of a label at a stored level, None where there is none."""
        if label not in self.labels:
            return None
        array = open_level(self._storage, self._name, f"labels/{label}/{level}")
        with store_errors(self._storage.uri(self._name)):
            return np.asarray(array[t, z0:z1])

    def truth(self, t: int, z: int) -> NDArray[np.bool_] | None:
        """Bring the truth mask to one slice's grid, None where there is none."""
        if self._truth is None:
            return None
        try:
            return self._truth.on_slice(self.meta.geometry, t, z)
        except (SomrayError, OSError) as error:
            self.truth_trouble = str(error)
            return None


class ReportData:
    """A run as the report reads it.

    Args:
        root: path or fsspec URL of the run.
    """

    def __init__(self, root: str) -> None:
        self.run = StoredRun(root)
        self.storage = self.run.storage
        self._frames: dict[str, pd.DataFrame] = {}
        self._teachers: dict[str, TeacherModel | None] = {}

    @cached_property
    def info(self) -> dict[str, Any]:
        """What run.json holds."""
        return self.run.info

    @cached_property
    def state(self) -> dict[str, Any]:
        """How far the run is, as last written."""
        return self.run.state()

    @property
    def is_unfinished(self) -> bool:
        """Whether units of the run are still to be done.

        The state is "running" still while the run's last act, its report, is written; no unit is left then.
        """
        stages = self.state.get("stages")
        left = sum(int(s["left"]) for s in stages) if stages else None
        return self.state.get("state", "done") != "done" and left != 0

    @cached_property
    def config(self) -> CohortConfig:
        """The resolved configuration."""
        return self.run.config

    @property
    def protocols(self) -> list[str]:
        """Names of the protocols, in the configuration's order."""
        return list(self.config.protocols)

    def protocol(self, name: str) -> ProtocolConfig:
        """Return one protocol's configuration."""
        return self.config.protocols[name]

    def frame(self, table: str) -> pd.DataFrame:
        """Return a whole table; read once."""
        if table not in self._frames:
            self._frames[table] = self.run.table(table)
        return self._frames[table]

    def rows(self, table: str, **where: object) -> Rows:
        """Return the rows whose columns equal what is given, in the table's order."""
        frame = self.frame(table)
        for column, value in where.items():
            frame = frame[frame[column] == value]
        kinds = {s.name: s.kind for s in field_specs(TABLES[table])}
        columns = [str(c) for c in frame.columns]
        typed = [[_typed(v, kinds.get(c, "str")) for v in frame[c].tolist()] for c in columns]
        return [dict(zip(columns, values, strict=True)) for values in zip(*typed, strict=True)]

    def teacher(self, protocol: str) -> TeacherModel | None:
        """Return a protocol's teacher, None while there is none; read once."""
        if protocol not in self._teachers:
            self._teachers[protocol] = self.run.teacher(protocol)
        return self._teachers[protocol]

    def student_history(self, protocol: str) -> dict[str, Any]:
        """Return what a protocol's student says of its training; {} while there is none."""
        info = models.read_model_info(self.storage, protocol).get("student", {})
        return dict(info.get("history", {}))

    @cached_property
    def _origins(self) -> tuple[dict[tuple[str, str], Origin], str | None]:
        """What the manifest tells of each scan, or why it cannot be read any more."""
        folder = Path(self.storage.root) if self.storage.is_local else Path()
        try:
            return origins(self.config, folder), None
        except (SomrayError, OSError) as error:
            return {}, str(error)

    @property
    def manifest_trouble(self) -> str | None:
        """Why the manifest cannot be read any more, so that no truth is drawn; None where it can."""
        return self._origins[1]

    def scan(self, subject: str, session: str) -> ScanPixels | None:
        """Open one scan, None where it is not complete (quarantined, or not yet done)."""
        name = RunLayout.scan(subject, session)
        if not ome_zarr.is_complete(self.storage, name):
            return None
        origin = self._origins[0].get((subject, session))
        return ScanPixels(self.storage, name, origin.truth if origin else None)

    def scans_of(self, subject: str, protocol: str) -> Rows:
        """Return a subject's rows of `scans` in order of time.

        By days where all rows have them, else in the manifest's order, else by name.
        """
        rows = self.rows("scans", subject=subject, protocol=protocol)
        if rows and all(r["days"] is not None for r in rows):
            return sorted(rows, key=lambda r: (r["days"], r["session"]))
        known = self._origins[0]
        last = len(known)
        place = {key: origin.order for key, origin in known.items()}
        return sorted(rows, key=lambda r: (place.get((subject, r["session"]), last), r["session"]))
