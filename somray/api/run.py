"""`somray.open_run`: a run as a reader sees it, with scans brought to their subject's first session."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pandas as pd
import xarray
from numpy.typing import NDArray

from somray.api.listing import ListedRun, require_run
from somray.domain.brick import Brick
from somray.domain.run import RunLayout
from somray.errors import ConfigError, StoreError
from somray.io import run as reading
from somray.io.ome.arrays import store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.image import ScanMeta, read_meta
from somray.io.storage import Storage
from somray.kernels.grids.blocks import fill_slice
from somray.kernels.grids.index_map import index_map
from somray.kernels.grids.regions import part_of_plane, part_of_volume
from somray.kernels.grids.resample import warp_label_slice, warp_slice

__all__ = ["Run", "open_run"]

TILE = 2048  # rows and columns of larger slices that are resampled at once
Block = Callable[[Any, tuple[int, ...], Brick], NDArray[Any]]  # Any: a stored array; any pixel type


class Run(ListedRun):
    """One run, read-only; it may still be going on.

    `run.table(name)` reads a table, `run.scan(subject, session)` opens a scan, `run.aligned(subject, session)` the
    same on its subject's first session. `run.tables`, `run.protocols`, `run.subjects` and `run.sessions(subject)` tell
    the names; `run.teacher(protocol)` and `run.student(protocol)` are what was fitted, `run.config` and `run.info`
    what ran. A wrong name is answered with the nearest one.

    Args:
        root: path or fsspec URL of the run.
    """

    def aligned(self, subject: str, session: str, to: str = "session") -> xarray.Dataset:
        """Open one scan lazily, its pixels resampled once to where registration brings them.

        Args:
            subject: as in the manifest.
            session: as in the manifest.
            to: "session": onto the grid of the session that the subject's sessions were brought to;
                "slices": every slice brought to the reference slice of the scan's own chain.

        Returns:
            As `scan` returns it, in blocks of one slice, or of a tile of a large one: the image linear, NaN
            where the scan shows nothing; labels by the nearest voxel, 0 there. `attrs` tell
            `reference_session`, or `reference_z` and the slices that nothing leads from
            (`refused_slices`): those are empty.

        Raises:
            ConfigError: `to` is neither.
            StoreError: there is no complete scan of that name, the run holds no such alignment (yet), or
                it was refused; says why.

        Example:
            `run.aligned("s01", "t1").image - run.scan("s01", "t0").image` is what changed.
        """
        if to not in ("session", "slices"):
            raise ConfigError(f"to must be 'session' or 'slices', got {to!r}")
        scan = self.scan(subject, session)
        rows = self._alignment(subject, session, to)
        if to == "slices":
            return self._straightened(scan, rows, (subject, session))
        row = rows.iloc[0]
        if row["matrix"] is None:
            raise StoreError(
                f"{subject} {session}: its alignment to session {row['reference_session']} was "
                f"refused: {row['reason']}; nothing can be brought there"
            )
        return self._onto(scan, row, (subject, session))

    def _alignment(self, subject: str, session: str, to: str) -> pd.DataFrame:
        kind = {"session": "sessions", "slices": "slices"}[to]
        table = self.table("alignment")
        mine = (table["subject"] == subject) & (table["session"] == session)
        rows = table[mine & (table["kind"] == kind)]
        if rows.empty:
            raise StoreError(
                f"{self.root}: holds no alignment of {kind} for {subject} {session}: the run is not "
                f"done, its registration.pairs leave out {kind}, or there is nothing to align"
            )
        return rows

    def _onto(self, scan: xarray.Dataset, row: pd.Series, name: tuple[str, str]) -> xarray.Dataset:
        """Bring a scan onto the grid of the reference session."""
        reference = str(row["reference_session"])
        grid = self.scan(name[0], reference)
        fixed, moving = self._meta(name[0], reference), self._meta(*name)
        matrix = np.reshape(np.asarray(row["matrix"], dtype=np.float64), (4, 4))
        sampling = np.asarray(np.linalg.inv(matrix))
        index = index_map(moving.geometry, fixed.geometry, sampling)

        def block(
            array: Any, lead: tuple[int, ...], box: Brick
        ) -> NDArray[Any]:  # Any: see `Block`
            nothing, shape = _nothing(box.shape[1:], array.dtype), moving.geometry.shape
            rows, columns, at = slice(0, shape[1]), slice(0, shape[2]), index
            if box.shape[1:] != fixed.geometry.shape[1:]:
                rows, columns, at = part_of_volume(index, box, shape)
            if rows.start == rows.stop or columns.start == columns.stop:
                return nothing
            return fill_slice(
                nothing, at, box.z0, shape[0],
                lambda part: np.asarray(array[(*lead, part, rows, columns)]),
            )  # fmt: skip

        attributes = {**grid.attrs, "unit": scan.attrs["unit"], "reference_session": reference}
        coords = {axis: grid.coords[axis] for axis in "zyx"} | {"c": scan.coords["c"]}
        return self._lazy(scan, name, fixed, (block, coords, attributes))

    def _straightened(
        self, scan: xarray.Dataset, rows: pd.DataFrame, name: tuple[str, str]
    ) -> xarray.Dataset:
        """Bring every slice to the chain's reference slice."""
        meta = self._meta(*name)
        shape = (meta.shape[3], meta.shape[4])
        places = {(int(row["t"]), int(row["z"])): row["matrix"] for _, row in rows.iterrows()}
        refused = sorted(where for where, matrix in places.items() if matrix is None)

        def block(
            array: Any, lead: tuple[int, ...], box: Brick
        ) -> NDArray[Any]:  # Any: see `Block`
            matrix = places.get((lead[0], box.z0))
            if matrix is None:
                return _nothing(box.shape[1:], array.dtype)
            sampling = np.linalg.inv(np.reshape(np.asarray(matrix, dtype=np.float64), (3, 3)))
            rows, columns = slice(0, shape[0]), slice(0, shape[1])
            if box.shape[1:] != shape:
                rows, columns, sampling = part_of_plane(sampling, box, shape)
            source = np.asarray(array[(*lead, box.z0, rows, columns)])
            if not source.size:
                return _nothing(box.shape[1:], array.dtype)
            warp = warp_slice if source.dtype.kind == "f" else warp_label_slice
            return warp(source, sampling, box.shape[1:])

        attributes = {
            **scan.attrs,
            "reference_z": sorted({int(z) for z in rows["reference_z"]}),
            "refused_slices": [list(where) for where in refused],
        }
        return self._lazy(scan, name, meta, (block, scan.coords, attributes))

    def _meta(self, subject: str, session: str) -> ScanMeta:
        return read_meta(self.storage, RunLayout.scan(subject, session))

    def _lazy(
        self,
        scan: xarray.Dataset,
        name: tuple[str, str],
        grid: ScanMeta,
        made: tuple[Block, Any, dict[str, Any]],
    ) -> xarray.Dataset:
        """Make the dataset whose blocks are computed when they are read; `made`: block, coords, attrs."""
        place = RunLayout.scan(*name)
        is_large = grid.shape[3] * grid.shape[4] > TILE * TILE
        data: dict[str, Any] = {}
        for variable, array in scan.data_vars.items():
            path = "0" if variable == "image" else f"labels/{variable}/0"
            lead = array.shape[:-3]
            chunks = (
                *((1,) * n for n in lead),
                (1,) * grid.shape[2],
                *(_cut(n, TILE if is_large else n) for n in grid.shape[3:]),
            )
            lazy = dask.array.map_blocks(
                _compute, chunks=chunks, dtype=array.dtype, meta=np.empty((0,) * array.ndim, array.dtype),
                storage=self.storage, place=place, path=path, block=made[0],
            )  # fmt: skip
            data[str(variable)] = (array.dims, lazy)
        return xarray.Dataset(data, coords=made[1], attrs=made[2])


