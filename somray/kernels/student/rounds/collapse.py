"""When a round must not be believed: the student forgets what it was taught, or drifts off with itself.

A student that learns from its own labels can talk itself into anything, and the teacher of the slices
that it labels is not to be asked. So a round is judged by the labelled slice, and by how the student's
own masks move on the slices that it was trained on: against the round before, and against the round
whose student labelled the slice, so that a slow drift is seen as well.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from somray.kernels.student.rounds.figures import THRESHOLD, letter
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.spec import Row

__all__ = ["taught_dice", "why_agreement_says_little", "why_cohort_collapsed", "why_collapsed"]

DICE_DROP = 0.05
"""Dice on the labelled slice may fall by this below the best round so far."""
AREA_RATIO = 2.0
"""The target may grow or shrink by this on a slice that was trained on."""
AREA_PIXELS = 16
"""Changes of smaller areas mean nothing."""
CONFIDENCE_DROP = 0.15
"""The mean confidence over the target may fall by this on such a slice. That it rises is no reason:
learning raises it, and what is too sure is calibrated on the labelled slice."""
LEAST_TAUGHT = 0.3
"""Dice over images of the cohort that a student must have with what taught it."""


def why_collapsed(rows: Sequence[Row], earlier: Sequence[Row], pixels: Sequence[int]) -> str | None:
    """Tell why a round is not to be believed, None if it is.

    Args:
        rows: agreement of the new round, a row per slice with a pixel that counts.
        earlier: agreement of all rounds before, none of which collapsed.
        pixels: per slice, how many pixels count.

    Returns:
        The reason in words.
    """
    number = max(row["round"] for row in rows)
    table = {(row["round"], row["slice"]): row for row in earlier}
    best = max((row["dice"] or 0.0 for row in earlier if row["slice"] == 0), default=0.0)
    for row in rows:
        place = row["slice"]
        if place >= number:
            continue  # never trained on: it may change as it likes
        if place == 0 and best - (row["dice"] or 0.0) > DICE_DROP:
            return f"Dice on the labelled slice fell from {best:.3f} to {row['dice'] or 0.0:.3f}"
        for before in _references(table, number, place):
            reason = _drift(before, row, pixels[place])
            if reason is not None:
                return reason
    return None


def _references(table: Mapping[tuple[int, int], Row], number: int, place: int) -> Iterator[Row]:
    """Return how a slice stood when it was labelled and in the round before."""
    for when in sorted({max(place, 1), number - 1}):
        if (when, place) in table:
            yield table[when, place]


def _drift(before: Row, now: Row, pixels: int) -> str | None:
    """Tell how a slice's target drifted between two rounds, None if it did not."""
    where = f"on slice {letter(now['slice'])}, against round {before['round']}"
    areas = before["target_fraction"] * pixels, now["target_fraction"] * pixels
    if max(areas) > AREA_PIXELS and max(areas) > AREA_RATIO * min(areas):
        verb = "grew" if areas[1] > areas[0] else "shrank"
        return f"the target {verb} from {areas[0]:.0f} to {areas[1]:.0f} pixels {where}"
    sure = before["confidence"], now["confidence"]
    if None not in sure and min(areas) > AREA_PIXELS and sure[0] - sure[1] > CONFIDENCE_DROP:
        return f"mean confidence in the target fell from {sure[0]:.2f} to {sure[1]:.2f} {where}"
    return None


def why_cohort_collapsed(
    chances: Sequence[NDArray[np.float32]], lessons: Sequence[Lesson]
) -> str | None:
    """Tell why the cohort's round is not to be believed, None if it is.

    Better than its teacher or not, a student that was taught a target must still show it.

    Args:
        chances: the student's probabilities on some of the cohort's images.
        lessons: the same images.
    """
    dice = taught_dice(chances, lessons)
    if dice >= LEAST_TAUGHT:
        return None
    return f"Dice with what taught it is {dice:.2f} over images of the cohort"


def taught_dice(chances: Sequence[NDArray[np.float32]], lessons: Sequence[Lesson]) -> float:
    """Return the student's Dice with what taught it, over all images together; 0 where both show nothing."""
    both = said = wanted = 0
    for chance, lesson in zip(chances, lessons, strict=True):
        mask = (chance >= THRESHOLD) & lesson.known
        both += int(np.count_nonzero(mask & lesson.mask))
        said, wanted = said + int(mask.sum()), wanted + int(lesson.mask.sum())
    return 2 * both / max(said + wanted, 1)


def why_agreement_says_little(mean_iou: float | None, dice: float) -> str | None:
    """Tell where a student of the cohort differs from the SOM because it repeats its own teacher; None elsewhere.

    Where the objects that are kept are next to nothing of what the SOM marks, such as a small mass in a head whose
    fat and vessels are as bright, a student that learned them well agrees with the SOM nowhere.

    Args:
        mean_iou: with the SOM on A, B, C …
        dice: with what taught it.
    """
    if mean_iou is None or mean_iou >= LEAST_TAUGHT or dice < LEAST_TAUGHT:
        return None
    return (
        f"it shows what taught it (Dice {dice:.2f} over images of the cohort), which is little or nothing of what the "
        "SOM marks on these slices: agreement with the SOM says nothing of it"
    )
