"""Source files to OME-Zarr: channels on one grid, repairs counted, slab by slab.

Nothing complete is left behind by a scan that fails: the mark is written last, and a refused scan's group
is removed.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.tables import ScanRow
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.ome.image import ScanMeta, create_scan, finish_scan, slab_depth, write_slab
from somray.io.readers import Source
from somray.io.storage import Storage
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.grids.slabs import resample_slab
from somray.kernels.hounsfield import HounsfieldTally
from somray.kernels.repair import Repair, repair
from somray.stages.reading.sources import open_channels

__all__ = ["IngestItem", "look", "needs", "probe", "run"]

Write = Callable[[int, int, NDArray[np.float32]], None]

MAX_SLAB_BYTES = (
    100 * MIB
)  # ingest was measured to take 7 times a slab above its imports; see `needs`

_ASSUMED_UNIT = {"CT": "HU"}  # NIfTI and its like do not say; CT is in HU by convention


@dataclass(frozen=True)
class IngestItem:
    """One scan and what its protocol says about it.

    Args:
        root: path or URL of the run.
        scan: as the manifest names it.
        modality: of the protocol.
        channels: of the protocol, in order.
        windows: per channel (low, high), None where chosen later.
        irregular: refuse or resample.
        repair_fraction: share of voxels that may be repaired.
        spacing_mm: (z, y, x), for files that name no voxel size.
        recipe: names all that decides the result beside the files; told again in the result.
    """

    root: str
    scan: Scan
    modality: str
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float] | None, ...]
    irregular: str
    repair_fraction: float
    spacing_mm: tuple[float, float, float] | None = None
    recipe: str = ""


@dataclass
class _Tally:
    """What is learned while the slabs pass by."""

    repaired: dict[str, int] = field(default_factory=dict)
    by_design: int = 0  # of these, padding outside the circle that a scanner can measure
    voxels: int = 0
    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    uptake: NDArray[np.int64] | None = None
    assumed_hu: dict[int, HounsfieldTally] = field(default_factory=dict)  # by channel
    pixels: Any = field(
        default_factory=hashlib.sha256
    )  # Any: hashlib names no type for its objects

    def add(self, found: Repair) -> None:
        """Count what was repaired in some slices."""
        self.voxels += found.values.size
        self.by_design += found.by_design
        for code, count in found.counts.items():
            self.repaired[code] = self.repaired.get(code, 0) + count


def needs() -> Needs:
    """Declare what ingest takes: interpreter and readers, a slab of at most 64 MB in a few copies."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 300 * MIB)


def probe(item: IngestItem) -> dict[str, Any]:
    """Read headers, and so little of the pixels as tells whether they can be decoded.

    Returns:
        `shape` (t, c, z, y, x), `spacing_mm`, `unit`, `repairs` that headers tell of.

    Raises:
        DataError: what headers can tell, and a missing codec or a file cut short.
    """
    with contextlib.ExitStack() as opened:
        sources = _opened(item, opened)
        meta = _meta(item, sources)
        for source in sources:
            source.verify()
        return {
            "shape": meta.shape,
            "spacing_mm": meta.geometry.spacing_mm,
            "unit": meta.unit,
            "repairs": meta.repairs,
        }


def run(item: IngestItem, shared: object = None) -> Result:
    """Ingest one scan.

    Returns:
        Its row of `scans`; value: shape, pixel_digest (of the values alone), source_digest (with grid
        and unit), uptake_level (None without PET), spacing_mm, unit, windows, repairs
        and recipe.

    Raises:
        DataError: the scan cannot be used; its code says why.
    """
    storage = Storage.at(item.root)
    name = RunLayout.scan(item.scan.subject, item.scan.session)
    with contextlib.ExitStack() as opened:
        sources = _opened(item, opened)
        meta = _meta(item, sources)
        create_scan(storage, name, meta)
        try:
            tally = _stream(item, sources, meta, functools.partial(write_slab, storage, name))
            _judge(item, tally)
        except BaseException:
            storage.remove(name)
            raise
    meta, told = _told(item, meta, tally)
    finish_scan(storage, name, meta)
    return told


def look(item: IngestItem, shared: object = None) -> Result:
    """Read one scan as `run` does and tell the same of it, but write nothing.

    Raises:
        DataError: as `run`.
    """
    with contextlib.ExitStack() as opened:
        sources = _opened(item, opened)
        meta = _meta(item, sources)
        tally = _stream(item, sources, meta, lambda t, z0, block: None)
        _judge(item, tally)
    return _told(item, meta, tally)[1]


def _opened(item: IngestItem, opened: contextlib.ExitStack) -> list[Source]:
    return open_channels(
        item.scan, item.modality, item.channels, opened, item.irregular, item.spacing_mm
    )


def _meta(item: IngestItem, sources: list[Source]) -> ScanMeta:
    first = sources[0].header
    units = [
        source.header.unit or _ASSUMED_UNIT.get(channel.kind, "raw")
        for channel, source in zip(channels_of(item.modality, item.channels), sources, strict=True)
    ]
    noted = [code for source in sources for code in source.header.repairs]
    t, z, y, x = first.shape
    slab_bytes = 4 * len(sources) * slab_depth((len(sources), y, x)) * y * x
    if slab_bytes > MAX_SLAB_BYTES:
        raise DataError(
            "too_large",
            f"{item.scan.path}: one slice takes {slab_bytes / MIB:.0f} MiB, at most "
            f"{MAX_SLAB_BYTES // MIB} fit a task; crop or bin the slices",
        )
    return ScanMeta(
        shape=(t, len(sources), z, y, x),
        geometry=first.geometry,
        channels=item.channels,
        unit=",".join(units),
        windows=item.windows,
        repairs=tuple(dict.fromkeys(noted)),
        anatomical=item.modality != "XCT",
    )


