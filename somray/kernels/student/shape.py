"""What decides the layers of a student's network, and how it is kept: numbers, known without torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from somray.errors import ShapeError

__all__ = ["Network", "NetworkShape"]

Network = Mapping[str, int | float | str]
"""A shape as numbers and text, as it is kept with a student."""


@dataclass(frozen=True)
class NetworkShape:
    """What decides the layers; a student's `network` holds the same as plain numbers and text.

    Args:
        dimensions: 2 for slices, 3 for volumes.
        inputs: planes that it eats (`views.ImageViews`).
        widths: planes at full resolution and after each halving (benchmarks/LOG.md).
        first: convolutions at full resolution on the way down.
        per: convolutions after each halving.
        upper: convolutions at each resolution on the way up.
    """

    dimensions: int
    inputs: int
    widths: tuple[int, ...] = (8, 16, 32)
    first: int = 1
    per: int = 2
    upper: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that make no network."""
        numbers = (self.inputs, self.first, self.per, self.upper, *self.widths)
        if self.dimensions not in (2, 3) or min(numbers) < 1 or len(self.widths) < 2:
            raise ShapeError(f"these numbers make no network: {self}")

    @classmethod
    def of(cls, network: Network) -> "NetworkShape":
        """Read the numbers that are kept with a student."""
        return cls(
            dimensions=int(network["dimensions"]),
            inputs=int(network["inputs"]),
            widths=tuple(int(width) for width in str(network["widths"]).split(",")),
            first=int(network["first"]),
            per=int(network["per"]),
            upper=int(network["upper"]),
        )

    def as_numbers(self) -> dict[str, int | float | str]:
        """Return what `of` reads."""
        return {
            "dimensions": self.dimensions,
            "inputs": self.inputs,
            "widths": ",".join(map(str, self.widths)),
            "first": self.first,
            "per": self.per,
            "upper": self.upper,
        }

    @property
    def multiple(self) -> int:
        """What the sides of an image are filled up to a multiple of."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def halo(self) -> int:
        """How far a logit sees, rounded up to `multiple`."""
        reach = self.first + self.upper
        for level in range(1, len(self.widths)):
            convolutions = self.per + (self.upper if level < len(self.widths) - 1 else 0)
            reach += 2**level * (convolutions + 1)
        return -(-reach // self.multiple) * self.multiple
