"""Whether CT values can be Hounsfield units, told from the values alone.

Files without DICOM's rescale fields (NIfTI, NRRD, TIFF …) say nothing of units, and DICOM's may be what a writer fills
in (slope 1, intercept 0). Stored numbers that were never rescaled, grey levels and values scaled to a unit range are
met in both. Only what no CT in HU can look like is called out; a crop that holds neither air nor fat, or one clipped
at both ends, passes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from somray.kernels.repair import PADDING_HU

__all__ = ["HounsfieldTally"]

LOW_HU = (
    -250.0
)  # below it lie air and lung alone; stored numbers with air at 0 or 24 stay above, noise included
DENSE_HU = 300.0  # above it lie bone, contrast medium, metal
SOFT_STORED = (
    850.0,
    2000.0,
)  # where fat to contrast medium lie in stored numbers, at an offset of 1000 or 1024
BRIGHT = 3100.0  # above it lies metal alone: the top of 12 bits, with an offset of 1000
AIR_HU = -1100.0, -900.0
AIR_SHARES = 0.05, 0.4  # of the voxels, and of those below LOW_HU: noise around 0 has no heap there
LEAST_SPAN_HU = 25.0  # noise alone spreads CT by more
GREY_TOP = (128.0, 255.5)  # the highest of eight bits, where they are used
FAT_HU, COLD_HU = -60.0, -30.0  # below them lies fat; noise around stored air reaches hardly so far
NOISE_SHARE = 1e-3  # of the voxels that it takes there
FEW = 1e-4  # of the voxels: overshoot and dead pixels
FLOOR_SHARE = 0.02  # of the voxels at the darkest level: air that was clipped there
COLD_SHARE = 0.02  # of the voxels: more than a PET's noise takes below FAT_HU
DENSE_SHARE = (
    0.15,
    0.35,
)  # of the voxels: a body where air is hardly ever negative, and where it may be
SOFT_SHARE = (
    0.7  # of those; bone reaches this only in crops around a long bone, whose fat is negative
)
BRIGHT_SHARE = 0.1  # of the voxels, more than metal takes


@dataclass
class HounsfieldTally:
    """Counts voxels by the ranges that tell; add every slab, then ask.

    Args:
        voxels: that were measured at all.
        low: below every soft tissue, above padding.
        air: where it lies, padding and lung left out.
        fat: below water and muscle, and below their noise.
        cold: below water and muscle.
        negative: below -1.
        floor: from -1 to 1.
        dense: above soft tissue.
        soft_stored: where soft tissue would lie if values were never rescaled.
        bright: above bone.
        least: of all.
        most: of all.
    """

    voxels: int = 0
    low: int = 0
    air: int = 0
    fat: int = 0
    cold: int = 0
    negative: int = 0
    floor: int = 0
    dense: int = 0
    soft_stored: int = 0
    bright: int = 0
    least: float = np.inf
    most: float = -np.inf

    def add(self, values: NDArray[np.float32]) -> None:
        """Count (z, y, x) values as read; NaN, infinities and padding count nowhere."""
        known = values[np.isfinite(values)]
        known = known[known > PADDING_HU]
        if not known.size:
            return
        self.voxels += known.size
        self.low += int(np.count_nonzero(known < LOW_HU))
        self.air += int(np.count_nonzero((known > AIR_HU[0]) & (known < AIR_HU[1])))
        self.fat += int(np.count_nonzero(known < FAT_HU))
        self.cold += int(np.count_nonzero(known < COLD_HU))
        self.negative += int(np.count_nonzero(known < -1.0))
        self.floor += int(np.count_nonzero(np.abs(known) <= 1.0))
        self.dense += int(np.count_nonzero(known > DENSE_HU))
        stored = (known > SOFT_STORED[0]) & (known < SOFT_STORED[1])
        self.soft_stored += int(np.count_nonzero(stored))
        self.bright += int(np.count_nonzero(known > BRIGHT))
        self.least = min(self.least, float(known.min()))
        self.most = max(self.most, float(known.max()))

    def join(self, other: "HounsfieldTally") -> None:
        """Add the counts of other voxels."""
        for one in fields(self):
            mine, its = getattr(self, one.name), getattr(other, one.name)
            told = {"least": min(mine, its), "most": max(mine, its)}.get(one.name, mine + its)
            setattr(self, one.name, told)

    @classmethod
    def of(cls, told: Mapping[str, str]) -> "HounsfieldTally":
        """Return the tally whose counts are spelled out by name."""
        counts = {name: int(told[name]) for name in told if name not in ("least", "most")}
        return cls(**counts, least=float(told["least"]), most=float(told["most"]))

    @property
    def shows_air(self) -> bool:
        """Whether there is air where CT alone has it, so that these are nothing but Hounsfield units."""
        least = max(AIR_SHARES[0] * self.voxels, AIR_SHARES[1] * self.low)
        return self.air > 0 and self.air >= least

    def doubt_as_pet(self) -> str:
        """Say in words why these may be CT and no PET; "" where nothing speaks for it."""
        share = self.fat / self.voxels if self.voxels else 0.0
        if share < COLD_SHARE or self.most > BRIGHT:
            return ""
        return (
            f"{share:.0%} of its values lie below {FAT_HU:g}, where CT has fat and PET has nothing"
        )

    def doubt_as_ct(self) -> str:
        """Say in words why these may be no CT; "" where nothing speaks for it."""
        is_floored = self.floor > FLOOR_SHARE * self.voxels and self.negative <= FEW * self.voxels
        if not is_floored:
            return ""
        share = self.floor / self.voxels
        return f"{share:.0%} of its values are 0 and none lies below, where CT has air at -1000"

    def fault(self) -> str | None:
        """Say in words why these are no Hounsfield units; None where they may be."""
        if not self.voxels or self.least == self.most:
            return None  # another matter
        reach = f"from {self.least:.6g} to {self.most:.6g}"
        if self.low > FEW * self.voxels:
            return None  # air or lung is where it should be
        if self.most - self.least < LEAST_SPAN_HU:
            return f"all lie {reach}, as scaled or normalised values or labels do"
        if self.bright > BRIGHT_SHARE * self.voxels:
            return f"they reach {reach}, and {self.bright / self.voxels:.0%} are denser than bone"
        never_negative = self.negative <= FEW * self.voxels
        is_floored = never_negative and self.floor > FLOOR_SHARE * self.voxels
        if is_floored and GREY_TOP[0] <= self.most <= GREY_TOP[1]:
            return f"they reach {reach} with air at 0, as grey levels of eight bits do"
        least = DENSE_SHARE[0 if self.cold <= NOISE_SHARE * self.voxels else 1]
        is_dense = self.dense > least * self.voxels and self.fat <= NOISE_SHARE * self.voxels
        if is_dense and self.soft_stored > SOFT_SHARE * self.dense:
            return f"they reach {reach} with soft tissue near 1024, as stored numbers do"
        return None
