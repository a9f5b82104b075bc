"""Register neighbouring slices of a scan.

Slice pairs are (z, z + 1): what differs between them is anatomy, never change; sessions are registered
in `register_sessions`, and the two kinds never mix.
"""

from dataclasses import dataclass

from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome_zarr import read_meta, read_slab
from somray.io.storage import Storage
from somray.kernels.registration import register
from somray.stages.registration_rows import registration_row

__all__ = ["SlicePairsItem", "needs_slices", "run_slices"]


@dataclass(frozen=True)
class SlicePairsItem:
    """The pairs that begin in one slab: (z, z + 1) for z0 ≤ z < z1.

    Args:
        place: the scan.
        t: time index.
        z0: first slice of the slab.
        z1: slice after its last.
        detector: keypoint detector.
        model: auto, similarity, affine or homography.
    """

    place: ScanPlace
    t: int
    z0: int
    z1: int
    detector: str
    model: str


def needs_slices(slab_bytes: int, slice_bytes: int) -> Needs:
    """Declare what slice pairs take: a slab with one more slice, scale spaces of two slices."""
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + 2 * slab_bytes + 60 * slice_bytes)


def run_slices(item: SlicePairsItem, shared: object = None) -> Result:
    """Register the slab's pairs on the first channel; rows of `registration`."""
    storage = Storage.at(item.place.root)
    depth = read_meta(storage, item.place.name).shape[2]
    stop = min(item.z1 + 1, depth)
    block = read_slab(storage, item.place.name, item.t, item.z0, stop)[0]
    rows = []
    for n in range(len(block) - 1):
        found = register(block[n], block[n + 1], detector=item.detector, model=item.model)
        z = item.z0 + n
        rows.append(registration_row("slices", item.place, item.place, found, (item.t, z, z + 1)))
    return Result(rows={"registration": rows})
