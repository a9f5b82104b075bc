"""How noisy slices are and how they look smoothed, in torch: `kernels/student/noise_view.py` for graphs.

The same measures and the same smoothings, on batches (b, c, y, x), without a branch: what a quiet slice
has no use for is computed too.
"""

import torch

from somray.kernels.student.feature_layer import reflected
from somray.kernels.student.noise_view import (
    FLOOR,
    GAUSS,
    LARGEST,
    LEVELS,
    SCALES,
    SMOOTHINGS,
    gauss_taps,
)
from somray.kernels.student.nonlocal_means import REACH, STRENGTH

__all__ = ["noise_of_batch", "smoothings_of"]


def noise_of_batch(
    image: torch.Tensor, low: torch.Tensor, high: torch.Tensor, reference: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `Noise` of every slice: excess in octaves (b, c) and what came on top (b, c).

    Args:
        image: (b, c, y, x) values, NaN where there is no data.
        low: (c, 1, 1) low ends of the windows.
        high: (c, 1, 1) high ends.
        reference: (c, 6) noise of the labelled slice.
    """
    found, plane = [], image
    for _ in range(LEVELS):
        rows, columns = plane.shape[2] // 2 * 2, plane.shape[3] // 2 * 2
        corner = plane[:, :, :rows, :columns]
        a, b = corner[:, :, ::2, ::2], corner[:, :, ::2, 1::2]
        c, d = corner[:, :, 1::2, ::2], corner[:, :, 1::2, 1::2]
        mean = (a + b + c + d) / 4
        inside = ((mean > low) & (mean < high)).flatten(2)
        for detail in ((a - b) - (c - d), (a + b) - (c + d), (a - b) + (c - d)):
            middle = _median(detail.abs().flatten(2), inside)
            share = middle / (2 * 0.6745 * (high - low)[:, 0, 0])
            found.append(torch.sqrt(share * share + FLOOR * FLOOR))
        plane = mean
    now = torch.stack(found, dim=-1)
    excess = torch.log2(now / reference).amax(dim=-1).clamp_min(-LARGEST)
    known = torch.isfinite(reference)
    scales = torch.tensor(SCALES, dtype=now.dtype, device=now.device)
    added = torch.where(known, now**2 - reference**2, torch.zeros_like(now)).clamp_min(0.0)
    return excess, (added.sqrt() * scales).amax(dim=-1) * (high - low)[:, 0, 0]


def _median(values: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return the median of the values (b, c, n) that count, 0 where none does."""
    none = torch.full_like(values, torch.inf)
    ordered = torch.sort(torch.where(inside, values, none), dim=2).values
    ordered = torch.nn.functional.pad(ordered, (0, 1))  # something to look at in an empty slice
    count = inside.to(torch.int64).sum(dim=2, keepdim=True)
    last = torch.div(count, 2, rounding_mode="floor")
    first = torch.div((count - 1).clamp_min(0), 2, rounding_mode="floor")
    middle = (ordered.gather(2, first) + ordered.gather(2, last)) / 2
    return torch.where(count > 0, middle, torch.zeros_like(middle))[..., 0]


def smoothings_of(image: torch.Tensor, sigma: torch.Tensor) -> list[torch.Tensor]:
    """Return the slices (b, c, y, x) smoothed in every way of `SMOOTHINGS`; as they are near holes.

    Args:
        image: values, NaN where there is no data.
        sigma: (b, c) standard deviation of the noise.
    """
    hole = torch.isnan(image)
    filled = torch.where(hole, torch.zeros_like(image), image)
    calm = _median3(filled)
    found = {
        "gauss": _gauss(filled, GAUSS["gauss"]),
        "median": calm,
        "nonlocal": _nonlocal(filled, sigma.clamp_min(1e-6)[..., None, None]),
        "wide": _gauss(calm, GAUSS["wide"]),
    }
    reach = 1 + len(gauss_taps(max(GAUSS.values()))) // 2
    near = torch.nn.functional.max_pool2d(hole.float(), 2 * reach + 1, 1, reach) > 0
    return [torch.where(near, image, found[name]) for name in SMOOTHINGS]


def _nonlocal(plane: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Denoise as `nonlocal_means`, every place of the neighbourhood in turn."""
    rows, columns = plane.shape[-2:]
    wide = reflected(plane, REACH + 1)
    own = wide[:, :, REACH : REACH + rows + 2, REACH : REACH + columns + 2]
    scale, floor = 1.0 / (8.0 * 9.0 * (STRENGTH * sigma) ** 2), 18.0 * sigma**2
    total, weights = plane, torch.ones_like(plane)
    for dy in range(2 * REACH + 1):
        for dx in range(2 * REACH + 1):
            if dy == REACH and dx == REACH:
                continue
            other = wide[:, :, dy : dy + rows + 2, dx : dx + columns + 2]
            apart = 9.0 * torch.nn.functional.avg_pool2d((own - other) ** 2, 3, 1)
            weight = (1.0 - (apart - floor).clamp_min(0.0) * scale).clamp_min(0.0) ** 8
            total = total + weight * other[:, :, 1:-1, 1:-1]
            weights = weights + weight
    return total / weights


def _gauss(plane: torch.Tensor, sigma: float) -> torch.Tensor:
    """Smooth by a Gaussian cut at three standard deviations, rows then columns."""
    taps = [float(tap) for tap in gauss_taps(sigma)]
    reach, (rows, columns) = len(taps) // 2, plane.shape[-2:]
    wide = reflected(plane, reach)
    down = taps[0] * wide[:, :, :rows]
    for n, tap in enumerate(taps[1:], 1):
        down = down + tap * wide[:, :, n : n + rows]
    total = taps[0] * down[..., :columns]
    for n, tap in enumerate(taps[1:], 1):
        total = total + tap * down[..., n : n + columns]
    return total


def _median3(plane: torch.Tensor) -> torch.Tensor:
    """Return the median of 3×3 pixels, by sorted columns as in `noise_view`."""
    rows, columns = plane.shape[-2:]
    wide = reflected(plane, 1)
    low, mid, high = _sorted3(*(wide[:, :, n : n + rows] for n in range(3)))
    lows, mids, highs = (
        [part[..., n : n + columns] for n in range(3)] for part in (low, mid, high)
    )
    lowest = torch.maximum(torch.maximum(lows[0], lows[1]), lows[2])
    highest = torch.minimum(torch.minimum(highs[0], highs[1]), highs[2])
    return _sorted3(lowest, _sorted3(*mids)[1], highest)[1]


def _sorted3(
    a: torch.Tensor, b: torch.Tensor, c: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    least, most = torch.minimum(a, b), torch.maximum(a, b)
    middle = torch.maximum(least, torch.minimum(most, c))
    return torch.minimum(least, c), middle, torch.maximum(most, c)
