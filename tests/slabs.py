"""Scans and labels of few slices, written and read a whole slab at a time."""

from somray.domain.brick import Brick
from somray.io.ome.image import read_label_brick, write_brick, write_label_brick
from somray.io.ome.marks import read_meta


def write_slab(storage, name, t, z0, block):
    """Write one whole slab (c, z, y, x)."""
    brick = Brick.of_slices(t, z0, z0 + block.shape[1], block.shape[2:])
    write_brick(storage, name, brick, block)


def write_label_slab(storage, name, label, t, z0, block):
    """Write one whole slab (z, y, x) of a label."""
    brick = Brick.of_slices(t, z0, z0 + len(block), block.shape[1:])
    write_label_brick(storage, name, label, brick, block)


def read_label_slab(storage, name, label, t, z0, z1):
    """Read slices z0 to z1 (excluded) of a label as (z, y, x) in its own type."""
    plane = read_meta(storage, name).shape[3:]
    return read_label_brick(storage, name, label, Brick.of_slices(t, z0, z1, plane))
