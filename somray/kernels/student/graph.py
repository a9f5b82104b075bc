"""A student as one torch module: physical values in, probability out, for devices and exported graphs.

What it eats is made by `FeatureLayer` in place of the compiled kernels, so nothing leaves the device
between an image and its probabilities. On a CPU the kernels are several times faster, and they are
the reference.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import nn

from somray.domain.student import StudentModel
from somray.errors import ShapeError
from somray.kernels.student.feature_layer import FeatureLayer
from somray.kernels.student.noise_layer import noise_of_batch, smoothings_of
from somray.kernels.student.noise_view import QUIET
from somray.kernels.student.unet import UNet, build_unet

__all__ = ["StudentGraph", "StudentInputs", "feature_names_of"]

Window = tuple[float, float]


def feature_names_of(model: StudentModel) -> tuple[str, ...]:
    """Return the names of the features that a student eats; empty for raw channels."""
    return tuple(name for name in str(model.network["features"]).split(",") if name)


class StudentInputs(nn.Module):
    """What `student_inputs` makes, on any device and without a branch: every slice as a noisy one.

    A quiet slice's excess silences the U-Net, so its probabilities are the same.

    Args:
        windows: per channel (low, high) in the image's values.
        feature_names: features of every channel; empty for raw channels.
        spacing_mm: (y, x) distance of pixel centres.
        noise: (c, 6) noise of the labelled slice.
        beside: neighbouring slices seen, all together.
    """

    low: torch.Tensor
    high: torch.Tensor
    noise: torch.Tensor

    def __init__(
        self,
        windows: Sequence[Window],
        feature_names: Sequence[str],
        spacing_mm: tuple[float, float],
        noise: torch.Tensor,
        beside: int = 0,
    ) -> None:
        super().__init__()
        for name, values in zip(("low", "high"), zip(*windows, strict=True), strict=True):
            ends = torch.tensor(values, dtype=torch.float32)[:, None, None]  # (c, 1, 1)
            self.register_buffer(name, ends, persistent=False)
        self.register_buffer("noise", noise.to(torch.float32), persistent=False)
        self.channels, self.beside = len(windows), beside
        self.features = FeatureLayer(windows, feature_names, spacing_mm) if feature_names else None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (b, d, y, x) of physical values (b, c·(1 + beside), y, x): the slice, then its neighbours.

        NaN where any channel of the slice has no data.
        """
        own = image[:, : self.channels]
        planes = [self._windowed(own)] if self.features is None else self._views(own)
        for n in range(1, 1 + self.beside):
            near = self._windowed(image[:, n * self.channels : (n + 1) * self.channels])
            planes.append(torch.nan_to_num(near, nan=0.0))
        stack = torch.cat(planes, dim=1)
        hole = torch.isnan(own).any(dim=1, keepdim=True)
        return torch.where(hole, torch.full_like(stack, torch.nan), stack)

    def _windowed(self, image: torch.Tensor) -> torch.Tensor:
        """Clip channels to their windows and scale them to [0, 1]."""
        return ((image - self.low) / (self.high - self.low)).clamp(0.0, 1.0)

    def _views(self, own: torch.Tensor) -> list[torch.Tensor]:
        """Return the features as they are and of every smoothing, and the excess of noise."""
        features = cast("FeatureLayer", self.features)
        excess, sigma = noise_of_batch(own, self.low, self.high, self.noise)
        excess = excess[..., None, None]
        plain = features(own)
        each = plain.unflatten(1, (self.channels, len(features.names)))
        planes = [plain]
        for calm in smoothings_of(own, sigma):
            view = features(calm).unflatten(1, (self.channels, len(features.names)))
            planes.append(torch.where(excess[:, :, None] > QUIET, view, each).flatten(1, 2))
        planes.append(excess.expand(own.shape))
        return planes


class StudentGraph(nn.Module):
    """A trained student from physical values to calibrated probability.

    Args:
        model: the student.
        network: its network, built; made from the model where left out.
        spacing_mm: (y, x) distance of pixel centres, the model's own where left out.
        windows: per channel (low, high), the model's own where left out.
    """

    def __init__(
        self,
        model: StudentModel,
        network: UNet | None = None,
        spacing_mm: tuple[float, float] | None = None,
        windows: Sequence[Window] | None = None,
    ) -> None:
        super().__init__()
        if not model.channels:
            raise ShapeError("a student without channels has no graph")
        self.network = network or build_unet(model.network, model.weights)
        self.inputs = StudentInputs(
            windows or model.windows,
            feature_names_of(model),
            spacing_mm or model.spacing_mm,
            self.network.noise,
            self.network.shape.beside // len(model.channels),
        )
        self.channels = len(model.channels)
        self.temperature = model.temperature

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return (b, y, x) in [0, 1] of physical values (b, c, y, x); 0 where there is no data."""
        chance = torch.sigmoid(self.network(self.inputs(image)).float() / self.temperature)
        hole = torch.isnan(image[:, : self.channels]).any(dim=1)
        return torch.where(hole, torch.zeros_like(chance), chance)
