"""A channel of a protocol: what it is called, and what it measures."""

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Channel", "channels_of", "kinds_of"]

UPTAKE_NAMES = ("PET", "PT", "SUV", "FDG")
"""What the name of a PET channel begins with, in scans that hold CT too."""


@dataclass(frozen=True)
class Channel:
    """One channel.

    Args:
        name: as the protocol calls it.
        kind: what it measures: "CT", "PET", or the protocol's modality where that is neither.
    """

    name: str
    kind: str

    @property
    def is_uptake(self) -> bool:
        """Whether it measures uptake, which is told in the subject's own scale."""
        return self.kind == "PET"


def channels_of(modality: str, names: Iterable[str]) -> tuple[Channel, ...]:
    """Tell what the channels of a modality measure.

    In PETCT a channel is PET when its name begins with PET, PT, SUV or FDG, and CT otherwise; other
    modalities measure one thing.
    """
    if modality != "PETCT":
        return tuple(Channel(name, modality) for name in names)
    return tuple(
        Channel(name, "PET" if name.upper().startswith(UPTAKE_NAMES) else "CT") for name in names
    )


def kinds_of(channels: Iterable[Channel]) -> tuple[str, ...]:
    """Return what each channel measures."""
    return tuple(channel.kind for channel in channels)
