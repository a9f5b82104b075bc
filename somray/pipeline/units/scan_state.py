"""A scan that may be used, as units see it: where it lies, how large it is, what it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.io.ome.metadata import bricks, is_cut, slab_depth, slabs, tile_shape

__all__ = ["SLICE_PIXELS", "ScanState", "brick_name", "scan_name", "subject_name"]

SLICE_PIXELS = 512 * 512  # of the slices that the table of stages measures by


@dataclass(frozen=True)
class ScanState:
    """An ingested scan that may be used.

    Args:
        scan: as the manifest names it.
        place: where it lies.
        shape: (t, c, z, y, x).
        source_digest: of pixels and geometry; names everything that is made from it.
        level: the scan's own level of uptake, where a channel is PET; of tissue on MR (`features.gain`).
        spacing_mm: voxel size along (z, y, x).
    """

    scan: Scan
    place: ScanPlace
    shape: tuple[int, int, int, int, int]
    source_digest: str
    level: float | None = None
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @classmethod
    def of(cls, place: ScanPlace, scan: Scan, told: Mapping[str, Any]) -> "ScanState":  # Any: JSON
        """Take what an ingest told of a scan."""
        source, level = str(told["source_digest"]), told.get("uptake_level")
        return cls(scan, place, tuple(told["shape"]), source, level, tuple(told["spacing_mm"]))

    @property
    def name(self) -> str:
        """Name of the scan's units."""
        return scan_name(self.scan)

    @property
    def slice_bytes(self) -> int:
        """Bytes of one slice with all channels."""
        return self.shape[1] * self.shape[3] * self.shape[4] * 4

    @property
    def plane_bytes(self) -> int:
        """Bytes of one slice of one channel."""
        return self.shape[3] * self.shape[4] * 4

    @property
    def _planes(self) -> tuple[int, int, int]:
        return self.shape[1], self.shape[3], self.shape[4]

    @property
    def is_cut(self) -> bool:
        """Whether its slices are cut into tiles."""
        return is_cut(self._planes)

    @property
    def tile_bytes(self) -> int:
        """Bytes of one slice of a brick with all channels."""
        rows, columns = tile_shape(self._planes)
        return self.shape[1] * rows * columns * 4

    @property
    def slab_bytes(self) -> int:
        """Bytes of one brick with all channels."""
        return self.tile_bytes * min(self.shape[2], slab_depth(self._planes))

    def grid_voxels(self, size_mm: float) -> int:
        """Blocks of about a size that cover the scan (`kernels.objects.grid`)."""
        factors = (max(1, round(size_mm / s)) for s in self.spacing_mm)
        z, y, x = (-(-n // f) for n, f in zip(self.shape[2:], factors, strict=True))
        return z * y * x

    @property
    def voxels(self) -> int:
        """Voxels of one channel, of all time points."""
        return self.shape[0] * self.shape[2] * self.shape[3] * self.shape[4]

    def slices(self, own: int | None = None) -> float:
        """How many slices of 512 × 512 pixels as many of its own make; all of them where None."""
        count = self.shape[0] * self.shape[2] if own is None else own
        return count * self.shape[3] * self.shape[4] / SLICE_PIXELS

    def slabs(self) -> list[Brick]:
        """List every slab of whole slices, by t and z."""
        plane, depth = (self.shape[3], self.shape[4]), slab_depth(self._planes)
        times = range(self.shape[0])
        return [
            Brick.of_slices(t, z0, z1, plane)
            for t in times
            for z0, z1 in slabs(self.shape[2], depth)
        ]

    def bricks(self) -> list[Brick]:
        """List every brick, by t, z, y and x: slabs where slices are not cut."""
        return bricks(self.shape)


def brick_name(brick: Brick, *, is_cut: bool = False) -> str:
    """Name a brick, as the last part of the names of its units; a tile of a cut slice tells its corner too."""
    name = f"t{brick.t}+z{brick.z0:05d}"
    return f"{name}+y{brick.y0:05d}+x{brick.x0:05d}" if is_cut else name


def scan_name(scan: Scan) -> str:
    """Name of a scan's units."""
    return f"sub-{scan.subject}_ses-{scan.session}"


def subject_name(subject: str) -> str:
    """Name of a subject's unit."""
    return f"sub-{subject}"
