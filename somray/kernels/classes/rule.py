"""What every naming rule is asked and gives back, in the image's own values.

Label values are fixed for good: 1 to 4 mean the same in every protocol (`domain.teacher.CLASSES`), the
further classes of the rules have theirs in `domain.teacher.FURTHER`, and what only a person names follows after
those.
A class keeps its number whether or not the others exist in a scan.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.kernels.classes.profiles import NodeProfile

__all__ = [
    "BACKGROUND",
    "BOUNDARY",
    "LESION",
    "NORMAL",
    "LevelBorder",
    "NodeView",
    "RuleOutcome",
]

BACKGROUND, NORMAL, LESION, BOUNDARY = 1, 2, 3, 4


@dataclass(frozen=True)
class LevelBorder:
    """The level that parts the lesion from what surrounds it.

    Args:
        channels: whose mean level is meant.
        level: in those channels' windows, 0 to 1.
    """

    channels: tuple[int, ...]
    level: float


@dataclass(frozen=True, eq=False)
class RuleOutcome:
    """Classes by a rule, with what the rule saw.

    Args:
        node_classes: (k,) uint8, 1 to 4 or a value of `FURTHER`.
        reasons: class name to the profile that named it.
        doubtful: class name to why it must be read with care.
        border: where the lesion ends, if at a level that nodes may be parted at (`classes.border`).
    """

    node_classes: NDArray[np.uint8]
    reasons: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)
    border: LevelBorder | None = None


@dataclass(frozen=True, eq=False)
class NodeView:
    """A codebook's nodes as a naming rule looks at them.

    Args:
        profile: of the nodes on the reference.
        kinds: what each channel measures (`domain.channel`).
        features: names of the features of each channel, in stack order.
        windows: per channel (low, high).
        level: the reference subject's lesion level of uptake, None without PET.
    """

    profile: NodeProfile
    kinds: tuple[str, ...]
    features: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    level: float | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which nodes (k,) won pixels on the reference; of the others nothing can be said."""
        return np.asarray(self.profile.share > 0)

    def level_columns(self, channel: int) -> list[int]:
        """Return where a channel's levels stand among all features."""
        names = [n for n in ("intensity", "mean3", "mean5") if n in self.features]
        return [self._column(channel, n) for n in names or self.features[:1]]

    def grey(self, channel: int) -> NDArray[np.float64]:
        """Return each node's level (k,) in its channel's window, 0 to 1; 0 for unknown nodes.

        The mean of those level features that were chosen; without any, the first feature has to do.
        """
        picks = self.level_columns(channel)
        return np.asarray(np.nan_to_num(np.mean([self.profile.raw(p) for p in picks], axis=0)))

    def spread(self, channel: int) -> NDArray[np.float64]:
        """Return how far each node's pixels (k,) lie about its `grey`, 0 for unknown nodes."""
        picks = self.level_columns(channel)
        scaled = [self.profile.std[:, p] * self.profile.scale[p] for p in picks]
        return np.asarray(np.nan_to_num(np.mean(scaled, axis=0)))

    def values(self, channel: int) -> NDArray[np.float64]:
        """Return each node's level (k,) in the channel's own values (HU, SUV …)."""
        low, high = self.windows[channel]
        return np.asarray(low + self.grey(channel) * (high - low))

    def steepness(self, channel: int) -> NDArray[np.float64]:
        """Return each node's standardised edge and contrast (k,); 0 where neither was chosen."""
        names = [n for n in ("edge", "local_contrast") if n in self.features]
        chosen = [self.profile.mean[:, self._column(channel, n)] for n in names]
        if not chosen:
            return np.zeros(len(self.profile.share))
        return np.asarray(np.nan_to_num(np.mean(chosen, axis=0)))

    def within(self, channel: int, limits: tuple[float, float]) -> NDArray[np.bool_]:
        """Tell which nodes (k,) lie between two values; a limit outside the window is none."""
        low, high = self.windows[channel]
        values = self.values(channel)
        above = values > limits[0] if limits[0] > low else np.ones(len(values), dtype=np.bool_)
        below = values < limits[1] if limits[1] < high else np.ones(len(values), dtype=np.bool_)
        return np.asarray(above & below)

    def share(self, nodes: NDArray[np.bool_] | NDArray[np.intp]) -> float:
        """Return what share of the reference some nodes won."""
        return float(self.profile.share[nodes].sum())

    def _column(self, channel: int, name: str) -> int:
        return channel * len(self.features) + self.features.index(name)
