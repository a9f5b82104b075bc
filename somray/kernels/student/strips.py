"""A feature student's logits on a CPU, in strips of rows whose planes stay in cache.

What `UNet.forward` does, in the same order and in the same arithmetic but for the order of a few sums.
At full resolution the network knows only pixels and the vote, and moving its planes to and from memory
costs several times their arithmetic: strips never leave the cache (bench_inference).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

from somray.errors import ShapeError
from somray.kernels.student.unet import CLAMP_STD, CONTEXT_STD, UNet, share_heard

__all__ = ["logits_in_strips"]

PIXELS = 4096
"""Of a strip, as near as whole rows come to it; measured by bench_inference."""
VOTE_PIXELS = 16384
"""Of a strip of the vote, which has few planes but looks beyond its rows."""

Work = Callable[[slice], None]


def logits_in_strips(module: UNet, stack: torch.Tensor, threads: int = 1) -> torch.Tensor:
    """Compute what `module(stack[None])[0]` does.

    Args:
        module: a network that judges features, on the CPU.
        stack: (d, y, x) float32 inputs of a slice, quiet or noisy.
        threads: strips at work at once; the bits do not depend on them.

    Returns:
        (y, x) logits.

    Raises:
        ShapeError: the network is a raw student's, which sees its neighbours at full resolution.
    """
    if module.shape.raw:
        raise ShapeError("a raw student has no features to judge in strips")
    with torch.inference_mode(), ThreadPoolExecutor(max(1, threads)) as pool:

        def each(work: Work, strips: Iterable[slice]) -> None:
            if threads == 1:
                for strip in strips:
                    work(strip)
            else:
                list(pool.map(torch.inference_mode()(work), strips))

        return _logits(module, stack, each)


def _logits(
    module: UNet, stack: torch.Tensor, each: Callable[[Work, Iterable[slice]], None]
) -> torch.Tensor:
    """Judge pixels, then vote over what they say."""
    _, rows, columns = stack.shape
    strips = list(_strips(rows, columns, PIXELS, module.multiple))
    features = _quiet
    if len(stack) > module.shape.inputs:
        features = _Noisy(module, stack, lambda work: each(work, strips))
    prototypes = module.prototypes
    down, right = prototypes.reach
    found = stack.new_zeros(len(prototypes.counts) + 1, rows + 2 * down, columns + 2 * right)
    inner = found[:, down : down + rows, right : right + columns]

    def judge(strip: slice) -> None:
        plane = features(module, stack, strip)
        scores = prototypes.classes(plane.flatten(1).T).view(-1, *plane.shape[1:])
        if prototypes.has_vote:
            known = ~torch.isnan(stack[0, strip])
            scores = torch.softmax(scores, dim=0) * known
            inner[-1, strip] = known.float()
        inner[:-1, strip] = scores

    each(judge, strips)
    if not prototypes.has_vote:
        margin: torch.Tensor = prototypes.margin(inner[:-1])
        return margin
    out = stack.new_empty(rows, columns)

    def vote(strip: slice) -> None:
        wide = found[:, strip.start : strip.stop + 2 * down]
        out[strip] = prototypes.margin(prototypes.elected(inner[:-1, strip], wide))

    each(vote, _strips(rows, columns, VOTE_PIXELS, 1))
    return out


def _strips(rows: int, columns: int, pixels: int, multiple: int) -> Iterable[slice]:
    """Cut rows into strips of about so many pixels, a multiple of rows each."""
    size = max(1, pixels // max(1, columns * multiple)) * multiple
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def _quiet(module: UNet, stack: torch.Tensor, strip: slice) -> torch.Tensor:
    """Return the standardised features (d, rows, x) of a strip."""
    return _standardised(module, stack[: module.shape.inputs, strip], CLAMP_STD)


def _standardised(module: UNet, planes: torch.Tensor, most: float) -> torch.Tensor:
    """Return (planes - center) / scale of one view or of several, clipped, 0 without data."""
    views = planes.view(-1, module.shape.inputs, *planes.shape[1:])
    own = (views - module.center[:, None, None]).div_(module.scale[:, None, None])
    return torch.nan_to_num_(own, nan=0.0).clamp_(-most, most).flatten(0, 1)


class _Noisy:
    """The features that the U-Net sees behind noise, strip by strip.

    Coarser planes are a quarter and less of the pixels, and computed whole.

    Args:
        module: the network.
        stack: (d, y, x) inputs.
        each: calls a function for every strip.
    """

    def __init__(self, module: UNet, stack: torch.Tensor, each: Callable[[Work], None]) -> None:
        rows, columns = stack.shape[1:]
        multiple, width = module.multiple, module.shape.width
        self.extra = (-rows % multiple, -columns % multiple)
        shape = rows + self.extra[0], columns + self.extra[1]
        self.fine = stack.new_empty(1, *shape, width)

        def see(strip: slice) -> None:
            wide = self._padded(stack[:, strip], rows - strip.start)
            seen = _seen(module, wide)
            plane = module.stem(seen.flatten(1).T)
            self.fine[0, self._wide(strip, rows)] = plane.view(*seen.shape[1:], width)

        each(see)
        plane, skips = self.fine, []
        for down in module.down:
            skips.append(plane)
            plane = down(plane)
        for up in list(module.up)[:-1]:
            plane = up(plane, skips.pop())
        self.coarse = plane
        self.rows = rows

    def __call__(self, module: UNet, stack: torch.Tensor, strip: slice) -> torch.Tensor:
        """Return features (d, rows, x), which `UNet._behind_noise` has planes-last."""
        shape, own = module.shape, stack[:, strip]
        columns, wide = own.shape[2], self._wide(strip, self.rows)
        half = slice(wide.start // 2, wide.stop // 2)
        plane = module.up[-1](self.coarse[:, half], self.fine[:, wide])
        plane = plane[0, : own.shape[1], :columns].reshape(-1, shape.width)
        head = module.head
        found = torch.addmm(head.bias[:, None], head.weight, plane.T)
        found = found.view(-1, *own.shape[1:])
        first = shape.views * shape.inputs
        excess = own[first : first + shape.channels].nan_to_num(nan=0.0).amax(dim=0)
        heard = share_heard(excess)
        belief = torch.softmax(found[: shape.views], dim=0) * heard
        views = _standardised(module, own[:first], CLAMP_STD).view(shape.views, -1, *own.shape[1:])
        total = (found[shape.views :] * heard).addcmul_(views[0], 1 - heard)
        for view, share in zip(views, belief, strict=True):
            total.addcmul_(view, share)
        return total

    def _wide(self, strip: slice, rows: int) -> slice:
        """Return a strip's rows with the padding below it, where it is the last."""
        last = strip.stop == rows
        return slice(strip.start, strip.stop + self.extra[0] if last else strip.stop)

    def _padded(self, own: torch.Tensor, left: int) -> torch.Tensor:
        """Repeat the last column, and below the last strip the last row, to a multiple."""
        below = self.extra[0] if own.shape[1] == left else 0
        extra = (0, self.extra[1], 0, below)
        return nn.functional.pad(own[None], extra, mode="replicate")[0] if any(extra) else own


def _seen(module: UNet, stack: torch.Tensor) -> torch.Tensor:
    """Return what the stem sees (planes, rows, x): `UNet._seen` with planes first."""
    first = module.shape.views * module.shape.inputs
    views = _standardised(module, stack[:first], CONTEXT_STD)
    return torch.cat([views, stack[first:].nan_to_num(nan=0.0)])
