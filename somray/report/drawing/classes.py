"""How a teacher's classes are shown: legend, profiles over the features, short names of features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.report.data import Rows
from somray.report.drawing.style import class_colours, plain_text

__all__ = ["Profile", "doubt_told", "profiles_of", "short_names"]

SHORT_NAMES = {
    "local_contrast": "contrast", "mean3": "mean 3×3", "mean5": "mean 5×5", "anisotropy_p": "anisotr. p",
    "anisotropy_q": "anisotr. q", "ratio_row_column": "row/column", "ratio_local_global": "local/global",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Profile:
    """Mean and spread over the features, in standard deviations of the reference.

    Args:
        name: class, node number with class, or session.
        colour: of its class.
        mean: (f,), NaN where it does not exist.
        std: (f,), likewise.
        share: of the pixels that were looked at, 0 to 1.
    """

    name: str
    colour: str
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    share: float

    @property
    def is_known(self) -> bool:
        """Whether it has any mean."""
        return bool(np.isfinite(self.mean).any())

    @classmethod
    def of(cls, name: str, colour: str, rows: Rows, teacher: TeacherModel) -> "Profile":
        """Gather rows, one per channel and feature, in the teacher's order."""
        found = {(r["channel"], r["feature"]): r for r in rows}
        order = [found.get((c, f), {}) for c in teacher.channels for f in teacher.features]
        mean, std = (
            np.array([np.nan if r.get(n) is None else r[n] for r in order], dtype=np.float64)
            for n in ("mean", "std")
        )
        return cls(name, colour, mean, std, rows[0]["share_fraction"])


def profiles_of(clusters: Rows, teacher: TeacherModel, kind: str) -> list[Profile]:
    """Gather rows of `clusters` of one kind, node or class, in class and node order."""
    colours = class_colours(teacher.class_names)
    values = {name: value for value, name in teacher.class_names.items()}
    groups: dict[tuple[int, int], Rows] = {}
    for row in clusters:
        if row["kind"] == kind and row["class_name"] in values:
            node = -1 if row["node"] is None else row["node"]
            groups.setdefault((values[row["class_name"]], node), []).append(row)
    profiles = []
    for (value, node), rows in sorted(groups.items()):
        class_name = teacher.class_names[value]
        name = class_name if node < 0 else f"node {node} {class_name}"
        profiles.append(Profile.of(name, colours[value], rows, teacher))
    return profiles


def short_names(teacher: TeacherModel) -> list[str]:
    """Name each channel's features shortly; the channel stands only where there are several."""
    return [
        plain_text(f"{c} {name}" if len(teacher.channels) > 1 else name)
        for c in teacher.channels
        for name in (SHORT_NAMES.get(f, f) for f in teacher.features)
    ]


def doubt_told(teacher: TeacherModel, class_name: str) -> str:
    """Point to the warning of a doubtful class in a caption."""
    return " (doubtful, see above)" if class_name in teacher.doubtful else ""
