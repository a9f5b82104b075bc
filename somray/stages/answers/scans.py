"""A whole scan: the same voxels as `somray apply`, brick by brick, without a file in between."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.brick import Brick
from somray.errors import ShapeError
from somray.kernels.features.view import ScanSlices
from somray.kernels.objects.grid import BlockMeans, object_grid
from somray.kernels.objects.scan_rule import rule_of_kinds
from somray.kernels.teacher.apply import SignedLabels, scaled_windows
from somray.kernels.teacher.signature import Signature, drift_from, merge_signatures
from somray.stages.answers.answer import Answer, class_legend, percent
from somray.stages.answers.fitted import Fitted
from somray.stages.answers.held import HeldScan
from somray.stages.answers.slices import THRESHOLD
from somray.stages.reading.slices import seen_slices
from somray.stages.reading.volume import ScanVolume
from somray.stages.segment.rows import SliceCount, count_slices
from somray.stages.student.volumes import VOLUME_MM, volume_chance

__all__ = ["StoppedAnswerError", "answer_scan"]


class StoppedAnswerError(Exception):
    """Nobody waits for the answer any more."""


@dataclass(eq=False)
class _Maps:
    """What is filled brick by brick."""

    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    counts: list[SliceCount]
    signatures: list[Signature]

    @classmethod
    def of(cls, held: HeldScan) -> "_Maps":
        times, _, *space = held.meta.shape
        shape = (times, *space)
        return cls(np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), [], [])

    def put(
        self, brick: Brick, labels: NDArray[np.uint8], sure: NDArray[np.float32], value: int
    ) -> None:
        """Keep the labels of a brick; `sure` is that of the mask, in [0, 1]."""
        self.labels[brick.t, brick.z0 : brick.z1] = labels
        self.counts += count_slices(brick, labels, sure, value)

    def show(self, brick: Brick, share: NDArray[np.float32]) -> None:
        """Keep how sure the method is of each pixel."""
        self.confidence[brick.t, brick.z0 : brick.z1] = percent(share)


def answer_scan(
    fitted: Fitted,
    held: HeldScan,
    method: str = "som",
    threads: int = 1,
    is_wanted: Callable[[], bool] | None = None,
) -> Answer:
    """Answer about a whole scan; the bits do not depend on the threads.

    Args:
        fitted: whose scan it is.
        held: from `hold`.
        method: som, student or finetuned.
        threads: that slices are divided among.
        is_wanted: asked between bricks whether to go on.

    Raises:
        ShapeError: there is no such method.
        StoppedAnswerError: `is_wanted` says no.

    Cost: memory of the scan's labels and confidence, a brick at work, and what the student takes.
    """
    fitted.checked_method(method)
    maps = _Maps.of(held)
    for brick in _wanted(held, is_wanted):
        found = _labelled(fitted, held, brick, threads)
        maps.signatures.append(found.signature)
        if method == "som":
            maps.put(brick, found.labels, found.confidence, fitted.value)
            maps.show(brick, found.confidence)
        elif not fitted.sees_volumes(method):
            see = _tuned if method == "finetuned" else _chance
            _draw(fitted, held, brick, see(fitted, held, brick, threads), maps)
    if fitted.sees_volumes(method):
        for brick, chance in _volume_parts(fitted, held, method, is_wanted):
            _draw(fitted, held, brick, chance, maps)
    return Answer(
        protocol=fitted.protocol,
        method=method,
        classes=class_legend(fitted, method),
        target=fitted.target,
        value=fitted.value,
        labels=maps.labels,
        confidence=maps.confidence,
        counts=maps.counts,
        geometry=held.meta.geometry,
        drift=drift_from(fitted.teacher, merge_signatures(maps.signatures).drift),
        doubts=fitted.doubts,
        level=held.level if fitted.sees_uptake else None,
        repairs=held.meta.repairs,
    )


def _wanted(held: HeldScan, is_wanted: Callable[[], bool] | None) -> Iterator[Brick]:
    for brick in held.meta.bricks():
        if is_wanted is not None and not is_wanted():
            raise StoppedAnswerError
        yield brick


def _labelled(fitted: Fitted, held: HeldScan, brick: Brick, threads: int) -> SignedLabels:
    """Label a brick as `run_som` does: with its neighbours where the teacher sees them."""
    depth = held.meta.shape[2]
    first, last = seen_slices(brick.z0, brick.z1, depth, fitted.teacher.dimensions)
    block = np.moveaxis(held.values[brick.t, :, first:last], 1, 0)  # (z, c, y, x)
    dz, dy, dx = held.meta.geometry.spacing_mm
    context = brick.z0 - first, last - brick.z1
    return fitted.labels(ScanSlices(block, (dy, dx), held.level, context, dz), threads)


def _chance(fitted: Fitted, held: HeldScan, brick: Brick, threads: int) -> NDArray[np.float32]:
    """Predict the slices of a brick one after another, so that memory is that of one."""
    windows = scaled_windows(fitted.teacher, held.level)
    _, dy, dx = held.meta.geometry.spacing_mm
    block = np.moveaxis(held.values[brick.t, :, brick.z0 : brick.z1], 1, 0)
    step = max(1, threads)
    parts = [
        fitted.chance(np.ascontiguousarray(block[z : z + step]), (dy, dx), windows, threads)
        for z in range(0, len(block), step)
    ]
    return np.concatenate(parts)


def _tuned(fitted: Fitted, held: HeldScan, brick: Brick, threads: int) -> NDArray[np.float32]:
    """Have the segmenter see the slices of a brick one after another."""
    _, dy, dx = held.meta.geometry.spacing_mm
    return np.stack(
        [
            fitted.tuned_chance(held.values[brick.t, :, z], (dy, dx), threads)
            for z in range(brick.z0, brick.z1)
        ]
    )


def _draw(
    fitted: Fitted, held: HeldScan, brick: Brick, chance: NDArray[np.float32], maps: _Maps
) -> None:
    """Keep what a student says of a brick."""
    known = ~np.isnan(held.values[brick.t, :, brick.z0 : brick.z1]).any(axis=0)
    labels = np.where(chance >= THRESHOLD, np.uint8(fitted.value), np.uint8(0))
    maps.put(brick, labels, np.abs(chance - THRESHOLD) / THRESHOLD, fitted.value)
    maps.show(brick, np.where(known, np.maximum(chance, 1 - chance), 0).astype(np.float32))


def _volume_parts(
    fitted: Fitted, held: HeldScan, method: str, is_wanted: Callable[[], bool] | None
) -> Iterator[tuple[Brick, NDArray[np.float32]]]:
    """Predict each time point on the coarse grid, then draw it brick by brick, as `somray run` and `apply` do."""
    drawn_of: dict[int, tuple[ScanVolume, NDArray[np.float32]]] = {}
    for brick in _wanted(held, is_wanted):
        if brick.t not in drawn_of:
            drawn_of = {brick.t: _volume_chance(fitted, held, method, brick.t)}
        seen, chance = drawn_of[brick.t]
        rows, columns = held.meta.shape[3:]
        drawn = seen.grid.sampled(chance, brick.z0, brick.z1, ((0, rows), (0, columns)))
        drawn[np.isnan(held.values[brick.t, :, brick.z0 : brick.z1]).any(axis=0)] = 0.0
        yield brick, drawn


def _volume_chance(
    fitted: Fitted, held: HeldScan, method: str, t: int
) -> tuple[ScanVolume, NDArray[np.float32]]:
    """Return a time point on a network's grid, and what the network says there."""
    if method == "finetuned":
        seen = _coarse(held, t, fitted.tuned.spacing_mm[0])
        return seen, fitted.tuned_volume_chance(seen)
    model = fitted.student
    if model is None:
        raise ShapeError(f"protocol {fitted.protocol!r} has no student")
    seen = _coarse(held, t, VOLUME_MM)
    return seen, volume_chance(model, seen, rule_of_kinds(model.kinds), fitted.device)


def _coarse(held: HeldScan, t: int, block_mm: float) -> ScanVolume:
    """Average a time point onto a network's grid, slab by slab as `read_volumes` does."""
    meta = held.meta
    grid = object_grid(meta.geometry, block_mm, meta.anatomical)
    blocks = BlockMeans(grid, meta.shape[1] + 1)
    for z0, z1 in meta.slabs:
        image = held.values[t, :, z0:z1]
        nothing = np.zeros((1, *image.shape[1:]), dtype=np.float32)
        blocks.add(np.concatenate([image, nothing]), z0, (0, 0))
    return ScanVolume(meta, grid, blocks.finish())
