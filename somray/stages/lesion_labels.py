"""Write `labels/lesions` of one scan and measure what is written, slab by slab."""

from dataclasses import dataclass

import numpy as np

from somray.domain.run import ScanPlace
from somray.domain.tables import LesionRow
from somray.io.ome_zarr import ScanMeta, read_channel, slabs, write_label_slab
from somray.io.storage import Storage
from somray.kernels.instances import LesionMeasure, LesionMeter
from somray.kernels.time_points import LesionVoxels

__all__ = ["SessionScan", "write_time_point"]


@dataclass(frozen=True)
class SessionScan:
    """One session's scan, opened: where it lies and what it says of itself."""

    storage: Storage
    place: ScanPlace
    meta: ScanMeta


def write_time_point(
    scan: SessionScan, t: int, channel: int, lesions: LesionVoxels
) -> list[LesionRow]:
    """Write one time point's lesion ids slab by slab, measuring `channel` on the way."""
    index, ids = lesions
    meta, name = scan.meta, scan.place.name
    meter = LesionMeter(meta.geometry)
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        inside = slice(*np.searchsorted(index[:, 0], (z0, z1)))  # scan order: z ascends
        labels = np.zeros((z1 - z0, *meta.shape[3:]), dtype=np.int32)
        z, y, x = index[inside].T
        labels[z - z0, y, x] = ids[inside]
        write_label_slab(scan.storage, name, "lesions", t, z0, labels)
        if labels.any():
            meter.add(labels, read_channel(scan.storage, name, t, z0, z1, channel), z0)
    return [_row(scan.place, t, measured) for measured in meter.finish()]


def _row(place: ScanPlace, t: int, measured: LesionMeasure) -> LesionRow:
    return LesionRow(
        subject=place.subject,
        session=place.session,
        t=t,
        lesion_id=measured.instance,
        volume_mm3=measured.volume_mm3,
        centroid_x_mm=measured.centroid_mm[0],
        centroid_y_mm=measured.centroid_mm[1],
        centroid_z_mm=measured.centroid_mm[2],
        longest_axis_mm=measured.longest_axis_mm,
        mean_intensity=measured.mean_intensity,
        max_intensity=measured.max_intensity,
        min_intensity=measured.min_intensity,
        std_intensity=measured.std_intensity,
    )
