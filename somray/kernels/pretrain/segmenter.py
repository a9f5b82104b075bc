"""Segmenters: a backbone and a linear head, trained on labelled images, from scratch or from an encoder.

Patches, augmentation, loss, rates and steps are the same whatever a training starts from, and so is the head that it
begins with: the start is all that differs. They are the student's own (`student.training`).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from somray.domain.encoder import EncoderModel
from somray.domain.segmenter import SegmenterModel
from somray.errors import ShapeError
from somray.kernels.pretrain.networks.backbone import filled_in, new_backbone
from somray.kernels.pretrain.networks.shapes import AnyShape, same_network, shape_of
from somray.kernels.student.determinism import deterministic
from somray.kernels.student.network import drawn, unet_weights
from somray.kernels.student.predict import TILES, spans, tile_chances
from somray.kernels.student.shape import Network, NetworkShape
from somray.kernels.student.training.fit_state import FitState
from somray.kernels.student.training.loop import train_network
from somray.kernels.student.training.patches import Example
from somray.kernels.student.training.schedule import ProcessGroup, TrainingHooks, TrainingSchedule
from somray.kernels.student.views import ImageViews, Window

__all__ = [
    "PATCHES",
    "Segmenter",
    "SegmenterAtWork",
    "SegmenterSpec",
    "alone_on",
    "new_segmenter",
    "segmenter_of",
    "train_segmenter",
]

PATCHES: Mapping[int, tuple[int, int]] = {2: (96, 2), 3: (32, 4)}
"""By dimension: side of a patch, patches in a step."""
RATES: Mapping[str, Mapping[int, float]] = {
    "unet": {2: 4e-2, 3: 3e-2},
    "vit": {2: 4e-2, 3: 2e-2},
    "resenc": {2: 4e-2, 3: 2e-2},
}
"""Peak rate by kind and dimensions, of every start (benchmarks/LOG.md)."""


@dataclass(frozen=True)
class SegmenterSpec:
    """What segmenter to train.

    Args:
        network: numbers and names that build it (`networks.shapes.network_of_spec`).
        channels: names of the image channels.
        kinds: what each measures (`domain.channel`).
        windows: per channel (low, high) in the image's values; examples have their own.
        steps: optimizer steps.
        target: name of the class.
        spacing_mm: (y, x) distance of pixel centres; of volumes, the block size twice.
        patch: side of a patch; None for `PATCHES`.
        batch: patches in a step; None for `PATCHES`.
        threads: CPU threads; part of what fixes the bits.
        seed: decides the head, the weights of a start from scratch, and every draw.
    """

    network: Network
    channels: tuple[str, ...]
    kinds: tuple[str, ...]
    windows: tuple[Window, ...]
    steps: int
    target: str = "lesion"
    spacing_mm: tuple[float, float] = (1.0, 1.0)
    patch: int | None = None
    batch: int | None = None
    threads: int = 1
    seed: int = 0

    def views(self, windows: tuple[Window, ...] | None = None) -> ImageViews:
        """Return how images are seen; `windows` where a scan has its own."""
        return ImageViews(self.kinds, windows or self.windows)

    def schedule(self) -> TrainingSchedule:
        """Return how long and fast to train."""
        dimensions = int(self.network["dimensions"])
        patch, batch = PATCHES[dimensions]
        rate = RATES[str(self.network["kind"])][dimensions]
        return TrainingSchedule(self.steps, self.patch or patch, self.batch or batch, rate)


class Segmenter(nn.Module):
    """The network: (b, inputs, [z,] y, x) float32 to logits (b, [z,] y, x).

    Args:
        network: numbers and names that build it.
        seed: of its weights.
    """

    def __init__(self, network: Network, seed: int) -> None:
        super().__init__()
        self.backbone = new_backbone(network, seed)
        conv = nn.Conv2d if self.backbone.shape.dimensions == 2 else nn.Conv3d
        self.head = conv(self.backbone.planes, 1, 1)
        drawn(self.head, seed)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        logits: torch.Tensor = self.head(self.backbone(inputs))
        return logits[:, 0]


def new_segmenter(network: Network, seed: int, start: EncoderModel | None = None) -> Segmenter:
    """Build a segmenter that nothing was learned with yet, on an encoder or from scratch.

    Args:
        network: numbers and names that build it.
        seed: of its head, and of all its weights without a start.
        start: encoder of the same network.

    Raises:
        ShapeError: the encoder is another network.
    """
    module = Segmenter(network, seed)
    if start is not None:
        if not same_network(start.network, network):
            raise ShapeError(
                f"a segmenter of {dict(network)} cannot start from an encoder of {dict(start.network)}"
            )
        filled_in(module.backbone, start.weights, network)
    return module


def segmenter_of(model: SegmenterModel) -> Segmenter:
    """Build a trained segmenter, ready for inference.

    Raises:
        ShapeError: its weights are not those of its network.
    """
    module = Segmenter(model.network, 0)
    filled_in(module, model.weights, model.network)
    return module.eval()


def alone_on(device: str) -> ProcessGroup:
    """Return a worker without others; in bfloat16 where a GPU computes in it, as all training does."""
    half = torch.device(device).type == "cuda" and torch.cuda.is_bf16_supported(
        including_emulation=False
    )
    return ProcessGroup(device=device, bf16=half)


def train_segmenter(
    examples: Sequence[Example],
    spec: SegmenterSpec,
    start: EncoderModel | None = None,
    group: ProcessGroup | None = None,
    hooks: TrainingHooks | None = None,
) -> SegmenterModel:
    """Train a segmenter.

    Args:
        examples: labelled images; what one shows under weight 0 is never learned from.
        spec: what to train.
        start: encoder to start from; from scratch without.
        group: this worker among the others; alone without.
        hooks: the caller's clock, and where to go on; `save` gets the state after each epoch, with its rows.

    Raises:
        ShapeError: examples, spec and start do not fit, or nothing counts.
    """
    group = group or ProcessGroup()
    dimensions, views = int(spec.network["dimensions"]), spec.views()
    if not examples or any(example.target.ndim != dimensions for example in examples):
        raise ShapeError(f"a segmenter in {dimensions} dimensions needs examples in as many")
    if shape_of(spec.network).inputs != views.count:
        raise ShapeError(
            f"channels {spec.channels} have {views.count} views, the network eats "
            f"{shape_of(spec.network).inputs}"
        )
    schedule = spec.schedule()
    module = new_segmenter(spec.network, spec.seed, start).to(group.device)
    with deterministic(spec.threads):
        state = train_network(module, examples, schedule, (spec.seed,), group, hooks)
    return SegmenterModel(
        weights=unet_weights(module),
        network=spec.network,
        channels=spec.channels,
        kinds=spec.kinds,
        windows=spec.windows,
        patch=schedule.patch,
        spacing_mm=spec.spacing_mm,
        target=spec.target,
        history=_history(spec, state, start, len(examples)),
    )


def _history(
    spec: SegmenterSpec, state: FitState, start: EncoderModel | None, images: int
) -> dict[str, float | int | str | bool | None]:
    """Return what is to be said of a training."""
    return {
        "start": "scratch" if start is None else start.target,
        "start_data": None if start is None else start.history.get("data"),
        "steps": state.step,
        "images": images,
        "seed": spec.seed,
        "last_loss": state.rows[-1]["loss"],
    }


class SegmenterAtWork:
    """A trained segmenter whose network is built once.

    Args:
        model: a trained segmenter.
        device: where torch computes.

    Raises:
        ShapeError: its weights are not those of its network.
    """

    def __init__(self, model: SegmenterModel, device: str = "cpu") -> None:
        self.model = model
        self._network, self._device = segmenter_of(model).to(device), device

    def chance(
        self,
        values: NDArray[np.float32],
        windows: tuple[Window, ...] | None = None,
        threads: int = 1,
    ) -> NDArray[np.float32]:
        """Predict the target's probability at every pixel of an image.

        Args:
            values: (c, [z,] y, x) physical values in the model's channel order; NaN where there is no data.
            windows: per channel, where the scan has its own; the model's otherwise.
            threads: tiles computed at once on a CPU; the result does not depend on them.

        Returns:
            ([z,] y, x) float32 in [0, 1]; 0 where any channel has no data.

        Raises:
            ShapeError: the image does not fit the model.

        Cost: memory of one tile at work for each thread, beside the result.
        """
        model, device = self.model, self._device
        shape = shape_of(model.network)
        if values.ndim != shape.dimensions + 1 or len(values) != len(model.channels):
            axes = "z, y, x" if shape.dimensions == 3 else "y, x"
            raise ShapeError(
                f"an image must be (c, {axes}) with channels {model.channels}, got {values.shape}"
            )
        views = ImageViews(model.kinds, windows or model.windows)
        out = np.empty(values.shape[1:], dtype=np.float32)

        def predict(parts: tuple[tuple[slice, slice], ...]) -> None:
            seen = values[(slice(None), *(part for _, part in parts))]
            (chance,) = tile_chances(self._network, [seen], views, device, model.temperature)
            inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in parts)
            out[tuple(own for own, _ in parts)] = chance[inner]

        sizes: tuple[int, ...] = out.shape
        axes_parts = [list(_tiles(size, shape, model.patch)) for size in sizes]
        workers = max(1, threads) if device == "cpu" else 1
        with deterministic(1), ThreadPoolExecutor(workers) as pool:
            list(pool.map(predict, product(*axes_parts)))
        return out


def _tiles(size: int, shape: AnyShape, patch: int) -> Iterator[tuple[slice, slice]]:
    """Cut an axis into tiles, each with what is seen round it.

    A U-Net sees so far and no further, so tiles equal the whole image. Instance norms and attention depend on all
    that is seen at once: they are shown as much as in training, and half of it counts.
    """
    if isinstance(shape, NetworkShape):
        yield from spans(size, TILES[shape.dimensions], shape.halo)
        return
    inner, margin = max(1, patch // 2), patch // 4
    for start in range(0, size, inner):
        stop = min(start + inner, size)
        first = max(0, min(start - margin, size - patch))
        yield slice(start, stop), slice(first, max(stop, min(size, first + patch)))
