"""A teacher's reference where slices are cut into tiles: looked at coarsely, measured and fitted tile by tile."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from somray.domain.run import ScanPlace
from somray.domain.work import Mapper
from somray.io.ome.image import read_meta
from somray.io.ome.metadata import tile_shape
from somray.io.storage import Storage
from somray.kernels.features.piece import SliceScale
from somray.kernels.features.view import FeatureView
from somray.kernels.grids.patch import boxes
from somray.kernels.noise.denoise import joined_noise
from somray.kernels.noise.level import Noise
from somray.kernels.teacher.fit import TeacherSpec, choose_view
from somray.kernels.teacher.measure import measure_slice, noise_of_slice
from somray.stages.reading.reference import check_slice, read_coarse
from somray.stages.reading.slices import seen_slices, slice_source
from somray.stages.segment.scales import check_cut, needs_scales
from somray.stages.teacher.cohort import CohortPart

__all__ = ["ReferenceSlice", "tile_parts", "tile_view"]


@dataclass(frozen=True)
class ReferenceSlice:
    """One slice of a scan.

    Args:
        place: the scan.
        t: time index.
        z: slice.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    t: int
    z: int
    level: float | None = None


def tile_view(chosen: Sequence[ReferenceSlice], spec: TeacherSpec, mapper: Mapper) -> FeatureView:
    """Decide how a protocol looks at pixels, from slices of one scan that are cut into tiles.

    Args:
        chosen: the slices.
        spec: what the protocol asks for; windows are given, but for PET's.
        mapper: measures the noise of each slice.

    Raises:
        DataError: the scan has no such slice, or the protocol needs whole ones.
        ShapeError: as `choose_view`, from the coarse slices.
    """
    place, level = chosen[0].place, chosen[0].level
    meta = read_meta(Storage.at(place.root), place.name)
    coarse = read_coarse(place, tuple(one.z for one in chosen))
    view = choose_view(coarse, spec, meta.geometry.spacing_mm[1:], level)
    check_cut(view, place)
    noises = mapper.run(_noise, list(chosen), view, needs_scales(_tile_bytes(place)))
    found = []
    for c in range(len(view.windows)):
        heard = [one[c] for one in noises if one[c] is not None]
        found.append(joined_noise(heard))
    return replace(view, noise=tuple(found))


def tile_parts(
    slices: Sequence[ReferenceSlice], view: FeatureView, mapper: Mapper
) -> list[CohortPart]:
    """Cut slices into parts, a tile each, in the order of the slices.

    Args:
        slices: of scans that are cut.
        view: as the fit looks at them.
        mapper: measures the slices that are seen.

    Raises:
        DataError: a scan has no such slice, or the protocol needs whole ones.
    """
    if not slices:
        return []
    beside = {one: _beside(one, view.dimensions) for one in slices}
    seen = list(dict.fromkeys(each for near in beside.values() for each in near))
    needs = needs_scales(max(_tile_bytes(one.place) for one in slices))
    scales = dict(zip(seen, mapper.run(_scale, seen, view, needs), strict=True))
    parts = []
    for one in slices:
        meta = read_meta(Storage.at(one.place.root), one.place.name)
        shape = meta.shape[1], meta.shape[3], meta.shape[4]
        told = tuple(scales[near] for near in beside[one])
        parts += [
            CohortPart(one.place, one.t, (one.z,), one.level, box, told)
            for box in boxes(shape[1:], tile_shape(shape))
        ]
    return parts


def _beside(one: ReferenceSlice, dimensions: int) -> list[ReferenceSlice]:
    """List the slices that are seen with one, in order."""
    check_slice(one.place, one.z)
    depth = read_meta(Storage.at(one.place.root), one.place.name).shape[2]
    first, last = seen_slices(one.z, one.z + 1, depth, dimensions)
    return [replace(one, z=z) for z in range(first, last)]


def _tile_bytes(place: ScanPlace) -> int:
    meta = read_meta(Storage.at(place.root), place.name)
    rows, columns = tile_shape((meta.shape[1], meta.shape[3], meta.shape[4]))
    return 4 * meta.shape[1] * rows * columns


def _noise(one: ReferenceSlice, view: FeatureView) -> list[Noise | None]:
    return noise_of_slice(view, slice_source(one.place, one.t, one.z, one.level))


def _scale(one: ReferenceSlice, view: FeatureView) -> SliceScale:
    check_cut(view, one.place)
    return measure_slice(view, slice_source(one.place, one.t, one.z, one.level))
