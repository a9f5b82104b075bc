"""What decides the layers of each kind of network, known without torch, and how it is kept: numbers and names."""

from dataclasses import asdict, dataclass, fields
from typing import Self

from somray.errors import ShapeError
from somray.kernels.pretrain.spec import ENCODERS, PretrainSpec, Size
from somray.kernels.student.shape import Network, NetworkShape

__all__ = [
    "AnyShape",
    "ResidualShape",
    "TransformerShape",
    "network_of_spec",
    "same_network",
    "shape_of",
]

Numbers = dict[str, int | float | str]


class _Plain:
    """Numbers and tuples of numbers that turn into plain values and back."""

    @classmethod
    def of(cls, network: Network) -> Self:
        """Read the numbers that are kept with an encoder.

        Raises:
            ShapeError: one is missing.
        """
        found = {}
        for entry in fields(cls):  # type: ignore[arg-type]  # dataclasses all
            if entry.name not in network:
                raise ShapeError(f"the network {dict(network)} has no {entry.name!r}")
            text = network[entry.name]
            listed = isinstance(text, str)
            found[entry.name] = tuple(map(int, str(text).split(","))) if listed else int(text)
        return cls(**found)

    def as_numbers(self) -> Numbers:
        """Return what `of` reads."""
        held = asdict(self)  # type: ignore[call-overload]  # dataclasses all
        return {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in held.items()
        }


@dataclass(frozen=True)
class TransformerShape(_Plain):
    """A vision transformer on blocks of pixels, and a light decoder of its tokens.

    Args:
        dimensions: 2 for slices, 3 for volumes.
        inputs: planes that it eats.
        image: side of the images that its position embedding is laid out for; others are interpolated.
        patch: side of a block that becomes a token.
        hidden: numbers of a token; a multiple of the heads and of twice the dimensions.
        mlp: numbers between the two linear layers of a block.
        layers: blocks.
        heads: of each block's attention.
        planes: what comes out at full resolution.
    """

    dimensions: int
    inputs: int
    image: int
    patch: int
    hidden: int
    mlp: int
    layers: int
    heads: int
    planes: int

    def __post_init__(self) -> None:
        """Refuse numbers that make no network."""
        numbers = tuple(asdict(self).values())
        if self.dimensions not in (2, 3) or min(numbers) < 1:
            raise ShapeError(f"these numbers make no network: {self}")
        uneven = self.hidden % self.heads or self.hidden % (2 * self.dimensions)
        if self.image % self.patch or uneven:
            raise ShapeError(
                f"the image's side must be whole patches, and hidden a multiple of the heads and of twice "
                f"the dimensions: {self}"
            )

    @property
    def multiple(self) -> int:
        """What the sides of an image are filled up to a multiple of."""
        return self.patch

    @property
    def halo(self) -> int:
        """Pixels to show beside what is asked for: two tokens; all tokens of a tile see one another."""
        return 2 * self.patch


@dataclass(frozen=True)
class ResidualShape(_Plain):
    """A residual encoder U-Net with nnU-Net's layout of stages (Isensee et al., "nnU-Net revisited", 2024).

    Args:
        dimensions: 2 for slices, 3 for volumes.
        inputs: planes that it eats.
        features: planes of each stage; each but the first halves the sides.
        blocks: residual blocks of each stage.
        upper: convolutions of each stage on the way up.
    """

    dimensions: int
    inputs: int
    features: tuple[int, ...]
    blocks: tuple[int, ...]
    upper: int = 1

    def __post_init__(self) -> None:
        """Refuse numbers that make no network."""
        numbers = (self.inputs, self.upper, *self.features, *self.blocks)
        stages = len(self.features)
        if self.dimensions not in (2, 3) or min(numbers) < 1 or not 2 <= stages == len(self.blocks):
            raise ShapeError(f"these numbers make no network: {self}")

    @property
    def planes(self) -> int:
        """What comes out at full resolution."""
        return self.features[0]

    @property
    def multiple(self) -> int:
        """What the sides of an image are filled up to a multiple of."""
        return int(2 ** (len(self.features) - 1))

    @property
    def halo(self) -> int:
        """Pixels to show beside what is asked for: four of the coarsest; levels come from all of a tile anyway."""
        return 4 * self.multiple


AnyShape = NetworkShape | TransformerShape | ResidualShape

TRANSFORMERS: dict[Size, tuple[int, int, int, int, int]] = {
    "small": (96, 192, 4, 4, 8),
    "middle": (384, 1536, 8, 6, 16),
    "large": (768, 3072, 12, 12, 32),
}
"""By size: hidden, mlp, layers, heads, planes. Large is the ViT-B of Dosovitskiy et al., 2021."""
RESIDUALS: dict[Size, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "small": ((8, 16, 32), (1, 2, 2)),
    "middle": ((16, 32, 64, 128), (1, 3, 4, 6)),
    "large": ((32, 64, 128, 256, 320), (1, 3, 4, 6, 6)),
}
"""By size: planes and blocks of each stage. Large is nnU-Net's ResEnc M without its last halving: coarse volumes
have few pixels a side."""


def network_of_spec(spec: PretrainSpec) -> Numbers:
    """Return the numbers and names that build the network of a pretraining, JSON-able.

    Raises:
        ShapeError: the spec asks for a network that cannot be.
    """
    if spec.encoder not in ENCODERS:
        raise ShapeError(f"encoder must be one of {ENCODERS}, got {spec.encoder!r}")
    dimensions, inputs = spec.dimensions, spec.views().count
    shape: AnyShape
    if spec.encoder == "unet":
        shape = NetworkShape(dimensions, inputs)
    elif spec.encoder == "vit":
        sizes = TRANSFORMERS[spec.size]
        shape = TransformerShape(dimensions, inputs, spec.patch, spec.block, *sizes)
    else:
        shape = ResidualShape(dimensions, inputs, *RESIDUALS[spec.size])
    return {"kind": spec.encoder, **shape.as_numbers(), "kinds": ",".join(spec.kinds)}


def shape_of(network: Network) -> AnyShape:
    """Read the shape that is kept with an encoder or a segmenter.

    Raises:
        ShapeError: no such kind of network, or numbers are missing.
    """
    kind = network.get("kind")
    if kind == "unet":
        return NetworkShape.of(network)
    if kind == "vit":
        return TransformerShape.of(network)
    if kind == "resenc":
        return ResidualShape.of(network)
    raise ShapeError(f"kind of network must be one of {ENCODERS}, got {kind!r}")


def same_network(one: Network, other: Network) -> bool:
    """Tell whether two networks have the same layers for the same channels."""
    return dict(one) == dict(other)