def _stream(item: IngestItem, sources: list[Source], meta: ScanMeta, write: Write) -> _Tally:
    """Read, repair, resample, hash and write slab by slab."""
    count = len(sources)
    tally = _Tally(lowest=[np.inf] * count, highest=[-np.inf] * count)
    channels = channels_of(item.modality, item.channels)
    for t, z0, z1 in _walk(meta):
        block = np.empty((count, z1 - z0, *meta.shape[3:]), dtype=np.float32)
        for c, source in enumerate(sources):
            block[c] = _channel_slab(item, source, c, (t, z0, z1), meta, tally)
            known = block[c][np.isfinite(block[c])]
            if known.size:
                tally.lowest[c] = min(tally.lowest[c], float(known.min()))
                tally.highest[c] = max(tally.highest[c], float(known.max()))
        tally.pixels.update(np.ascontiguousarray(block).data)
        if has_level(channels):
            found = subject_histogram(np.moveaxis(block, 1, 0), channels)
            tally.uptake = found if tally.uptake is None else tally.uptake + found
        write(t, z0, block)
    return tally


def _walk(meta: ScanMeta) -> Iterator[tuple[int, int, int]]:
    for t in range(meta.shape[0]):
        for z0, z1 in meta.slabs:
            yield t, z0, z1


def _channel_slab(
    item: IngestItem,
    source: Source,
    c: int,
    where: tuple[int, int, int],
    meta: ScanMeta,
    tally: _Tally,
) -> NDArray[np.float32]:
    """Return one channel's slab on the first channel's grid, repaired."""
    t, z0, z1 = where
    kind = channels_of(item.modality, item.channels)[c].kind

    def read(start: int, stop: int) -> NDArray[np.float32]:
        header = source.header
        values = source.read(t, start, stop)
        if header.unit is None and _ASSUMED_UNIT.get(kind) == "HU":
            tally.assumed_hu.setdefault(c, HounsfieldTally()).add(values)
        found = repair(values, kind, header.padding, outside_is_nan=header.outside_is_nan)
        tally.add(found)
        return found.values

    if source.header.geometry == meta.geometry:
        return read(z0, z1)
    return resample_slab(read, source.header.geometry, meta.geometry, z0, z1)


def _judge(item: IngestItem, tally: _Tally) -> None:
    """Refuse a scan with too much to repair, or with nothing in it.

    Padding outside the scanner's circle is how CT slices are stored, not damage: it is filled and told in
    `repairs`, but does not count against the scan.
    """
    total = sum(tally.repaired.values()) - tally.by_design
    if total > item.repair_fraction * tally.voxels:
        kinds = ", ".join(f"{count} {code}" for code, count in sorted(tally.repaired.items()))
        raise DataError(
            "non_finite",
            f"{item.scan.path}: {total / tally.voxels:.2%} of its voxels are NaN, infinite or padding "
            f"({kinds}), more than repair_fraction {item.repair_fraction:.2%}; correct the file, or "
            "raise repair_fraction",
        )
    for channel, low, high in zip(item.channels, tally.lowest, tally.highest, strict=True):
        if low > high:
            raise DataError(
                "channel_mismatch",
                f"{item.scan.path}: channel {channel} has no data on the first channel's grid; "
                "are both of the same examination?",
            )
        if low == high:
            raise DataError(
                "blank", f"{item.scan.path}: every pixel of channel {channel} has the same value"
            )
    for c, values in tally.assumed_hu.items():
        if fault := values.fault():
            raise DataError(
                "no_units",
                f"{item.scan.paths[c]}: its values are not Hounsfield units: {fault}; convert the scan again "
                "with its rescaling (air at -1000, water at 0), or use modality `other`",
            )


def _told(item: IngestItem, meta: ScanMeta, tally: _Tally) -> tuple[ScanMeta, Result]:
    """Complete what a scan says of itself, and make its row and facts."""
    pixels = hashlib.sha256(f"{meta.shape}".encode() + tally.pixels.digest()).hexdigest()[:32]
    identity = f"{pixels} {meta.geometry.affine} {meta.unit}"
    source = hashlib.sha256(identity.encode()).hexdigest()[:32]
    repairs = (*meta.repairs, *sorted(tally.repaired))
    whole = replace(meta, source_digest=source, repairs=repairs)
    spacing = meta.geometry.spacing_mm
    row = ScanRow(
        subject=item.scan.subject,
        session=item.scan.session,
        path=item.scan.path,
        shape_t=meta.shape[0],
        shape_c=meta.shape[1],
        shape_z=meta.shape[2],
        shape_y=meta.shape[3],
        shape_x=meta.shape[4],
        spacing_z_mm=spacing[0],
        spacing_y_mm=spacing[1],
        spacing_x_mm=spacing[2],
        modality=item.modality,
        unit=meta.unit,
        days=item.scan.days,
        repairs=",".join(repairs) or None,
        status="done",
    )
    level = None if tally.uptake is None else subject_level(tally.uptake, item.modality)
    value = {
        "shape": list(meta.shape),
        "pixel_digest": pixels,
        "source_digest": source,
        "uptake_level": level,
        "spacing_mm": list(spacing),
        "unit": meta.unit,
        "windows": [None if window is None else list(window) for window in item.windows],
        "repairs": list(repairs),
        "recipe": item.recipe,
    }
    return whole, Result(rows={"scans": [row]}, value=value)
