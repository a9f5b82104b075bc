"""What following two sessions holds at a time, told by a process of its own: `python -m … FOLDER`.

Other tests leave state in a process (caches, threads, garbage) that tracemalloc would count.
"""

import gc
import json
import sys
import tracemalloc
from pathlib import Path

import numpy as np

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.stages.evolution import evolve, surroundings
from tests.stages.evolution.whole_evolve import WholeSession

BRICK_BYTES = 16 * 32 * 32 * 4
DEPTHS = (64, 256)
"""Four bricks and more, so that as many are on their way as ever are."""


def store(root, name, one):
    """Write one session, its masks and objects brick by brick."""
    meta = ome_zarr.ScanMeta((1, 1, *one.image.shape), one.geometry, ("CT",), "HU", name)
    storage, place = Storage.at(root), ScanPlace(str(root), "s", name)
    ome_zarr.create_scan(storage, place.name, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(storage, place.name, brick, one.image[brick.box][None])
    ome_zarr.finish_scan(storage, place.name, meta)
    for label, drawn, dtype in (
        ("som", np.where(one.drawn > 0, 3, 1), np.uint8),
        ("objects", one.drawn, np.int32),
    ):
        ome_zarr.create_labels(storage, place.name, label, np.dtype(dtype).name)
        for brick in meta.bricks():
            part = drawn[brick.box].astype(dtype)
            ome_zarr.write_label_brick(storage, place.name, label, brick, part)
        ome_zarr.finish_labels(storage, place.name, label, {})
    return place


def stack(depth):
    """A volume with a lesion of 36 voxels for every four slices, and one through all of them."""
    drawn = np.zeros((depth, 32, 32), dtype=np.int32)
    for k in range(0, depth - 4, 4):
        y, x = 2 + 7 * k % 24, 6 + 11 * k % 22
        drawn[k : k + 4, y : y + 3, x : x + 3] = 1
    drawn[:, 30, 2] = 1
    image = np.random.default_rng(0).normal(size=drawn.shape).astype(np.float32)
    grid = Geometry.from_spacing(drawn.shape, (1.0, 1.0, 1.0))
    return WholeSession(image, drawn, grid, np.eye(4))


def held(root, depth, *, traced=True):
    """Most bytes that following two sessions of a stack holds at a time, and how many lesions it has."""
    still = tuple(np.eye(4).ravel().tolist())
    places = [store(root, f"t{n}", stack(depth)) for n in range(2)]
    item = evolve.EvolveItem(
        tuple(evolve.EvolveSession(place, still) for place in places), "som", 3, 0, LesionConfig()
    )
    gc.collect()
    if traced:
        tracemalloc.start()
    rows = evolve.run(item).rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, len(rows["lesions"])


if __name__ == "__main__":
    metadata.MAX_SLAB_BYTES = BRICK_BYTES
    surroundings.SHELLS_AT_ONCE = 4  # as many in either stack
    folder = Path(sys.argv[1])
    held(folder / "warm", 32, traced=False)  # compiled and imported once
    print(json.dumps([held(folder / str(depth), depth) for depth in DEPTHS]))
