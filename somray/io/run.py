"""A run as a reader sees it: tables as pandas, scans as lazy xarray, models as plain numbers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import xarray
import yaml
import zarr

from somray.config import CohortConfig, parse_config
from somray.domain.run import RunLayout
from somray.domain.student import StudentModel
from somray.domain.teacher import TeacherModel
from somray.errors import ConfigError, StoreError
from somray.io import models, tables
from somray.io.ome.image import ScanMeta, read_meta
from somray.io.status import read_state
from somray.io.storage import Storage

__all__ = ["StoredRun", "open_run"]

_PARALLEL = 1e-6  # of a direction's parts: rounding, whatever the size of a voxel
LABELS = ("som", "student", "confidence", "objects", "lesions")


@dataclass(frozen=True)
class StoredRun:
    """One run, read-only; it may still be going on.

    Args:
        root: path or fsspec URL of the run.
    """

    root: str

    @property
    def storage(self) -> Storage:
        """Where the run lies."""
        return Storage.at(self.root)

    @property
    def info(self) -> dict[str, Any]:
        """What ran: versions, digests, seeds, machine, times (run.json)."""
        return dict(json.loads(self.storage.read_text(RunLayout.info)))

    @property
    def config(self) -> CohortConfig:
        """The resolved configuration.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        place = self.storage.uri(RunLayout.config)
        remedy = "`somray run` with your own COHORT.yaml writes it anew"
        try:
            return parse_config(
                yaml.safe_load(self.storage.read_text(RunLayout.config)), source=place
            )
        except FileNotFoundError:
            raise StoreError(f"{place}: is missing; {remedy}") from None
        except (yaml.YAMLError, ConfigError) as error:
            raise StoreError(f"{place}: is damaged; {remedy} ({error})") from error

    def state(self) -> dict[str, Any]:
        """Progress as last written by the driver; {} where none ever was, or what it wrote is damaged."""
        return read_state(self.storage)

    def table(self, name: str) -> pd.DataFrame:
        """Read one table; `protocol` stands as a column."""
        return tables.read_table(self.storage, name)

    def teacher(self, protocol: str) -> TeacherModel | None:
        """Return a protocol's teacher, or None while there is none."""
        found = models.read_model_info(self.storage, protocol)
        return models.read_teacher(self.storage, protocol) if "teacher" in found else None

    def student(self, protocol: str) -> StudentModel | None:
        """Return a protocol's student, or None where there is none."""
        found = models.read_model_info(self.storage, protocol)
        return models.read_student(self.storage, protocol) if "student" in found else None

    def model_info(self, protocol: str) -> dict[str, Any]:
        """Return model.json of a protocol."""
        return models.read_model_info(self.storage, protocol)

    def scan(self, subject: str, session: str) -> xarray.Dataset:
        """Open one scan lazily.

        Returns:
            Dataset with `image` (t, c, z, y, x) float32 and the labels that exist (t, z, y, x);
            coordinates z, y, x in mm: along the patient's own axes where the grid is parallel to
            them, from the first voxel's centre otherwise. The 4×4 affine stands in `attrs`.

        Raises:
            StoreError: there is no complete scan of that name.
        """
        name = RunLayout.scan(subject, session)
        try:
            meta = read_meta(self.storage, name)
        except (FileNotFoundError, KeyError) as error:
            raise StoreError(f"{self.storage.uri(name)}: no complete scan") from error
        group = zarr.open_group(self.storage.zarr(name, read_only=True), mode="r")
        data: dict[str, Any] = {
            "image": (("t", "c", "z", "y", "x"), dask.array.from_array(_level0(group, "0")))
        }
        for label in LABELS:
            if f"labels/{label}/0" in group:
                lazy = dask.array.from_array(_level0(group, f"labels/{label}/0"))
                data[label] = (("t", "z", "y", "x"), lazy)
        coords: dict[str, Any] = {**_coordinates(meta), "c": list(meta.channels)}
        attributes = {"affine": meta.geometry.matrix.tolist(), "unit": meta.unit}
        return xarray.Dataset(data, coords=coords, attrs=attributes)


def _level0(group: zarr.Group, path: str) -> Any:  # Any: zarr arrays feed dask
    return group[path]


def _coordinates(meta: ScanMeta) -> dict[str, Any]:
    """Return z, y, x coordinates in mm."""
    matrix, coords = meta.geometry.matrix, {}
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    aligned = bool(np.allclose(np.abs(directions), np.eye(3), atol=_PARALLEL))
    for axis, size, column in zip("zyx", meta.geometry.shape, (2, 1, 0), strict=True):
        step = np.linalg.norm(matrix[:3, column])
        start, step = (matrix[column, 3], matrix[column, column]) if aligned else (0.0, step)
        attributes = {"units": "mm", "axis": "LPS" if aligned else "from the first voxel"}
        coords[axis] = (axis, start + step * np.arange(size), attributes)
    return coords


def open_run(path: str | Path) -> StoredRun:
    """Open a run for reading.

    Raises:
        StoreError: nothing there is a run of somray.
    """
    run = StoredRun(Storage.at(path).root)
    if not any(run.storage.exists(name) for name in (RunLayout.info, RunLayout.state)):
        raise StoreError(f"{path}: no run of somray (there is no {RunLayout.info})")
    return run
