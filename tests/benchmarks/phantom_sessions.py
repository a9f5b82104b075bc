"""Phantom scans as a teacher sees them, and one session's labels looked up where another's anatomy lies."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from somray.domain.channel import channels_of
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.features.windows import auto_window
from somray.kernels.grids.slabs import resample_slab
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher.interest import slice_interest
from somray.phantom import CHANNELS, make_subject

MODALITIES = {"ct": "CT", "petct": "PETCT", "xct": "XCT"}
LESION = 3


@dataclass
class Scan:
    """One session: image (z, c, y, x) on the first channel's grid, and what is true about it."""

    image: np.ndarray
    truth: np.ndarray
    geometry: object
    movement: np.ndarray
    jitter_mm: np.ndarray
    level: float | None

    @property
    def spacing_mm(self):
        return self.geometry.spacing_mm[1:]


def scans_of(modality, shape, sessions, seed, subject, still=False):
    """Make the sessions of one subject, every channel on the first one's grid as ingest does it."""
    return [
        _scan(modality, session)
        for session in make_subject(modality, shape, sessions, seed, subject, still)
    ]


def _scan(modality, session):
    names = CHANNELS[modality]
    first = session.geometries[names[0]]
    planes = [session.images[names[0]]]
    for name in names[1:]:
        volume = session.images[name]
        grid = session.geometries[name]
        planes.append(resample_slab(lambda a, b, v=volume: v[a:b], grid, first, 0, first.shape[0]))
    image = np.stack(planes, axis=1)
    kind, level = MODALITIES[modality], None
    if has_level(channels_of(kind, names)):
        level = subject_level(subject_histogram(image, channels_of(kind, names)), kind)
    return Scan(image, session.lesions > 0, first, session.movement, session.jitter_mm, level)


def fitted(modality, scan):
    """Fit a teacher on the slice that the pipeline would take, windows chosen from the scan."""
    kind, names = MODALITIES[modality], CHANNELS[modality]
    windows = tuple(
        None if channel.is_uptake else auto_window(scan.image[:, c], kind, channel)
        for c, channel in enumerate(channels_of(kind, names))
    )
    best = int(np.argmax([slice_interest(s, kind, windows, names, scan.level) for s in scan.image]))
    spec = TeacherSpec(kind, names, windows)
    return fit_teacher(scan.image[best : best + 1], spec, scan.spacing_mm, scan.level).model


def labelled(model, scan):
    return apply_teacher(model, scan.image, scan.spacing_mm, scan.level).labels


def looked_up(values, here, there):
    """Values (z, y, x) of another session at the voxels of this one, 0 where it does not reach."""
    shape = here.geometry.shape
    index = np.indices(shape).reshape(3, -1)[::-1].astype(float)
    world = here.geometry.matrix[:3] @ np.vstack([index, np.ones(index.shape[1])])
    world[:2] -= here.jitter_mm[index[2].astype(int)].T
    moved = (
        there.movement @ np.linalg.inv(here.movement) @ np.vstack([world, np.ones(world.shape[1])])
    )
    back = np.linalg.inv(there.geometry.matrix)
    slices = np.clip(np.rint((back @ moved)[2]), 0, shape[0] - 1).astype(int)
    moved[:2] += there.jitter_mm[slices].T
    at = np.rint((back @ moved)[2::-1]).astype(int)
    inside = ((at >= 0) & (at < np.array(shape)[:, None])).all(axis=0)
    found = np.zeros(at.shape[1], dtype=values.dtype)
    found[inside] = values[tuple(at[:, inside])]
    return found.reshape(shape)


def dice(a, b):
    return float(2 * (a & b).sum() / max(int(a.sum() + b.sum()), 1))


def rand_index(a, b):
    """Adjusted Rand index of two labellings (n,), from their contingency table."""
    size = int(max(a.max(), b.max())) + 1
    table = np.bincount(a.astype(int) * size + b, minlength=size**2).reshape(size, size)

    def pairs(n):
        return float((n * (n - 1.0) / 2.0).sum())

    rows, columns = pairs(table.sum(1)), pairs(table.sum(0))
    total = float(table.sum())
    expected = rows * columns / (total * (total - 1.0) / 2.0)
    most = 0.5 * (rows + columns)
    return 1.0 if most == expected else (pairs(table) - expected) / (most - expected)


def agreement(model, here, there):
    """Compare two sessions' class maps of the same tissue: all voxels seen in both (background too)
    but those within two voxels of where the truth's lesion came, went, grew or shrank.

    Returns:
        ARI of all these voxels, and of those that are not background in both.
    """
    own, other = labelled(model, here), looked_up(labelled(model, there), here, there)
    seen = looked_up(np.ones(there.truth.shape, np.uint8), here, there) > 0
    changed = here.truth ^ looked_up(there.truth.astype(np.uint8), here, there).astype(bool)
    same = seen & ~ndimage.binary_dilation(changed, iterations=2)
    tissue = same & ~((own == 1) & (other == 1))
    return rand_index(own[same], other[same]), rand_index(own[tissue], other[tissue])
