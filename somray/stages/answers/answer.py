"""What comes back: masks, the figures drawn from them, and all that speaks against them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.kernels.metrics.area import SURE_STEPS
from somray.kernels.teacher.drift import Drift
from somray.stages.answers.fitted import Fitted
from somray.stages.segment.rows import SliceCount

__all__ = ["NOT_CLINICAL", "Answer", "class_legend", "percent"]

NOT_CLINICAL = "research software: not a medical device, not for clinical use"
MM3_PER_ML = 1000.0


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer.

    Args:
        protocol: whose model it is.
        method: som, student or finetuned.
        classes: label to name, of those that the labels can hold.
        target: name of the class that counts.
        value: its label.
        labels: (t, z, y, x) uint8, 0 where there is no data (som), or no target (student).
        confidence: (t, z, y, x) uint8, how sure the method is of each pixel, in percent; 0 where there is no data.
        counts: pixels of each label, slice by slice.
        geometry: grid of a time point; of a slice its pixel size alone counts.
        drift: how well the teacher carries over; None where no pixel has data.
        doubts: class to the reason why it must be read with care.
        level: level of uptake that the pixels were seen at, where PET is among the channels.
        repairs: codes of what was assumed or repaired on the way in.
    """

    protocol: str
    method: str
    classes: dict[int, str]
    target: str
    value: int
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    counts: Sequence[SliceCount]
    geometry: Geometry
    drift: Drift | None
    doubts: dict[str, str] = field(default_factory=dict)
    level: float | None = None
    repairs: tuple[str, ...] = ()

    @property
    def mask(self) -> NDArray[np.uint8]:
        """The target: 1 inside, else 0."""
        found: NDArray[np.uint8] = (self.labels == self.value).astype(np.uint8)
        return found

    @property
    def verdict(self) -> str:
        """Whether the drift check speaks against it: ok, drifted, or unknown."""
        return "unknown" if self.drift is None else self.drift.status

    @property
    def warnings(self) -> list[str]:
        """All that speaks against it, in sentences; the target's own doubt first."""
        found = []
        if self.drift is None:
            found.append("no pixel has data")
        elif self.drift.status != "ok":
            alone = ", as far as one slice tells" if self.labels.shape[:2] == (1, 1) else ""
            found.append(f"the teacher may not carry over{alone}: {self.drift.reason}")
        ordered = sorted(self.doubts.items(), key=lambda pair: pair[0] != self.target)
        return [*found, *(f"{name} is doubtful: {reason}" for name, reason in ordered)]

    @property
    def slices(self) -> list[dict[str, Any]]:  # Any: JSON
        """Per slice: its place, the area of each class in mm², and how sure the target is."""
        _, dy, dx = self.geometry.spacing_mm
        return [
            {
                "t": count.t,
                "z": count.z,
                "area_mm2": {n: count.labels[v] * dy * dx for v, n in sorted(self.classes.items())},
                "target_area_mm2": count.labels[self.value] * dy * dx,
                "target_confidence": self._sure(count),
            }
            for count in self.counts
        ]

    @property
    def volumes_ml(self) -> list[dict[str, float]]:
        """Per time point the volume of each class."""
        voxel = self.geometry.voxel_mm3 / MM3_PER_ML
        found: list[dict[str, float]] = []
        for t in sorted({count.t for count in self.counts}):
            here = [count for count in self.counts if count.t == t]
            found.append(
                {
                    name: sum(count.labels[value] for count in here) * voxel
                    for value, name in sorted(self.classes.items())
                }
            )
        return found

    @property
    def _target_confidence(self) -> float | None:
        known = sum(count.labels[self.value] for count in self.counts)
        return sum(count.sure for count in self.counts) / (known * SURE_STEPS) if known else None

    def _sure(self, count: SliceCount) -> float | None:
        known = count.labels[self.value]
        return count.sure / (known * SURE_STEPS) if known else None

    def facts(self) -> dict[str, Any]:  # Any: JSON
        """Return all that is no picture, as JSON."""
        drift = self.drift
        return {
            "protocol": self.protocol,
            "method": self.method,
            "target": self.target,
            "classes": {str(value): name for value, name in sorted(self.classes.items())},
            "shape": list(self.labels.shape),
            "spacing_mm": list(self.geometry.spacing_mm),
            "slices": self.slices,
            "target_confidence": self._target_confidence,
            "drift": None
            if drift is None
            else {
                "status": drift.status,
                "distance_ratio": drift.distance_ratio,
                "far_fraction": drift.far_fraction,
                "feature": drift.feature,
                "shift": drift.shift,
                "sharpness": drift.sharpness,
                "reason": drift.reason,
            },
            "verdict": self.verdict,
            "doubts": self.doubts,
            "warnings": self.warnings,
            "uptake_level": self.level,
            "repairs": list(self.repairs),
            "use": NOT_CLINICAL,
        }


def class_legend(fitted: Fitted, method: str) -> dict[int, str]:
    """Return the labels that a method's map can hold."""
    if method == "som":
        return dict(fitted.teacher.class_names)
    return {fitted.value: fitted.target}


def percent(share: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return shares in [0, 1] as whole percent."""
    return np.rint(100 * share).astype(np.uint8)
