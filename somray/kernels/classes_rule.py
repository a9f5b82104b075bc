"""What every naming rule gives back, and the small questions they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.kernels.classes_profile import NodeProfile

__all__ = [
    "BACKGROUND",
    "BOUNDARY",
    "LESION",
    "NORMAL",
    "RuleOutcome",
    "column",
    "level",
    "steepness",
]

BACKGROUND, NORMAL, LESION, BOUNDARY = 1, 2, 3, 4


@dataclass(frozen=True, eq=False)
class RuleOutcome:
    """Classes by a rule, with what the rule saw."""

    node_classes: NDArray[np.uint8]
    reasons: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)


def column(features: Sequence[str], channel: int, name: str) -> int | None:
    """Return a feature's position in the stack, or None where it was not chosen."""
    if name not in features:
        return None
    return channel * len(features) + list(features).index(name)


def level(profile: NodeProfile, features: Sequence[str], channel: int) -> NDArray[np.float64]:
    """Return each node's grey level (k,) in [0, 1]: the mean of the level features that were chosen."""
    names = [n for n in ("intensity", "mean3", "mean5") if n in features]
    if not names:  # only shapes and ratios were chosen: the first feature has to do
        return profile.raw(channel * len(features))
    columns = [channel * len(features) + list(features).index(n) for n in names]
    return np.asarray(np.mean([profile.raw(c) for c in columns], axis=0))


def steepness(
    profile: NodeProfile, features: Sequence[str], channel: int
) -> NDArray[np.float64] | None:
    """Return each node's standardised edge and contrast (k,), or None where neither was chosen."""
    picks = [column(features, channel, name) for name in ("edge", "local_contrast")]
    chosen = [profile.mean[:, pick] for pick in picks if pick is not None]
    return np.asarray(np.mean(chosen, axis=0)) if chosen else None
