"""Where a run's labels are doubtful, by what the run itself knows: no label of a person is asked.

A pixel is doubtful where an object of `labels/objects` was called doubt, where map and student disagree about the
target, and where the student is unsure (`labels/confidence`, where the run wrote it). What an object's rule settled as
physiology is settled in `lesions` too, whatever map and student say of its pixels: both take uptake for a lesion there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somray.commands.export.scans import StoredScan
from somray.domain.brick import Brick
from somray.io.ome.image import labels_complete, read_label_brick
from somray.io.ome.labels import label_look

__all__ = ["DOUBTS", "SURE_PERCENT", "ScanDoubts", "doubts_of"]

SURE_PERCENT = 75
"""Of the likelier of its two words: below this a student is unsure. Half way from a guess to certainty."""

DOUBTS = {
    "object": "an object that rule, cohort and anatomy could not call lesion or physiological",
    "disagreement": "map and student disagree whether it is the target",
    "unsure": f"the student gives the likelier of its two words less than {SURE_PERCENT} %",
}
"""Why a pixel is doubtful: code to words."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class ScanDoubts:
    """What is doubtful in one scan.

    Args:
        stored: the scan.
        reasons: codes of `DOUBTS` that can be asked of it.
        doubted: numbers of objects under doubt.
        settled: numbers of objects whose pixels are beyond doubt.
        values: of the target in labels/som and labels/student.
    """

    stored: StoredScan
    reasons: tuple[str, ...]
    doubted: tuple[int, ...]
    settled: tuple[int, ...]
    values: tuple[int, int]

    def masks(self, box: Brick) -> dict[str, Mask]:
        """Return where a box is doubtful, (z, y, x) by reason."""
        found: dict[str, Mask] = {}
        settled: Mask | None = None
        if "object" in self.reasons or self.settled:
            objects = self._labels("objects", box)
            found["object"] = np.isin(objects, self.doubted)
            settled = np.isin(objects, self.settled)
        if "disagreement" in self.reasons:
            som, student = self.values
            found["disagreement"] = (self._labels("som", box) == som) != (
                self._labels("student", box) == student
            )
        if "unsure" in self.reasons:
            percent = self._labels("confidence", box)
            found["unsure"] = (percent > 0) & (percent < SURE_PERCENT)
        if settled is not None:
            for reason in found:
                found[reason] &= ~settled
        return {reason: found[reason] for reason in self.reasons}

    def _labels(self, group: str, box: Brick) -> NDArray[np.integer[Any]]:
        return read_label_brick(self.stored.storage, self.stored.name, group, box)


def doubts_of(stored: StoredScan, label: str, objects: pd.DataFrame) -> ScanDoubts:
    """Find what can be doubted in one mask of a scan; `objects` is the run's table.

    Objects settle pixels of the mask `lesions` alone.
    """

    def there(group: str) -> bool:
        return labels_complete(stored.storage, stored.name, group)

    scan = stored.scan
    own = objects[(objects["subject"] == scan.subject) & (objects["session"] == scan.session)]
    reasons = []
    if there("objects"):
        reasons.append("object")
    else:
        own = own.iloc[:0]
    if there("som") and there("student"):
        reasons.append("disagreement")
    if there("confidence"):
        reasons.append("unsure")
    doubted = own.loc[own["called"] == "doubt", "object_id"]
    settled = own.loc[own["called"] == "physiological", "object_id"]
    return ScanDoubts(
        stored,
        tuple(reasons),
        tuple(int(n) for n in doubted),
        tuple(int(n) for n in settled) if label == "lesions" else (),
        (_value(stored, "som"), _value(stored, "student")),
    )


def _value(stored: StoredScan, group: str) -> int:
    """Return the target's value in a label group, -1 where it has none."""
    names, _ = label_look(stored.storage, stored.name, group)
    return next((value for value, name in names.items() if name == stored.target), -1)
