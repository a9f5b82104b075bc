"""What the rows of finetuning say: each arm's figures, and the differences between arms, subject by subject."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from somray.stages.finetune.fold import ARMS, LABEL_FREE
from somray.stages.finetune.folds import PairedDifference, paired

__all__ = ["PAIRS", "ArmFigures", "FinetuneSummary", "arm_to_keep", "summary_of"]

PAIRS = (("pretrained", "scratch"), ("pretrained", LABEL_FREE), ("scratch", LABEL_FREE))
"""Which arms are compared: the first less the second."""


@dataclass(frozen=True)
class ArmFigures:
    """What an arm reaches on scans that are held out.

    Args:
        scans: that have a Dice.
        mean_dice: of them.
        median_dice: of them.
    """

    scans: int
    mean_dice: float
    median_dice: float


@dataclass(frozen=True)
class FinetuneSummary:
    """What all folds say.

    Args:
        arms: figures by arm; none without a scan that has a Dice.
        differences: "one - other" to the paired difference of Dice.
    """

    arms: Mapping[str, ArmFigures]
    differences: Mapping[str, PairedDifference]


def summary_of(rows: Sequence[Mapping[str, Any]], seed: int) -> FinetuneSummary:  # Any: JSON
    """Summarise rows of the table `finetune`.

    Args:
        rows: as plain values.
        seed: of the bootstrap.
    """
    dice: dict[str, dict[tuple[str, str], float | None]] = {}
    for row in rows:
        dice.setdefault(row["arm"], {})[row["subject"], row["session"]] = row["dice"]
    arms = {}
    for arm in (*ARMS, LABEL_FREE):
        known = [value for value in dice.get(arm, {}).values() if value is not None]
        if known:
            arms[arm] = ArmFigures(len(known), float(np.mean(known)), float(np.median(known)))
    differences = {}
    for one, other in PAIRS:
        found = paired(dice.get(one, {}), dice.get(other, {}), seed)
        if found is not None:
            differences[f"{one} - {other}"] = found
    return FinetuneSummary(arms, differences)


def arm_to_keep(arms: Sequence[str], summary: FinetuneSummary) -> str:
    """Choose what the segmenter that is kept starts from: the encoder, unless scratch did better where it was tried.

    Args:
        arms: what can be started from, the encoder first where there is one.
        summary: of the folds.
    """
    found = summary.differences.get("pretrained - scratch")
    worse = found is not None and found.mean < 0
    return arms[-1] if worse else arms[0]
