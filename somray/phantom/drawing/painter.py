"""Paints one subject's named tissues on a canvas, and keeps which voxel belongs to which structure.

The same parts are painted on every channel's grid with that channel's palette, so that channels show one
anatomy. Painting is opaque: a later part takes the voxels of an earlier one, in the image and in the
labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.phantom.drawing.canvas import Box, Canvas, Material
from somray.phantom.drawing.shapes import Point, capsule, ellipsoid, point, ripple, turned
from somray.phantom.drawing.vessels import Rod
from somray.phantom.session import FloatArray

__all__ = ["OrganPlace", "Painter", "Solid", "draw_place"]


@dataclass(frozen=True)
class OrganPlace:
    """How one subject's organ differs from the standard one: shift in mm, and relative size."""

    shift: Point = (0.0, 0.0, 0.0)
    size: float = 1.0

    def moved(self, center: Point) -> Point:
        """Return where a point of the standard organ lies."""
        return center[0] + self.shift[0], center[1] + self.shift[1], center[2] + self.shift[2]


def draw_place(rng: np.random.Generator, spread_mm: Point, spread_size: float) -> OrganPlace:
    """Draw an organ's place; shifts and size are normal, cut at two standard deviations."""
    draws = np.clip(rng.standard_normal(4), -2, 2)
    return OrganPlace(point(draws[:3] * spread_mm), float(1 + spread_size * draws[3]))


@dataclass(frozen=True, eq=False)
class Solid:
    """One undulating ellipsoid of the standard body.

    Args:
        tissue: name in the palette.
        center: scene mm.
        radii: semi-axes in mm along its own axes.
        label: number in the labels, 0 for none.
        organ: whose place it shares; parts of one organ move together.
        wave_mm: amplitude of its undulation.
        turn: (3, 3) its own axes as columns; along x, y, z where left out.
    """

    tissue: str
    center: Point
    radii: Point
    label: int = 0
    organ: str = ""
    wave_mm: float = 0.0
    turn: NDArray[np.float64] | None = None


class Painter:
    """Canvas, palette and labels of one channel in one session.

    Args:
        canvas: what is painted on; its scene is the standard body in mm.
        palette: tissue to material.
        places: organ to its place in this subject.
        phases: twelve phases of the surfaces' undulation.
    """

    def __init__(
        self, canvas: Canvas, palette: Mapping[str, Material], places: Mapping[str, OrganPlace],
        phases: Sequence[float],
    ) -> None:  # fmt: skip
        self.canvas = canvas
        self.labels = np.zeros(canvas.shape, dtype=np.uint8)
        self.palette = palette
        self.places = places
        self.phases = phases

    def fill(
        self, box: Box | None, distance: FloatArray, tissue: str, label: int = 0, most: float = 1.0
    ) -> None:
        """Paint a solid given by its signed distance; voxels with their centre inside are labelled."""
        if box is None:
            return
        self.canvas.paint(box, distance, self.palette[tissue], most)
        held = self.labels[self.canvas.held(box)]
        held[np.broadcast_to(distance < 0, held.shape)] = label

    def part(self, part: Solid, grow_mm: float = 0.0) -> tuple[Box, FloatArray] | None:
        """Return box and distance of a part where it meets the grid, widened by grow_mm."""
        place = self.places.get(part.organ, OrganPlace())
        center, size = place.moved(part.center), place.size
        radii = tuple(max(r * size + grow_mm, 0.5) for r in part.radii)
        reach = (max(radii) if part.turn is not None else 0.0) + part.wave_mm + 2
        box = self.canvas.around(
            center, (max(reach, radii[0] + 5), max(reach, radii[1] + 5), max(reach, radii[2] + 5))
        )
        if box is None:
            return None
        xyz = self.canvas.coordinates(box)
        own = turned(xyz, center, np.eye(3) if part.turn is None else part.turn)
        distance = ellipsoid(own, (0.0, 0.0, 0.0), (radii[0], radii[1], radii[2]))
        if part.wave_mm > 0:
            first = sum(map(ord, part.organ or part.tissue))
            distance = distance + ripple(xyz, self.phases, first, 55.0, part.wave_mm)
        return box, distance

    def parts(self, parts: Sequence[Solid]) -> None:
        """Paint parts in their order."""
        for part in parts:
            found = self.part(part)
            if found is not None:
                self.fill(found[0], found[1], part.tissue, part.label)

    def shells(
        self, solids: Sequence[tuple[Box | None, FloatArray]], wall_mm: float, inside: str
    ) -> None:
        """Paint every solid as a cortex, then what is inside them all, so that joints of one bone are open."""
        for box, distance in solids:
            self.fill(box, distance, "cortex")
        for box, distance in solids:
            self.fill(box, distance + np.float32(wall_mm), inside)

    def rods(
        self, rods: Sequence[Rod], tissue: str, label: int = 0, wall_mm: float = 0.0,
        organ: str = "",
    ) -> None:  # fmt: skip
        """Paint rods widened by wall_mm; what is thinner than a voxel fills a share of it."""
        place = self.places.get(organ, OrganPlace())
        for rod in rods:
            start, end = place.moved(rod.start), place.moved(rod.end)
            radii = (rod.radii[0] + wall_mm, rod.radii[1] + wall_mm)
            reach = max(radii) + self.canvas.voxel_mm
            box = self.canvas.along(start, end, reach)
            if box is not None:
                distance = capsule(self.canvas.coordinates(box), start, end, radii)
                most = min(1.0, np.pi * (sum(radii) / 2 / self.canvas.voxel_mm) ** 2)
                self.fill(box, distance, tissue, label, most)
