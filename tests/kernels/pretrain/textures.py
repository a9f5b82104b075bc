"""Pieces whose nodes can be told from what surrounds them: bands of a smooth field, seen through noise."""

import numpy as np
from scipy import ndimage

from somray.kernels.pretrain.piece import TaughtPiece
from somray.kernels.pretrain.spec import PretrainSpec

WINDOWS = ((-150.0, 250.0), (0.0, 1.0))
CLASSES = 5


def piece(seed=0, shape=(64, 64), sigma=6.0, noise=15.0):
    """A piece of CT and PET, with one codebook of five nodes and two features."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), sigma)
    field /= field.std()
    values = np.stack([100 * field + rng.normal(0, noise, shape), np.exp(field / 2)])
    nodes = np.digitize(field, [-0.9, -0.3, 0.3, 0.9]).astype(np.int16)
    features = np.stack([field, field**2]).astype(np.float16)
    return TaughtPiece(values.astype(np.float32), nodes[None], features, WINDOWS)


class Pieces:
    """A source of pieces that counts what is read."""

    def __init__(self, pieces):
        self.pieces, self.reads = list(pieces), []

    def __len__(self):
        return len(self.pieces)

    def read(self, number):
        self.reads.append(number)
        return self.pieces[number]

    def digest(self):
        return f"{len(self.pieces)} pieces"


def pieces(count=4, dimensions=2):
    """A source of slices or volumes."""
    shape = (64, 64) if dimensions == 2 else (20, 22, 24)
    return Pieces(piece(n, shape) for n in range(count))


def spec_of(encoder="unet", target="nodes", dimensions=2, **changes):
    """What to pretrain, small."""
    return PretrainSpec(
        **{
            "encoder": encoder,
            "size": "small",
            "dimensions": dimensions,
            "channels": ("CT", "PET"),
            "kinds": ("CT", "PET"),
            "windows": WINDOWS,
            "target": target,
            "classes": (CLASSES,),
            "features": 2,
            "steps": 2,
            "batch": 4,
            "patch": 24 if dimensions == 2 else 16,
            **changes,
        }
    )


def same(first, second):
    """Whether two sets of weights have the same names and bits."""
    return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)
