"""Lesion by lesion: which connected parts of a truth a mask touches, and which of its own touch the truth.

A part is what hangs together by faces, edges or corners of voxels (26-connected). Two parts touch where
they share at least one voxel; how much they share is what Dice and the surfaces say. A mask that covers
everything touches every lesion, so recall is never read without precision.
"""

from dataclasses import dataclass

__all__ = ["LesionScores"]


@dataclass(frozen=True)
class LesionScores:
    """What was found lesion by lesion.

    Args:
        true: connected parts of the truth.
        found: of them touched by a predicted part that counts.
        predicted: predicted parts that count.
        right: of them touching the truth.
        false_voxels: voxels of predicted parts that touch nothing.
        missed_voxels: voxels of true parts that nothing touches.
    """

    true: int
    found: int
    predicted: int
    right: int
    false_voxels: int
    missed_voxels: int

    @property
    def recall(self) -> float | None:
        """Share of the true parts that are found; None where there are none."""
        return self.found / self.true if self.true else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted parts that touch the truth; None where nothing was predicted."""
        return self.right / self.predicted if self.predicted else None
