"""What a protocol asks of its teacher."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from somray.kernels.features import FEATURES

__all__ = ["ENGINES", "TeacherSpec"]

ENGINES = ("somray", "minisom", "torch")
"""Our own fold takes any reference; minisom and torch fit samples in memory."""


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
        smoothing_mm: radius of a majority vote over the class map; None leaves it as it is.
        refit: whether a previous teacher's nodes are fitted anew.
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