def _compute(
    storage: Storage, place: str, path: str, block: Block, block_info: Any = None
) -> NDArray[Any]:  # Any: dask tells blocks so; any pixel type
    """Compute one slice of one variable, or a tile of it."""
    *lead, (z0, z1), (y0, y1), (x0, x1) = block_info[None]["array-location"]
    array = StoredLevel(storage, place, path)
    with store_errors(storage.uri(f"{place}/{path}")):
        found = block(array, tuple(start for start, _ in lead), Brick(0, z0, z1, y0, y1, x0, x1))
    return found.reshape((1,) * (len(lead) + 1) + found.shape)


def _cut(size: int, step: int) -> tuple[int, ...]:
    """Return the sizes of the parts of an axis."""
    return tuple(min(step, size - start) for start in range(0, size, step))


def _nothing(shape: tuple[int, int], dtype: Any) -> NDArray[Any]:  # Any: any pixel type
    """Return a slice that shows nothing: NaN in images, 0 in labels."""
    return np.full(shape, np.nan if np.dtype(dtype).kind == "f" else 0, dtype=dtype)


def open_run(path: str | Path) -> Run:
    """Open a run for reading, from storage alone; it may still be going on.

    Args:
        path: of the run's folder (`output:` in cohort.yaml), or an fsspec URL.

    Returns:
        The run; pandas tables, lazy xarray scans, models.

    Raises:
        StoreError: nothing there is a run of somray; says where one may be.

    Example:
        ```python
        run = somray.open_run("study/run")
        run.subjects                         # ['s01', 's02']
        run.table("evolution")               # pandas.DataFrame
        run.scan("s01", "t0").image          # (t, c, z, y, x), lazy
        ```
    """
    require_run(path)
    return Run(reading.open_run(path).root)
