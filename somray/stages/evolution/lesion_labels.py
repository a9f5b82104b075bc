"""Write `labels/lesions` of one time point and measure what is written, brick by brick."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.tables import LesionRow, PorosityRow, SliceRow, values_for
from somray.io.ome.image import ScanMeta, write_label_brick
from somray.kernels.evolution.time_points import identity_lookup
from somray.kernels.lesions.ellipsoid import EllipsoidFigures
from somray.kernels.lesions.facts import PartFacts
from somray.kernels.lesions.instances import LesionMeasure, LesionMeter
from somray.kernels.lesions.nearest import NearestMeter
from somray.kernels.lesions.parts import inner, renumber
from somray.kernels.lesions.peak import PeakMeter
from somray.kernels.lesions.rim import pieces_of
from somray.kernels.lesions.thickness.meter import ThicknessFigures, ThicknessMeter
from somray.kernels.lesions.values import ValueMeter
from somray.kernels.metrics.area import area_figures
from somray.stages.evolution.instances import FoundLesions
from somray.stages.evolution.lesion_map import LABEL, LesionMap
from somray.stages.evolution.particles import ParticleMeter

__all__ = ["TimePoint", "has_glycolysis", "write_time_point"]

Forms = tuple[EllipsoidFigures, ThicknessFigures]


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


def write_time_point(
    found: FoundLesions, channel: int, identities: Mapping[int, int], *, thickness: bool = False
) -> TimePoint:
    """Put lesion_ids in place of the provisional numbers of one time point, measuring `channel` on the way.

    Args:
        found: its instances, as `find_instances` left them.
        channel: index of the channel whose intensities are measured.
        identities: instance number to lesion_id; what has none is no lesion.
        thickness: whether their local thickness is measured too.
    """
    voxels, scan = found.voxels, found.voxels.scan
    ids = identity_lookup(found.lesions, identities)
    meters = _Meters(voxels, channel, found.lesions.facts.renamed(ids), thickness=thickness)
    ids, held = ids[voxels.lookup], set(voxels.bricks)
    depth, rows, columns = scan.meta.shape[2:]
    pixels = np.zeros(depth, dtype=np.int64)  # of lesions, by slice
    for z1, slab in itertools.groupby(scan.meta.bricks(voxels.t), lambda brick: brick.z1):
        for brick in slab:
            block = None
            if brick in held:
                block = scan.surrounded(brick, meters.lesions.margin)
                renumber(block, ids)
                labels = inner(block, meters.lesions.margin)
                write_label_brick(scan.storage, scan.place.name, LABEL, brick, labels)
                pixels[brick.z0 : brick.z1] += np.count_nonzero(labels, axis=(1, 2))
            meters.add(brick, block)
        meters.close_slab(z1)
    areas = [_slice_row(voxels, z, n, rows * columns) for z, n in enumerate(pixels.tolist())]
    porosity = list(meters.particles.porosity())
    return TimePoint(voxels.t, meters.rows(), areas, meters.lesions.furthest_mm, porosity)


def _slice_row(voxels: LesionMap, z: int, count: int, pixels: int) -> SliceRow:
    place, (_, dy, dx) = voxels.scan.place, voxels.scan.meta.geometry.spacing_mm
    return SliceRow(
        subject=place.subject,
        session=place.session,
        method=LABEL,
        t=voxels.t,
        z=z,
        confidence=None,
        **area_figures(count, pixels, dy * dx),
    )


class _Meters:
    """What measures one time point: values, axes, surface, CT inside, peaks where values are SUV, neighbours."""

    def __init__(
        self, voxels: LesionMap, channel: int, facts: PartFacts, *, thickness: bool
    ) -> None:
        scan, largest = voxels.scan, int(facts.numbers.max(initial=0))
        units = scan.meta.unit.split(",")
        self._scan, self._t, self._channel, self._facts = scan, voxels.t, channel, facts
        self._tissue_channel = units.index("HU") if "HU" in units else None
        self._tissue = ValueMeter()
        self._has_tlg = has_glycolysis(scan.meta, channel)
        geometry = scan.meta.geometry
        self._peaks = PeakMeter(geometry, largest) if units[channel] == "SUVbw" else None
        self._nearest, self._rims = NearestMeter(geometry, largest), list[Brick]()
        self.lesions = LesionMeter(geometry, facts)
        self._thickness = ThicknessMeter(geometry, facts) if thickness else None
        self.particles = ParticleMeter(scan.storage, scan.place, scan.meta, voxels.t)

    def add(self, brick: Brick, block: NDArray[np.int32] | None) -> None:
        """Take one brick of final lesion ids with a margin about it; None where it holds none.

        A further meter belongs here: it gets every brick of the time point once, by z, y and x.
        """
        labels = np.zeros(brick.shape, np.int32)
        if block is not None:
            labels = inner(block, self.lesions.margin)
        self.particles.add(labels, brick.corner)
        if block is None or not labels.any():
            return
        image = self._scan.values(brick, self._channel)
        self.lesions.add_brick(block, image, brick.corner)
        self._nearest.add_brick(pieces_of(block, brick.corner, self.lesions.margin))
        self._rims.append(brick)
        if self._thickness is not None:
            self._thickness.add_brick(labels, brick.corner)
        if self._tissue_channel is not None:
            same = self._tissue_channel == self._channel
            tissue = image if same else self._scan.values(brick, self._tissue_channel)
            self._tissue.add_slab(labels, tissue)
        if self._peaks is not None:
            outer = brick.grown(self._peaks.reach, self._scan.meta.shape[2:])
            z, y, x = (a - b for a, b in zip(brick.corner, outer.corner, strict=True))
            self._peaks.add_brick(labels, self._scan.values(outer, self._channel), (z, y, x))

    def close_slab(self, z1: int) -> None:
        """Take note that all bricks of slices before z1 were taken."""
        self.lesions.close_slab(z1)
        if self._thickness is not None:
            self._thickness.close_slab(z1)

    def rows(self) -> list[LesionRow]:
        """Return one row per lesion, by lesion_id, once all bricks were taken and written."""
        search, numbers = self._nearest.search(), self._facts.numbers
        for number in search.bricks:
            brick = self._rims[number]
            block = self._scan.surrounded(brick, (1, 1, 1))
            search.add_brick(number, pieces_of(block, brick.corner))
        none = np.full(int(numbers.max(initial=0)) + 1, np.nan)
        peaks = none if self._peaks is None else self._peaks.peaks
        columns = search.nearest_mm[numbers].tolist(), peaks[numbers].tolist()
        thickness = [ThicknessFigures()] * len(numbers)
        if self._thickness is not None:
            thickness = self._thickness.finish()
        forms = zip(self.particles.figures(), thickness, strict=True)
        told = zip(self.lesions.finish(), forms, *columns, strict=True)
        return [self._row(*row) for row in told]

    def _row(
        self, measured: LesionMeasure, forms: Forms, nearest_mm: float, peak: float
    ) -> LesionRow:
        form, thickness = forms
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
            **values_for(LesionRow, form),
            **values_for(LesionRow, thickness),
            nearest_mm=_known(nearest_mm),
            ct_mean_hu=_known(self._tissue.mean(lesion)) if has_ct else None,
            ct_std_hu=_known(self._tissue.std(lesion)) if has_ct else None,
        )


def _known(value: float) -> float | None:
    return None if isnan(value) else value
