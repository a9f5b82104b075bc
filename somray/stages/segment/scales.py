"""Measure whole slices of a scan that is cut into tiles, before the first tile is labelled.

A unit measures the slices of one slab, tile by tile, and tells what every brick of them needs to know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from somray.domain.run import ScanPlace
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError
from somray.io.ome.image import ScanMeta
from somray.kernels.classes.told import has_told
from somray.kernels.features.piece import ChannelScale, SliceScale
from somray.kernels.features.view import FeatureView, view_of
from somray.kernels.teacher.measure import measure_slice
from somray.stages.reading.slices import seen_slices, slice_source

__all__ = [
    "ScaleItem",
    "Scales",
    "all_scales",
    "check_cut",
    "needs_scales",
    "run_scales",
    "scales_for",
]

Scales = Mapping[tuple[int, int], Sequence[Mapping[str, Any]]]  # Any: JSON
"""By t and z what `run_scales` told of a slice's channels."""


@dataclass(frozen=True)
class ScaleItem:
    """Some slices of a scan.

    Args:
        place: the scan.
        t: time index.
        z0: first slice.
        z1: the one after the last.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    t: int
    z0: int
    z1: int
    level: float | None = None


def needs_scales(tile_bytes: int) -> Needs:
    """Declare what measuring takes: a tile, denoised and at another pixel size too."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 12 * tile_bytes)


def check_cut(view: FeatureView, place: ScanPlace) -> None:
    """Refuse protocols whose labels need whole slices.

    Raises:
        DataError: CT tells classes beside PET, from regions that may reach over a whole slice.
    """
    if has_told(view):
        raise DataError(
            "too_large",
            f"{place.subject} {place.session}: slices of a PET/CT protocol must fit a task (64 MiB with both "
            "channels), because CT tells tissue by regions of a whole slice",
        )


def run_scales(item: ScaleItem, shared: TeacherModel) -> Result:
    """Measure slices.

    Returns:
        Value: `scales`, per slice and channel.

    Raises:
        DataError: the protocol needs whole slices.
    """
    view = view_of(shared)
    check_cut(view, item.place)
    scales = [
        [
            channel.as_json()
            for channel in measure_slice(view, slice_source(item.place, item.t, z, item.level))
        ]
        for z in range(item.z0, item.z1)
    ]
    return Result(value={"scales": scales})


def all_scales(
    place: ScanPlace, meta: ScanMeta, level: float | None, model: TeacherModel
) -> Scales:
    """Measure every slice of a scan here and now; see `run_scales`."""
    times, _, depth = meta.shape[:3]
    found = {}
    for t in range(times):
        item = ScaleItem(place, t, 0, depth, level)
        for z, scale in enumerate(run_scales(item, model).value["scales"]):
            found[t, z] = scale
    return found


def scales_for(
    scales: Scales, t: int, span: tuple[int, int], depth: int, dimensions: int
) -> tuple[SliceScale, ...]:
    """Return what was measured of the slices that are seen with slices `span` = (z0, z1) of time point t."""
    return tuple(
        tuple(ChannelScale.from_json(channel) for channel in scales[t, z])
        for z in range(*seen_slices(*span, depth, dimensions))
        if (t, z) in scales  # a plan has none
    )
