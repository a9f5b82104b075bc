"""A mask compared with the labels of a truth while planes come by: overlap, and lesion by lesion.

Figures of one label leave out what belongs to the others: of the mask count the parts that touch the label and those
that touch none, but for their voxels on other labels. Everything follows from three countings: voxels of every part
of the mask, voxels that it shares with every label, and which parts of the truth any of the mask touches.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.kernels.metrics.lesion_scores import LesionScores
from somray.kernels.metrics.part_stream import PartStream

__all__ = ["ComparedMask", "LabelCounts", "PartsOfLabels", "TruthParts"]

_LABEL_SHIFT = 1 << 25  # labels lie between −2²⁴ and 2²⁴
_LABELS = 2 * _LABEL_SHIFT
_MOST_LOOSE = 1 << 20  # pairs that are held before they are added up

Labels = NDArray[np.int32]


@dataclass(frozen=True)
class LabelCounts:
    """What is counted for one label, or for all together.

    Args:
        both: voxels of mask and truth.
        predicted: voxels of the mask.
        expected: voxels of the truth.
        lesions: lesion by lesion.
    """

    both: int
    predicted: int
    expected: int
    lesions: LesionScores


@dataclass(frozen=True, eq=False)
class PartsOfLabels:
    """Which part of a mask shares voxels with which label, each pair once.

    Args:
        parts: (n,) roots.
        labels: (n,).
        voxels: (n,) how many they share.
    """

    parts: NDArray[np.int64]
    labels: NDArray[np.int64]
    voxels: NDArray[np.int64]


class TruthParts:
    """Parts of a truth: of every label by itself, and of all labels together."""

    def __init__(self) -> None:
        self._of_labels, self._of_union = PartStream(), PartStream()
        self._label_of: list[NDArray[np.int64]] = []  # (number, label), as numbers come into use
        self.voxels = 0

    def add(self, truth: Labels) -> tuple[Labels, Labels]:
        """Take a plane (y, x); returns the numbers of its parts by label, and of all labels together."""
        before = self._of_labels.used
        numbers = self._of_labels.add(truth)
        fresh = numbers > before
        if fresh.any():
            new, first = np.unique(numbers[fresh], return_index=True)
            self._label_of.append(np.stack([new, truth[fresh][first]]).astype(np.int64))
        self.voxels += int(np.count_nonzero(truth))
        return numbers, self._of_union.add(truth != 0)

    @property
    def labels(self) -> list[int]:
        """The labels met so far, in order."""
        return [int(label) for label in np.unique(self._named()[1])]

    def _named(self) -> NDArray[np.int64]:
        if len(self._label_of) > 1:
            self._label_of = [np.concatenate(self._label_of, axis=1)]
        return self._label_of[0] if self._label_of else np.zeros((2, 0), dtype=np.int64)

    def judged(
        self, touched: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    ) -> dict[int | None, tuple[int, int, int, int]]:
        """Count parts by label, None for all together.

        Args:
            touched: by provisional number, whether the mask touches there; by label, and of all together.

        Returns:
            Parts, those touched, voxels of those that are not, voxels of all.
        """
        label_of = np.zeros(self._of_labels.used + 1, dtype=np.int64)
        numbers, labels = self._named()
        label_of[numbers] = labels
        found: dict[int | None, tuple[int, int, int, int]] = {}
        found[None] = _counted(self._of_union, touched[1], None)
        for label in self.labels:
            found[label] = _counted(self._of_labels, touched[0], label_of == label)
        return found

    @property
    def used(self) -> tuple[int, int]:
        """Highest provisional numbers in use, by label and of all together."""
        return self._of_labels.used, self._of_union.used


def _counted(
    stream: PartStream, touched: NDArray[np.bool_], wanted: NDArray[np.bool_] | None
) -> tuple[int, int, int, int]:
    sizes, roots = stream.sizes(), stream.roots()
    hit = np.zeros(len(sizes), dtype=bool)
    hit[roots[: len(touched)][touched]] = True
    parts = (sizes > 0) if wanted is None else (sizes > 0) & wanted
    missed = int(sizes[parts & ~hit].sum())
    return int(parts.sum()), int((parts & hit).sum()), missed, int(sizes[parts].sum())


class ComparedMask:
    """One mask beside a truth.

    Args:
        truth: the truth's parts; its planes are added before those of the mask.
    """

    def __init__(self, truth: TruthParts) -> None:
        self._truth, self._parts = truth, PartStream()
        self._touched = [np.zeros(1024, dtype=bool), np.zeros(1024, dtype=bool)]
        self._loose: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._held = 0

    def add(self, mask: NDArray[np.bool_], truth: Labels, numbers: tuple[Labels, Labels]) -> None:
        """Take a plane of the mask, of the truth, and the numbers that `TruthParts.add` gave it."""
        parts = self._parts.add(mask)
        both = mask & (truth != 0)
        if not both.any():
            return
        for kind, (used, plane) in enumerate(zip(self._truth.used, numbers, strict=True)):
            if used >= len(self._touched[kind]):
                grown = np.zeros(max(used + 1, 2 * len(self._touched[kind])), dtype=bool)
                grown[: len(self._touched[kind])] = self._touched[kind]
                self._touched[kind] = grown
            self._touched[kind][plane[both]] = True
        keys = parts[both].astype(np.int64) * _LABELS + (truth[both] + _LABEL_SHIFT)
        self._loose.append(np.unique(keys, return_counts=True))
        self._held += len(self._loose[-1][0])
        if self._held > _MOST_LOOSE:
            self._loose = [_added_up(self._loose)]
            self._held = -len(self._loose[0][0])  # what is added up already may stay

    def roots(self) -> NDArray[np.int32]:
        """Return the part of every provisional number."""
        return self._parts.roots()

    def shared(self) -> PartsOfLabels:
        """Return which parts share voxels with which labels."""
        keys, voxels = _added_up(self._loose)
        parts, labels = self.roots()[keys // _LABELS], keys % _LABELS - _LABEL_SHIFT
        merged, counts = _added_up(
            [(parts.astype(np.int64) * _LABELS + labels + _LABEL_SHIFT, voxels)]
        )
        return PartsOfLabels(merged // _LABELS, merged % _LABELS - _LABEL_SHIFT, counts)

    def counts(self, labels: list[int]) -> dict[int | None, LabelCounts]:
        """Return what is counted for all labels together, None, and for each of some."""
        shared, sizes = self.shared(), self._parts.sizes()
        used = [self._touched[kind][: n + 1] for kind, n in enumerate(self._truth.used)]
        true = self._truth.judged((used[0], used[1]))
        in_truth = np.zeros(len(sizes), dtype=np.int64)
        np.add.at(in_truth, shared.parts, shared.voxels)
        touching = np.zeros(len(sizes), dtype=bool)
        touching[shared.parts] = True
        free = (sizes > 0) & ~touching
        loose = int(sizes[free].sum()), int(np.count_nonzero(free))
        found: dict[int | None, LabelCounts] = {}
        for label in (None, *labels):
            mine = slice(None) if label is None else shared.labels == label
            parts = np.unique(shared.parts[mine])
            both = int(shared.voxels[mine].sum())
            own = int(sizes[parts].sum())
            elsewhere = 0 if label is None else int(in_truth[parts].sum()) - both
            count, hit, missed, expected = true[label]
            lesions = LesionScores(count, hit, len(parts) + loose[1], len(parts), loose[0], missed)
            found[label] = LabelCounts(both, own - elsewhere + loose[0], expected, lesions)
        return found


def _added_up(
    loose: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Join countings of keys: every key once, in order, with the sum of its counts."""
    if not loose:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    keys, place = np.unique(np.concatenate([one for one, _ in loose]), return_inverse=True)
    counts = np.zeros(len(keys), dtype=np.int64)
    np.add.at(counts, place, np.concatenate([many for _, many in loose]))
    return keys, counts
