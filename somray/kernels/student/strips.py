"""The network's forward pass for one slice on a CPU: the same numbers, in half the time.

Everything at full resolution is pointwise or on blocks of 2×2 pixels (`kernels/student/unet.py`), so it is
done in strips of rows whose planes stay in the cache, and in place; whole-slice planes cost more in
fresh memory than in arithmetic. The coarser levels are small and run as they are. bench_inference, the same
network on one thread: 189 ms of CPU whole, 105 ms in strips, OpenVINO f32 93 ms.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from somray.kernels.student.unet import CLAMP_STD, LEAST_EXPONENT, Down, UNet, Up

__all__ = ["InStrips"]

STRIP_PIXELS = 16384
"""Pixels of a strip: prototypes' scores of so many fill about a second-level cache."""


class InStrips:
    """A network ready to predict single slices; it reads the weights as they are now.

    Args:
        module: the network, on the CPU, not trained meanwhile.
        threads: that strips are divided among; the result does not depend on them, where torch
            itself is left with one.
    """

    def __init__(self, module: UNet, threads: int = 1) -> None:
        layer = module.prototypes
        with torch.inference_mode():
            sharpness = layer.sharpness.exp()
            self._nodes = sharpness * layer.factors.exp() * layer.nodes
            self._offset = (-0.5 * sharpness * (layer.nodes * layer.nodes).sum(dim=1))[:, None]
            self._center, self._scale = module.center[:, None, None], module.scale[:, None, None]
        self._module, self._target, self._threads = module, layer.target, threads
        self._first, self._last = cast("Down", module.down[0]), cast("Up", module.up[-1])
        self._stem = cast("nn.Linear", module.stem[0]), cast("nn.Linear", module.stem[2])

    def __call__(self, stack: torch.Tensor) -> torch.Tensor:
        """Return logits (1, y, x) of a stack (1, d, y, x) of any size, as the network does."""
        module, (rows, columns) = self._module, stack.shape[-2:]
        extra = (0, -columns % module.multiple, 0, -rows % module.multiple)
        if any(extra):
            stack = functional.pad(stack, extra, mode="replicate")
        height, width = stack.shape[-2:]
        logits = torch.empty(1, height, width)
        skip = torch.empty(1, height, width, module.head.in_features)
        half = torch.empty(1, height // 2, width // 2, self._first.halve.out_features)
        step = max(2, STRIP_PIXELS // width // 2 * 2)
        strips = [slice(y, min(y + step, height)) for y in range(0, height, step)]

        def enter(strip: slice) -> None:
            coarse = half[0, strip.start // 2 : strip.stop // 2]
            self._enter(stack[0, :, strip], logits[0, strip], skip[0, strip], coarse)

        def leave(strip: slice) -> None:
            coarse = plane[:, strip.start // 2 : strip.stop // 2]
            self._leave(coarse, skip[:, strip], logits[:, strip])

        self._each(enter, strips)
        plane = self._coarse(half)
        self._each(leave, strips)
        return logits[:, :rows, :columns]

    def _each(self, work: Callable[[slice], None], strips: list[slice]) -> None:
        """Do the work on every strip."""

        def do(strip: slice) -> None:
            with torch.inference_mode():  # a mode is a thread's own
                work(strip)

        if self._threads < 2 or len(strips) < 2:
            for strip in strips:
                do(strip)
            return
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(do, strips))

    def _enter(
        self, stack: torch.Tensor, logits: torch.Tensor, skip: torch.Tensor, half: torch.Tensor
    ) -> None:
        """Standardise a strip (d, y, x); write the prototypes' logits, the stem and the halved planes."""
        plane = torch.nan_to_num((stack - self._center).div_(self._scale), nan=0.0)
        pixels = plane.clamp_(-CLAMP_STD, CLAMP_STD).view(len(plane), -1)  # (d, p)
        scores = torch.addmm(self._offset, self._nodes, pixels)
        near, far = _log_sum_exp_(scores[: self._target]), _log_sum_exp_(scores[self._target :])
        logits.copy_(near.sub_(far).view_as(logits))
        first, second = self._stem
        deep = functional.linear(pixels.T, first.weight, first.bias).relu_()
        rows, columns, planes = skip.shape
        flat = skip.view(-1, planes)
        torch.addmm(second.bias, deep, second.weight.T, out=flat).relu_()
        blocks = flat.view(rows // 2, 2, columns // 2, 2 * planes).transpose(1, 2)
        halve, out = self._first.halve, half.view(-1, half.shape[-1])
        blocks = blocks.reshape(-1, 4 * planes)
        torch.addmm(halve.bias, blocks, halve.weight.T, out=out).relu_()

    def _coarse(self, half: torch.Tensor) -> torch.Tensor:
        """Return what comes up from the coarser levels (1, y / 2, x / 2, c)."""
        mixed = self._first.mix(half.permute(0, 3, 1, 2)).relu_()
        plane: torch.Tensor = mixed.permute(0, 2, 3, 1).contiguous()
        skips = []
        for down in list(self._module.down)[1:]:
            skips.append(plane)
            plane = down(plane)
        for up in list(self._module.up)[:-1]:
            plane = up(plane, skips.pop())
        return plane

    def _leave(self, plane: torch.Tensor, skip: torch.Tensor, logits: torch.Tensor) -> None:
        """Add the context of a strip to its logits (1, y, x)."""
        up, head = self._last, self._module.head
        _, y, x, _ = plane.shape
        joined = functional.linear(skip, up.fine.weight, up.fine.bias).view(1, y, 2, x, 2, -1)
        joined += up.coarse(plane)[:, :, None, :, None]
        wide = joined.relu_().view(1, 2 * y, 2 * x, -1)
        logits += functional.linear(wide, head.weight, head.bias)[..., 0]


def _log_sum_exp_(rows: torch.Tensor) -> torch.Tensor:
    """Return log(sum(exp(rows))) down the columns; `rows` is overwritten."""
    largest = rows.amax(dim=0)
    return rows.sub_(largest).clamp_min_(LEAST_EXPONENT).exp_().sum(dim=0).log_().add_(largest)
