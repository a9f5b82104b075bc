"""The teacher: what one fit of a protocol leaves behind, and what its node classes mean.

`Codebook` holds the SOM's prototypes; `TeacherModel` adds everything that applying it to another slice
needs: channels, windows, feature names, standardisation, node classes. Both are plain numbers, so that
they travel to every worker and are stored without a pickle.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = ["CLASSES", "FURTHER", "NO_DATA", "Codebook", "TeacherModel"]

NO_DATA = 0
CLASSES = {1: "background", 2: "normal", 3: "lesion", 4: "boundary"}
"""Label values that every protocol shares; 0 is no data, a protocol's own classes follow from 5."""
FURTHER = {"fat": 5, "lung": 6, "dense": 7, "dark": 8, "bright": 9, "physiological": 10}
"""Label values of the classes that a rule may name beside the four; never renumber, only add.

fat, lung, dense (bone, calcium, contrast agent): CT. dark, bright: regimes of MR, XCT and others below
and above the normal one. physiological: PET uptake that is hot without being a lesion's.
"""


@dataclass(frozen=True, eq=False)
class Codebook:
    """A fitted map.

    Args:
        weights: (k, f) float32, nodes row-major over `grid`, in the samples' units.
        grid: rows and columns of the map; k = rows · columns.
        topology: "rectangular" or "hexagonal".
        hits: (k,) int64, samples won by each node in the last pass.
        quantization_error: mean distance of a sample to its node.
        topographic_error: share of samples whose two nearest nodes are not neighbours.
        wraps: whether the grid is a torus.
        epochs_run: passes the fit took; fewer than asked for where nothing moved any more.
    """

    weights: NDArray[np.float32]
    grid: tuple[int, int]
    topology: str = "rectangular"
    hits: NDArray[np.int64] | None = None
    quantization_error: float | None = None
    topographic_error: float | None = None
    wraps: bool = False
    epochs_run: int | None = None

    def __post_init__(self) -> None:
        """Refuse weights that do not fit the grid."""
        if self.weights.ndim != 2 or len(self.weights) != self.grid[0] * self.grid[1]:
            raise ShapeError(
                f"weights must be ({self.grid[0] * self.grid[1]}, f) for grid {self.grid}, "
                f"got {self.weights.shape}"
            )


@dataclass(frozen=True, eq=False)
class TeacherModel:
    """Everything that turns an image into classes.

    Args:
        codebook: nodes in *standardised, weighted* feature units.
        modality: CT, PET, PETCT, MR, XCT or other.
        channels: names, in image order.
        windows: per channel (low, high) in the image's values.
        features: names of the features of each channel, in stack order (channel-major overall).
        center: (c·f,) float32 subtracted from the raw features.
        scale: (c·f,) float32 divides them afterwards.
        feature_weights: (c·f,) float32 multiplied last: what counts more in the distance.
        node_classes: (k,) uint8, label value of each node.
        class_names: label value to name; always holds `CLASSES`.
        doubtful: class name to the reason why it must be read with care.
        reasons: class name to the rule and the profile that named it.
        spacing_mm: (y, x) of the reference; slices of another pixel size are seen at this one.
        extra: small numbers a rule needs when applied (thresholds on uptake, background level …).
        smoothing_mm: radius of a majority vote over the class map, None for none.
        fitted_on: the reference in words; "" where the images came without a name.
        reference: (subject, session, z) of the slices it was fitted on, the first ones of many.
        dimensions: 2, or 3 where features look at the neighbouring slices too.
        denoise: auto, none or nlm: whether slices are denoised before features are computed.
        noise: per channel that of the reference, 6 shares of the window (`noise_level`); () for a channel
            that is left alone, and of models that know none.
    """

    codebook: Codebook
    modality: str
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float], ...]
    features: tuple[str, ...]
    center: NDArray[np.float32]
    scale: NDArray[np.float32]
    feature_weights: NDArray[np.float32]
    node_classes: NDArray[np.uint8]
    class_names: dict[int, str]
    doubtful: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    extra: dict[str, float] = field(default_factory=dict)
    smoothing_mm: float | None = None
    fitted_on: str = ""
    reference: tuple[tuple[str, str, int], ...] = ()
    dimensions: int = 2
    denoise: str = "none"
    noise: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts that do not fit each other."""
        size = len(self.channels) * len(self.features)
        if self.codebook.weights.shape[1] != size:
            raise ShapeError(
                f"codebook has {self.codebook.weights.shape[1]} features, "
                f"{len(self.channels)} channels × {len(self.features)} features expected"
            )
        if self.node_classes.shape != (len(self.codebook.weights),):
            raise ShapeError(f"node_classes must be one per node, got {self.node_classes.shape}")
        if self.dimensions not in (2, 3):
            raise ShapeError(f"dimensions must be 2 or 3, got {self.dimensions}")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names as tables give them, `CHANNEL_FEATURE`."""
        return tuple(f"{c}_{f}" for c in self.channels for f in self.features)

    def value_of(self, class_name: str) -> int:
        """Return the label value of a class name."""
        for value, name in self.class_names.items():
            if name == class_name:
                return value
        known = ", ".join(self.class_names.values())
        raise KeyError(f"no class {class_name!r}; known: {known}")
