"""Further settings of a teacher, as `teacher:` of the YAML has them."""

from collections.abc import Mapping
from typing import TypedDict

from somray.api.settings import nearest_name

__all__ = ["TeacherOptions", "require_known"]


class TeacherOptions(TypedDict, total=False):
    """Further settings of a `Teacher`, as in `teacher:` of the YAML.

    Attributes:
        engine: "somray", "minisom" or "torch".
        epochs: passes over the reference.
        features: names of `somray.FEATURES`.
        topology: "rectangular" or "hexagonal".
        torus: whether opposite sides of the map are joined.
        dimensions: 3 for features that look at the neighbouring slices too; images are then consecutive
            slices (n, c, y, x), and spacing_mm is (z, y, x).
        smoothing_mm: radius of a majority vote over the class map, 0 for none; 5 mm on PETCT.
        denoise: "auto" denoises slices that are clearly noisier than the reference before they are labelled,
            "nlm" every slice, "none" none.
        target: class that must exist in the end.
    """

    engine: str
    epochs: int
    features: tuple[str, ...]
    topology: str
    torus: bool
    dimensions: int
    smoothing_mm: float | None
    denoise: str
    target: str


def require_known(options: Mapping[str, object]) -> None:
    """Refuse options that do not exist.

    Raises:
        TypeError: naming them, the nearest known one and all others.
    """
    known = list(TeacherOptions.__annotations__)
    unknown = sorted(set(options) - set(known))
    if unknown:
        near = nearest_name(unknown[0], known).removesuffix(".")
        raise TypeError(
            f"Teacher has no settings {', '.join(unknown)}; further ones are {', '.join(known)}{near}"
        )
