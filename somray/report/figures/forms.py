"""Form and direction of lesions: sphericity against size, and where long axes point, as maps of bounded size."""

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Circle
from numpy.typing import NDArray

from somray.report.data import Particles
from somray.report.drawing.scales import LengthUnit, decades
from somray.report.drawing.style import (
    INK,
    MUTED,
    chart,
    drawing,
    label_axes,
    label_scale,
    plain_text,
    to_svg,
)
from somray.report.drawing.table import number, plural

__all__ = ["direction_map", "sphericity_by_size"]

COLOURS = "viridis"
RIM = "#ffffff"  # of rings on those colours, on light paper and dark
CELLS = (36, 32)  # of the map of sphericity, along size and sphericity
NET = 61  # pixels across the map of directions
BINS = 48  # cells across, that directions are gathered in before they are smoothed
SHARPNESS = 25.0  # of the smoothing: half as much 9.6° away
_LEAST = 1e-12


@drawing
def sphericity_by_size(found: Particles, unit: LengthUnit, where: str, name: str) -> Markup | None:
    """Count the lesions of one session by size and sphericity; None where no sphericity is known."""
    known = np.isfinite(found.sphericity) & (found.diameter_mm > 0)
    if not known.any():
        return None
    size = np.log10(found.diameter_mm[known] * unit.per_mm)
    low, high = size.min(), max(size.max(), size.min() + 0.1)
    top = max(1.0, float(found.sphericity[known].max())) * 1.02
    counts, _, _ = np.histogram2d(
        size, found.sphericity[known], CELLS, [[low, high + 1e-9], [0.0, top]]
    )
    figure, axes = chart(4.3, 3.2)
    drawn = np.ma.log10(np.ma.masked_equal(counts.T, 0))
    image = axes.imshow(drawn, cmap=COLOURS, vmin=0, vmax=np.log10(max(2.0, counts.max())), aspect="auto",
                        origin="lower", extent=(low, high, 0.0, top), interpolation="none", zorder=1)  # fmt: skip
    decades(axes, np.array([low, high]))
    label_axes(axes, f"equivalent diameter ({unit.name})", "sphericity")
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    marks = [n for e in range(7) for n in (10**e, 3 * 10**e) if n <= max(2.0, counts.max())]
    bar.set_ticks([float(np.log10(n)) for n in marks], labels=[f"{n}" for n in marks])
    label_scale(bar, "lesions in a cell")
    axes.set_title(plain_text(where), loc="left")
    median = number(float(np.median(found.sphericity[known])))
    alt = f"Sphericity against size of {plural(int(known.sum()), 'lesion')}, {where}: median {median}."
    return to_svg(figure, alt, name)


def direction_density(
    direction: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how densely axes lie about each direction of the upper half, as multiples of evenly spread ones.

    Args:
        direction: (n, 3) unit vectors, z 0 or more.
        weights: (n,) their sum is positive.

    Returns:
        (NET, NET) rows along y, columns along x of Lambert's equal-area net seen from above; NaN outside it.

    Axes are gathered in cells of one solid angle first, so that the cost does not follow their number, then
    smoothed by Watson's kernel exp(κ cos²) for axes without a sense, which wraps around the rim.

    Source: Mardia and Jupp, "Directional Statistics", 2000, chapters 9 and 10; Lambert's net as in geology.
    """
    shrink = 1.0 / np.sqrt(1.0 + np.maximum(direction[:, 2], 0.0))
    cells = np.clip((direction[:, :2] * shrink[:, None] + 1) / 2 * BINS, 0, BINS - 1).astype(
        np.int64
    )
    mass = np.bincount(cells[:, 1] * BINS + cells[:, 0], weights, BINS * BINS)
    filled = np.flatnonzero(mass)
    mean = np.stack(
        [
            np.bincount(cells[:, 1] * BINS + cells[:, 0], weights * direction[:, a], BINS * BINS)
            for a in range(3)
        ]
    )[:, filled]
    centres = mean / np.maximum(np.linalg.norm(mean, axis=0), _LEAST)  # (3, m)
    net, inside = _net()
    even, _ = _net(BINS)
    kernel = np.exp(SHARPNESS * ((net[inside] @ centres) ** 2 - 1)) @ mass[filled]
    flat = even[np.isfinite(even[..., 0])]
    uniform = np.exp(SHARPNESS * (flat[:, 2] ** 2 - 1)).mean() * mass.sum()
    density = np.full((NET, NET), np.nan)
    density[inside] = kernel / uniform
    return density


def _net(size: int = NET) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the directions (size, size, 3) of the equal-area net's pixels, NaN outside, and which are inside."""
    line = (np.arange(size) + 0.5) / size * 2 - 1
    y, x = np.meshgrid(line, line, indexing="ij")
    square = x**2 + y**2
    inside = square <= 1
    stretch = np.sqrt(np.maximum(2 - square, 0))
    net = np.stack([x * stretch, y * stretch, 1 - square], axis=-1)
    return np.where(inside[..., None], net, np.nan), inside


@drawing
def direction_map(found: Particles, where: str, name: str) -> Markup | None:
    """Map where the long axes of one session's lesions point, weighted by volume; None where none has one."""
    known = np.isfinite(found.direction).all(axis=1)
    if not known.any():
        return None
    density = direction_density(found.direction[known], found.volume_mm3[known])
    figure, axes = chart(3.7, 3.2)
    most = max(2.0, float(np.nanmax(density)))
    image = axes.imshow(np.ma.masked_invalid(density), cmap=COLOURS, vmin=0, vmax=most, origin="lower",
                        extent=(-1, 1, -1, 1), interpolation="none")  # fmt: skip
    for angle in (30, 60, 90):
        radius = np.sqrt(2) * np.sin(np.radians(angle) / 2)
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=RIM if angle < 90 else MUTED,
                              linewidth=0.6 if angle < 90 else 1.0))  # fmt: skip
    for x, y, text in ((1.1, 0, "x"), (0, 1.1, "y")):
        axes.text(x, y, text, ha="center", va="center", color=INK)
    axes.plot(0, 0, "+", color=RIM, markersize=6)
    axes.set_xlim(-1.2, 1.2)
    axes.set_ylim(-1.2, 1.2)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(plain_text(where), loc="left")
    label_scale(
        figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02), "times as dense as evenly spread"
    )
    top = _net()[0].reshape(-1, 3)[int(np.nanargmax(density))]
    polar = np.degrees(np.arccos(min(1.0, float(top[2]))))
    alt = (
        f"Directions of the long axes of {int(known.sum())} of {len(found)} lesions, {where}, weighted by "
        f"volume: densest {polar:.0f}° from z, {number(most, 1)} times as dense as evenly spread."
    )
    return to_svg(figure, alt, name)
