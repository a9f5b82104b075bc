"""What is learned of a scan while its bricks pass by: counts and extremes, which add up whatever is cut where."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of, kinds_of
from somray.errors import DataError
from somray.kernels.features.gain import has_gain, tissue_histogram
from somray.kernels.features.uptake_level import has_level, subject_histogram
from somray.kernels.hounsfield import HounsfieldTally
from somray.kernels.repair import Repair
from somray.stages.ingest.item import IngestItem

__all__ = ["Tally", "doubts", "judge"]

MOST, LEAST_SPAN = 1e15, 1e-15
"""Squares of values, and of shares of their span, stay within float32."""


@dataclass
class Tally:
    """Counts of some bricks.

    Args:
        repaired: voxels by code.
        by_design: of these, padding outside the circle that a scanner can measure.
        voxels: that were looked at.
        lowest: finite value per channel, infinite where there is none.
        highest: see lowest.
        uptake: see `subject_histogram`, of MR whose window is left open `tissue_histogram`; else None.
        hounsfield: by channel of CT, where nobody names another unit (headers say HU of what was never rescaled, too),
            and of PET, where nobody names one.
        pixels: hash of each brick's values, in order.
    """

    repaired: dict[str, int] = field(default_factory=dict)
    by_design: int = 0
    voxels: int = 0
    lowest: list[float] = field(default_factory=list)
    highest: list[float] = field(default_factory=list)
    uptake: NDArray[np.int64] | None = None
    hounsfield: dict[int, HounsfieldTally] = field(default_factory=dict)
    pixels: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, channels: int) -> "Tally":
        """Begin to count."""
        return cls(lowest=[np.inf] * channels, highest=[-np.inf] * channels)

    def add_repair(self, found: Repair) -> None:
        """Count what was repaired in some slices."""
        self.voxels += found.values.size
        self.by_design += found.by_design
        for code, count in found.counts.items():
            self.repaired[code] = self.repaired.get(code, 0) + count

    def add_brick(self, item: IngestItem, block: NDArray[np.float32]) -> None:
        """Count a whole brick (c, z, y, x), as it is written."""
        for c, values in enumerate(block):
            low, high = float(values.min()), float(values.max())
            if not (np.isfinite(low) and np.isfinite(high)):  # NaN stays where nothing was scanned
                known = values[np.isfinite(values)]
                low, high = float(known.min(initial=np.inf)), float(known.max(initial=-np.inf))
            self.lowest[c], self.highest[c] = min(self.lowest[c], low), max(self.highest[c], high)
        channels = channels_of(item.modality, item.channels)
        slices, found = np.moveaxis(block, 1, 0), None
        if has_level(channels):
            found = subject_histogram(slices, channels)
        elif has_gain(channels) and item.windows[0] is None:
            found = tissue_histogram(slices)
        if found is not None:
            self.uptake = found if self.uptake is None else self.uptake + found
        self.pixels.append(hashlib.sha256(np.ascontiguousarray(block).data).hexdigest())

    def join(self, other: "Tally") -> None:
        """Add the counts of the bricks that come next."""
        self.voxels += other.voxels
        self.by_design += other.by_design
        for code, count in other.repaired.items():
            self.repaired[code] = self.repaired.get(code, 0) + count
        self.lowest = [min(pair) for pair in zip(self.lowest, other.lowest, strict=True)]
        self.highest = [max(pair) for pair in zip(self.highest, other.highest, strict=True)]
        if other.uptake is not None:
            self.uptake = other.uptake if self.uptake is None else self.uptake + other.uptake
        for c, values in other.hounsfield.items():
            self.hounsfield.setdefault(c, HounsfieldTally()).join(values)
        self.pixels += other.pixels

    def as_json(self) -> dict[str, Any]:
        """Return what JSON can hold and gives back as it was; infinities go as words."""
        told = {**vars(self), "lowest": [repr(v) for v in self.lowest]}
        told["highest"] = [repr(v) for v in self.highest]
        told["uptake"] = None if self.uptake is None else self.uptake.tolist()
        told["hounsfield"] = {
            str(c): {name: repr(count) for name, count in asdict(one).items()}
            for c, one in self.hounsfield.items()
        }
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Tally":
        """Return what `as_json` was made of."""
        uptake = told["uptake"]
        return cls(
            repaired=dict(told["repaired"]),
            by_design=told["by_design"],
            voxels=told["voxels"],
            lowest=[float(v) for v in told["lowest"]],
            highest=[float(v) for v in told["highest"]],
            uptake=None if uptake is None else np.array(uptake, dtype=np.int64),
            hounsfield={int(c): HounsfieldTally.of(one) for c, one in told["hounsfield"].items()},
            pixels=list(told["pixels"]),
        )


def judge(item: IngestItem, tally: Tally) -> None:
    """Refuse a scan with too much to repair, or with nothing in it.

    Padding outside the scanner's circle is how CT slices are stored, not damage: it is filled and told in
    `repairs`, but does not count against the scan.

    Raises:
        DataError: `non_finite`, `channel_mismatch`, `blank`, `no_units`, `wrong_modality`.
    """
    total = sum(tally.repaired.values()) - tally.by_design
    if total > item.repair_fraction * tally.voxels:
        kinds = ", ".join(f"{count} {code}" for code, count in sorted(tally.repaired.items()))
        raise DataError(
            "non_finite",
            f"{item.scan.path}: {total / tally.voxels:.2%} of its voxels are NaN, infinite or padding "
            f"({kinds}), more than repair_fraction {item.repair_fraction:.2%}; correct the file, or "
            "raise repair_fraction",
        )
    for channel, low, high in zip(item.channels, tally.lowest, tally.highest, strict=True):
        if low > high:
            raise DataError(
                "channel_mismatch",
                f"{item.scan.path}: channel {channel} has no data on the first channel's grid; "
                "are both of the same examination?",
            )
        if low == high:
            raise DataError(
                "blank", f"{item.scan.path}: every pixel of channel {channel} has the same value"
            )
        if max(abs(low), abs(high)) > MOST or high - low < LEAST_SPAN:
            raise DataError(
                "unreadable",
                f"{item.scan.path}: values of channel {channel} reach from {low:.6g} to {high:.6g}, which nothing "
                "measures: bytes read in the wrong order, or a mark for missing data; write the file anew, with NaN "
                "where data are missing",
            )
    _judge_units(item, tally.hounsfield)


def _judge_units(item: IngestItem, tallies: Mapping[int, HounsfieldTally]) -> None:
    """Refuse CT whose values are no Hounsfield units, and PET whose values are.

    Raises:
        DataError: `wrong_modality`, `no_units`.
    """
    kinds = kinds_of(channels_of(item.modality, item.channels))
    for c, values in tallies.items():
        if kinds[c] == "PET" and values.shows_air:
            raise DataError(
                "wrong_modality",
                f"{item.scan.paths[c]}: holds Hounsfield units, with air at -1000, where the protocol expects PET for "
                f"channel {item.channels[c]}; correct the path, or the channel of its row",
            )
    for c, values in tallies.items():
        if kinds[c] == "CT" and (fault := values.fault()):
            raise DataError(
                "no_units",
                f"{item.scan.paths[c]}: its values are not Hounsfield units: {fault}; export or convert the scan "
                "again with its rescaling (air at -1000, water at 0), or use modality `other`",
            )


def doubts(item: IngestItem, tally: Tally) -> list[str]:
    """Say what speaks for another modality than the protocol's, and is not enough to refuse a scan."""
    kinds, found = kinds_of(channels_of(item.modality, item.channels)), []
    for c, values in sorted(tally.hounsfield.items()):
        is_pet = kinds[c] == "PET"
        if why := values.doubt_as_pet() if is_pet else values.doubt_as_ct():
            named = f"{item.scan.paths[c]}: channel {item.channels[c]} may be no {kinds[c]}"
            found.append(
                f"{named}: {why}; look at it, and correct the path or the protocol where it is none"
            )
    return found
