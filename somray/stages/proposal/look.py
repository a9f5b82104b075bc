"""What a run knows of a scan that speaks for labelling it: one look at its labels, and at its nodes on some slices.

Every time point is looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.teacher import TeacherModel
from somray.io.ome.image import ScanMeta, read_label_brick, read_meta
from somray.io.storage import Storage
from somray.stages.pretrain.images import spread_slices
from somray.stages.pretrain.nodes import NodeMaps

__all__ = ["LabelGroups", "LookedAt", "look_at"]

TILES = 4  # of a slice that is cut, whose nodes are looked at
PERCENT_SURE = 75  # of the likelier of its two words, below which a student is unsure


@dataclass(frozen=True)
class LabelGroups:
    """Which labels of a scan there are, and what is looked for in them.

    Args:
        som: value of the target in labels/som; None where there is no such label.
        student: the same in labels/student.
        doubted: by time index, numbers of objects under doubt in labels/objects; None where there is no such label.
        has_confidence: whether there is labels/confidence.
    """

    som: int | None = None
    student: int | None = None
    doubted: Mapping[int, tuple[int, ...]] | None = None
    has_confidence: bool = False


@dataclass(frozen=True, eq=False)
class LookedAt:
    """What was seen of a scan.

    Args:
        pixel_mm2: area of a pixel.
        spacing_z_mm: between slices.
        either: (t, z) pixels that map or student call target; None where one of them is missing.
        disagree: (t, z) pixels on which they disagree.
        doubted: (t, z) pixels in objects under doubt; None without objects.
        unsure: (t, z) share of the pixels with data of which the student is unsure; None where it does not tell.
        slices: (s,) of time index and slice that may stand for the scan, evenly spread over both.
        hits: (s, k) pixels of each node there; no node without a map.
        distance: (s,) mean distance of a pixel to its node, to that on the reference; NaN without a map or a pixel.
    """

    pixel_mm2: float
    spacing_z_mm: float
    either: NDArray[np.int64] | None
    disagree: NDArray[np.int64] | None
    doubted: NDArray[np.int64] | None
    unsure: NDArray[np.float64] | None
    slices: tuple[tuple[int, int], ...]
    hits: NDArray[np.int64]
    distance: NDArray[np.float64]


def look_at(
    place: ScanPlace,
    groups: LabelGroups,
    teacher: TeacherModel | None,
    level: float | None,
    most_slices: int,
) -> LookedAt:
    """Look at one scan.

    Args:
        place: the scan.
        groups: which labels it has.
        teacher: the protocol's map; None where there is none.
        level: the scan's own level of uptake, where a channel is PET.
        most_slices: of `slices`.
    """
    meta = read_meta(Storage.at(place.root), place.name)
    dz, dy, dx = meta.geometry.spacing_mm
    either, disagree, doubted, unsure = _labels(place, meta, groups)
    depth = meta.shape[2]
    slices = tuple(divmod(n, depth) for n in spread_slices(meta.shape[0] * depth, most_slices))
    nodes = 0 if teacher is None else len(teacher.codebook.weights)
    hits = np.zeros((len(slices), nodes), dtype=np.int64)
    distance = np.full(len(slices), np.nan)
    if teacher is not None:
        maps = NodeMaps(teacher)
        for n, where in enumerate(slices):
            hits[n], distance[n] = _nodes(place, _boxes(meta, *where), maps, level)
        distance /= float(teacher.extra.get("distance_mean", np.nan)) or np.nan
    return LookedAt(dy * dx, dz, either, disagree, doubted, unsure, slices, hits, distance)


def _labels(
    place: ScanPlace, meta: ScanMeta, groups: LabelGroups
) -> tuple[
    NDArray[np.int64] | None,
    NDArray[np.int64] | None,
    NDArray[np.int64] | None,
    NDArray[np.float64] | None,
]:
    """Count pixels by time and slice, brick by brick."""
    storage = Storage.at(place.root)
    shape = 5, meta.shape[0], meta.shape[2]
    either, disagree, doubted, unsure, known = np.zeros(shape, dtype=np.int64)
    for brick in meta.bricks():
        here = brick.t, slice(brick.z0, brick.z1)

        def read(group: str, box: Brick = brick) -> NDArray[np.integer]:
            return read_label_brick(storage, place.name, group, box)

        if groups.som is not None and groups.student is not None:
            som, student = read("som") == groups.som, read("student") == groups.student
            either[here] += (som | student).sum(axis=(1, 2))
            disagree[here] += (som != student).sum(axis=(1, 2))
        if groups.doubted and brick.t in groups.doubted:
            doubted[here] += np.isin(read("objects"), groups.doubted[brick.t]).sum(axis=(1, 2))
        if groups.has_confidence:
            percent = read("confidence")
            known[here] += (percent > 0).sum(axis=(1, 2))
            unsure[here] += ((percent > 0) & (percent < PERCENT_SURE)).sum(axis=(1, 2))
    has_both = groups.som is not None and groups.student is not None
    return (
        either if has_both else None,
        disagree if has_both else None,
        None if groups.doubted is None else doubted,
        unsure / np.maximum(known, 1) if groups.has_confidence else None,
    )


def _nodes(
    place: ScanPlace, boxes: Iterator[Brick], maps: NodeMaps, level: float | None
) -> tuple[NDArray[np.int64], float]:
    """Count the pixels of each node on a slice, and add up their mean distance to them."""
    book = maps.books[0]
    hits, total = np.zeros(len(book), dtype=np.int64), 0.0
    for box in boxes:
        for seen in maps.look(place, box, level):
            nodes = seen.nodes[0]
            known = nodes >= 0
            hits += np.bincount(nodes[known], minlength=len(book))
            apart = seen.features[:, known].T - book[nodes[known]]
            total += float(np.sqrt(np.square(apart, dtype=np.float64).sum(axis=1)).sum())
    count = int(hits.sum())
    return hits, total / count if count else np.nan


def _boxes(meta: ScanMeta, t: int, z: int) -> Iterator[Brick]:
    """Give a slice, or some tiles of one that is cut, evenly spread."""
    if not meta.is_cut:
        yield Brick.of_slices(t, z, z + 1, meta.shape[3:])
        return
    tiles = [tile for tile in meta.bricks(t) if tile.z0 <= z < tile.z1]
    for n in spread_slices(len(tiles), TILES):
        tile = tiles[n]
        yield Brick(t, z, z + 1, tile.y0, tile.y1, tile.x0, tile.x1)
