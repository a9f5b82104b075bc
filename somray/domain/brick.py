"""A box of voxels of one time point: what one unit reads, works on and writes.

Slices that fit a task are never cut, and a brick is then some whole slices (a *slab*). Larger ones are cut into
tiles, so that no task holds a slice.
"""

from dataclasses import dataclass, replace

__all__ = ["Brick"]

Shape = tuple[int, int, int]


@dataclass(frozen=True, order=True)
class Brick:
    """Slices [z0, z1), rows [y0, y1) and columns [x0, x1) of time index t."""

    t: int
    z0: int
    z1: int
    y0: int
    y1: int
    x0: int
    x1: int

    @classmethod
    def of_slices(cls, t: int, z0: int, z1: int, plane: tuple[int, int]) -> "Brick":
        """Return some whole slices of a plane (y, x)."""
        return cls(t, z0, z1, 0, plane[0], 0, plane[1])

    @property
    def shape(self) -> Shape:
        """Sizes along (z, y, x)."""
        return self.z1 - self.z0, self.y1 - self.y0, self.x1 - self.x0

    @property
    def voxels(self) -> int:
        """How many voxels it holds."""
        z, y, x = self.shape
        return z * y * x

    @property
    def corner(self) -> Shape:
        """First voxel in (z, y, x)."""
        return self.z0, self.y0, self.x0

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The same as slices along (z, y, x)."""
        return slice(self.z0, self.z1), slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, halo: Shape, shape: Shape) -> "Brick":
        """Return it with `halo` voxels more to all sides, as far as a volume of (z, y, x) `shape` has them."""
        z, y, x = halo
        return replace(
            self,
            z0=max(0, self.z0 - z), z1=min(shape[0], self.z1 + z),
            y0=max(0, self.y0 - y), y1=min(shape[1], self.y1 + y),
            x0=max(0, self.x0 - x), x1=min(shape[2], self.x1 + x),
        )  # fmt: skip

    def within(self, outer: "Brick") -> tuple[slice, slice, slice]:
        """Say where it lies in an array that holds `outer`, along (z, y, x)."""
        return (
            slice(self.z0 - outer.z0, self.z1 - outer.z0),
            slice(self.y0 - outer.y0, self.y1 - outer.y0),
            slice(self.x0 - outer.x0, self.x1 - outer.x0),
        )
