"""A scan that may be used, as units see it: where it lies, how large it is, what it is called."""

from dataclasses import dataclass

from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.io.ome.image import slab_depth, slabs

__all__ = ["SLICE_PIXELS", "ScanState", "Slab", "scan_name", "subject_name"]

SLICE_PIXELS = 512 * 512  # of the slices that the table of stages measures by


@dataclass(frozen=True)
class Slab:
    """Slices z0 ≤ z < z1 of time index t."""

    t: int
    z0: int
    z1: int

    @property
    def name(self) -> str:
        """Last part of the names of its units."""
        return f"t{self.t}+z{self.z0:05d}"


@dataclass(frozen=True)
class ScanState:
    """An ingested scan that may be used.

    Args:
        scan: as the manifest names it.
        place: where it lies.
        shape: (t, c, z, y, x).
        source_digest: of pixels and geometry; names everything that is made from it.
        level: the scan's own level of uptake, where a channel is PET.
        spacing_mm: voxel size along (z, y, x).
    """

    scan: Scan
    place: ScanPlace
    shape: tuple[int, int, int, int, int]
    source_digest: str
    level: float | None = None
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)

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
    def slab_bytes(self) -> int:
        """Bytes of one slab with all channels."""
        return self.slice_bytes * min(self.shape[2], slab_depth(self.shape[1:2] + self.shape[3:]))

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

    def slabs(self) -> list[Slab]:
        """List every slab."""
        depth = slab_depth(self.shape[1:2] + self.shape[3:])
        times = range(self.shape[0])
        return [Slab(t, z0, z1) for t in times for z0, z1 in slabs(self.shape[2], depth)]


def scan_name(scan: Scan) -> str:
    """Name of a scan's units."""
    return f"sub-{scan.subject}_ses-{scan.session}"


def subject_name(subject: str) -> str:
    """Name of a subject's unit."""
    return f"sub-{subject}"
