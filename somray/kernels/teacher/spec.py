"""What a protocol asks of its teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from somray.kernels.features import FEATURES

__all__ = ["ENGINES", "SMOOTHING_MM", "TeacherSpec"]

ENGINES = ("somray", "minisom", "torch")
"""Our own fold takes any reference; minisom and torch fit samples in memory."""


SMOOTHING_MM = {"PETCT": 5.0}
"""Radius of the vote over the class map where the protocol leaves it open; 0 for other modalities. PET
resolves nothing finer, but its classes are told beside CT's noise (bench_lesions: Dice +.015, the spread
between fitting subjects .034 to .024; 7 mm gains another .003, phantom lesions none)."""


@dataclass(frozen=True)
class TeacherSpec:
    """What a protocol asks of its teacher.

    Args:
        modality: CT, PET, PETCT, MR, XCT or other.
        channels: names in image order.
        windows: per channel (low, high), or None to choose it; () leaves all of them to be chosen.
        features: names, in stack order.
        grid: rows and columns of the map.
        epochs: passes over the reference.
        engine: one of `ENGINES`.
        seed: of the engine.
        target: class that the student will learn.
        classes: class name to node numbers, which beats the rule; None leaves it to the rule.
        topology: of the map, "rectangular" or "hexagonal".
        torus: whether opposite sides of the map are joined.
        dimensions: 2, or 3 for features that look at the neighbouring slices too.
        smoothing_mm: radius of a majority vote over the class map; 0 leaves it as it is, None takes the
            modality's own (`SMOOTHING_MM`).
        refit: whether a previous teacher's nodes are fitted anew.
        denoise: "auto" denoises slices clearly noisier than the reference, "nlm" all, "none" none.
    """

    modality: str
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float] | None, ...] = ()
    features: tuple[str, ...] = FEATURES
    grid: tuple[int, int] = (5, 5)
    epochs: int = 20
    engine: str = "somray"
    seed: int = 0
    target: str = "lesion"
    classes: Mapping[str, Sequence[int]] | None = None
    topology: str = "rectangular"
    torus: bool = False
    dimensions: int = 2
    smoothing_mm: float | None = None
    refit: bool = False
    denoise: str = "auto"

    @property
    def vote_mm(self) -> float | None:
        """Radius of the vote that is taken, None for none."""
        if self.smoothing_mm is None:
            return SMOOTHING_MM.get(self.modality)
        return self.smoothing_mm or None
