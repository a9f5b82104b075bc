"""Write `labels/lesions` of one scan and measure what is written, slab by slab."""

from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import LesionRow, PorosityRow, SliceRow, values_for
from somray.io.ome.image import ScanMeta, read_channel, slabs, write_label_slab
from somray.io.storage import Storage
from somray.kernels.evolution.time_points import LesionVoxels
from somray.kernels.lesions.ellipsoid import EllipsoidFigures
from somray.kernels.lesions.instances import LesionMeasure, LesionMeter
from somray.kernels.lesions.peak import PeakMeter
from somray.kernels.lesions.shape import ShapeFigures, shapes_of
from somray.kernels.lesions.values import ValueMeter
from somray.kernels.metrics.area import target_figures
from somray.stages.evolution.particles import ParticleMeter

__all__ = ["SessionScan", "TimePoint", "has_glycolysis", "write_time_point"]


@dataclass(frozen=True)
class SessionScan:
    """One session's scan, opened: where it lies and what it says of itself."""

    storage: Storage
    place: ScanPlace
    meta: ScanMeta


@dataclass(frozen=True)
class TimePoint:
    """The lesions of one time point of a scan, measured.

    Args:
        t: time index.
        rows: one per lesion, by lesion_id.
        slices: one per slice, the area of all lesions in it.
        furthest_mm: largest distance between two lesion voxels; None without lesions.
        porosity: one per plane across z, y and x; none of a patient.
    """

    t: int
    rows: list[LesionRow]
    slices: list[SliceRow]
    furthest_mm: float | None
    porosity: list[PorosityRow]


def has_glycolysis(meta: ScanMeta, channel: int) -> bool:
    """Tell whether uptake × volume means something: in SUV, and where a PET file does not say its unit.

    A NIfTI of PET never says it and nearly always holds SUV; in whatever unit, sessions compare.
    """
    unit = meta.unit.split(",")[channel]
    return unit == "SUVbw" or (unit == "raw" and meta.channels[channel] == "PET")


def write_time_point(scan: SessionScan, t: int, channel: int, lesions: LesionVoxels) -> TimePoint:
    """Write one time point's lesion ids slab by slab, measuring `channel` on the way."""
    index, ids = lesions.index, lesions.ids
    meta, name = scan.meta, scan.place.name
    meters = _Meters(scan, t, channel, index)
    areas: list[SliceRow] = []
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        inside = slice(*np.searchsorted(index[:, 0], (z0, z1)))  # scan order: z ascends
        labels = np.zeros((z1 - z0, *meta.shape[3:]), dtype=np.int32)
        z, y, x = index[inside].T
        labels[z - z0, y, x] = ids[inside]
        write_label_slab(scan.storage, name, "lesions", t, z0, labels)
        meters.add(labels, z0)
        areas += [_slice_row(scan, t, z0 + n, plane) for n, plane in enumerate(labels > 0)]
    porosity = list(meters.particles.porosity())
    return TimePoint(t, meters.rows(lesions), areas, meters.lesions.furthest_mm, porosity)


def _slice_row(scan: SessionScan, t: int, z: int, plane: NDArray[np.bool_]) -> SliceRow:
    _, dy, dx = scan.meta.geometry.spacing_mm
    return SliceRow(
        subject=scan.place.subject,
        session=scan.place.session,
        method="lesions",
        t=t,
        z=z,
        confidence=None,
        **target_figures(plane, dy * dx),
    )


class _Meters:
    """What measures one time point: values, axes, CT inside, and peaks where values are SUV."""

    def __init__(self, scan: SessionScan, t: int, channel: int, index: NDArray[np.int32]) -> None:
        units = scan.meta.unit.split(",")
        self._scan, self._t, self._channel = scan, t, channel
        self._tissue_channel = units.index("HU") if "HU" in units else None
        self._tissue = ValueMeter()
        is_suv = units[channel] == "SUVbw"
        self._has_tlg = has_glycolysis(scan.meta, channel)
        self._peaks = PeakMeter(scan.meta.geometry, index) if is_suv else None
        self.lesions = LesionMeter(scan.meta.geometry)
        self.particles = ParticleMeter(scan.storage, scan.place, scan.meta, t)

    def add(self, labels: NDArray[np.int32], z0: int) -> None:
        """Take one slab of final lesion ids."""
        self.particles.add(labels, (z0, 0, 0))
        z1 = z0 + len(labels)
        holds = bool(labels.any())
        reached = self._peaks is not None and self._peaks.wants(z0, z1)
        if not holds and not reached:
            return
        image = self._read(z0, z1, self._channel)
        if self._peaks is not None:
            self._peaks.add(image, z0)
        if holds:
            self.lesions.add(labels, image, z0)
            if self._tissue_channel is not None:
                same = self._tissue_channel == self._channel
                self._tissue.add_slab(
                    labels, image if same else self._read(z0, z1, self._tissue_channel)
                )

    def rows(self, lesions: LesionVoxels) -> list[LesionRow]:
        """Return one row per lesion."""
        numbers, owner = np.unique(lesions.ids, return_inverse=True)
        shapes = shapes_of(lesions.index, owner, self._scan.meta.geometry)
        peaks = np.full(len(numbers), np.nan)
        if self._peaks is not None:
            peaks = self._peaks.peaks(owner, len(numbers))
        return [
            self._row(measured, shape, form, float(peak))
            for measured, shape, form, peak in zip(
                self.lesions.finish(), shapes, self.particles.figures(), peaks, strict=True
            )
        ]

    def _read(self, z0: int, z1: int, channel: int) -> NDArray[np.float32]:
        return read_channel(self._scan.storage, self._scan.place.name, self._t, z0, z1, channel)

    def _row(
        self, measured: LesionMeasure, shape: ShapeFigures, form: EllipsoidFigures, peak: float
    ) -> LesionRow:
        place, lesion = self._scan.place, measured.instance
        is_suv, has_ct = self._peaks is not None, self._tissue_channel is not None
        mean, volume_ml = measured.mean_intensity, measured.volume_mm3 / 1000.0
        return LesionRow(
            subject=place.subject,
            session=place.session,
            t=self._t,
            lesion_id=lesion,
            centroid_x_mm=measured.centroid_mm[0],
            centroid_y_mm=measured.centroid_mm[1],
            centroid_z_mm=measured.centroid_mm[2],
            suv_max=_known(measured.max_intensity) if is_suv else None,
            suv_mean=_known(mean) if is_suv else None,
            suv_peak=_known(peak),
            tlg_ml=_known(mean * volume_ml) if self._has_tlg else None,
            **values_for(LesionRow, measured),
            **values_for(LesionRow, shape) | {"nearest_mm": _known(shape.nearest_mm)},
            **values_for(LesionRow, form),
            ct_mean_hu=_known(self._tissue.mean(lesion)) if has_ct else None,
            ct_std_hu=_known(self._tissue.std(lesion)) if has_ct else None,
        )


def _known(value: float) -> float | None:
    return None if isnan(value) else value
