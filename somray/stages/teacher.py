"""Fit a protocol's teacher on its reference slices and store it."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.errors import DataError, ShapeError
from somray.io import models
from somray.io.ome_zarr import read_meta, read_slab, slabs
from somray.io.storage import Storage
from somray.kernels.reference import slice_interest
from somray.kernels.teacher import TeacherSpec, fit_teacher
from somray.kernels.windows import auto_window, channel_kind

__all__ = ["TeacherItem", "needs", "run"]

Windows = tuple[tuple[float, float] | None, ...]
WINDOW_SLICES = 16  # slices spread over the scan that automatic windows are chosen from


@dataclass(frozen=True)
class TeacherItem:
    """What the teacher of a protocol is fitted on.

    Args:
        place: the reference scan.
        protocol: name of the protocol.
        spec: the SOM and the rule; windows that are None are chosen here.
        slices: reference slices, or None to choose the most worthwhile one.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    protocol: str
    spec: TeacherSpec
    slices: tuple[int, ...] | None = None
    level: float | None = None


def needs(slab_bytes: int, cpus: int = 1) -> Needs:
    """Declare what a fit takes: a slab, and all features of the reference."""
    return Needs(cpus=cpus, memory_bytes=WORKER_BYTES + 6 * slab_bytes)


def run(item: TeacherItem, shared: object = None) -> Result:
    """Choose windows and slices where the configuration leaves them open, fit, store.

    Returns:
        Rows of `clusters`; value: slices, windows, digest of the model.

    Raises:
        DataError: a reference slice does not exist or carries nothing to learn from.
    """
    storage = Storage.at(item.place.root)
    windows = _windows(storage, item)
    chosen = item.slices or (_most_worthwhile(storage, item, windows),)
    images = read_slices(storage, item.place, chosen)
    spacing = read_meta(storage, item.place.name).geometry.spacing_mm[1:]
    try:
        fit = fit_teacher(images, replace(item.spec, windows=windows), spacing, item.level)
    except ShapeError as error:
        raise DataError(
            "not_fittable",
            f"no teacher can be fitted on {item.place.subject} {item.place.session}, slices "
            f"{list(chosen)}: {error}",
        ) from error
    models.write_teacher(storage, item.protocol, fit.model)
    value = {
        "subject": item.place.subject,
        "session": item.place.session,
        "slices": list(chosen),
        "windows": [list(w) for w in fit.model.windows],
        "digest": hashlib.sha256(fit.model.codebook.weights.tobytes()).hexdigest()[:32],
    }
    return Result(rows={"clusters": fit.cluster_rows}, value=value)


def read_slices(
    storage: Storage, place: ScanPlace, chosen: tuple[int, ...], t: int = 0
) -> NDArray[np.float32]:
    """Read single slices as (n, c, y, x) float32.

    Raises:
        DataError: the scan has no such slice.
    """
    depth = read_meta(storage, place.name).shape[2]
    for z in chosen:
        if not 0 <= z < depth:
            raise DataError(
                "unreadable",
                f"reference slice {z} does not exist in {place.subject} {place.session}, "
                f"which has slices 0 to {depth - 1}; correct teacher.reference",
            )
    blocks = [read_slab(storage, place.name, t, z, z + 1)[:, 0] for z in chosen]
    return np.stack(blocks)


def _windows(storage: Storage, item: TeacherItem) -> Windows:
    """Fill in the windows that were left to `auto`, from slices spread over the scan.

    A PET channel's stays open where the scan has a level of uptake: the fit derives it from that.
    """
    given = item.spec.windows or (None,) * len(item.spec.channels)
    if all(w is not None for w in given):
        return given
    depth = read_meta(storage, item.place.name).shape[2]
    spread = np.unique(np.linspace(0, depth - 1, WINDOW_SLICES).round().astype(int))
    sample = read_slices(storage, item.place, tuple(int(z) for z in spread))
    modality = item.spec.modality

    def chosen(c: int, channel: str) -> tuple[float, float] | None:
        if given[c] or (item.level is not None and channel_kind(modality, channel) == "PET"):
            return given[c]
        return auto_window(sample[:, c], modality, channel)

    return tuple(chosen(c, channel) for c, channel in enumerate(item.spec.channels))


def _most_worthwhile(storage: Storage, item: TeacherItem, windows: Windows) -> int:
    """Return the slice that is worth most as reference; the lowest of equals."""
    meta = read_meta(storage, item.place.name)
    best, best_z = -np.inf, 0
    for z0, z1 in slabs(meta.shape[2], meta.slab_depth):
        block = read_slab(storage, item.place.name, 0, z0, z1)
        for z in range(z0, z1):
            interest = slice_interest(
                block[:, z - z0], item.spec.modality, windows, item.spec.channels
            )
            if interest > best:
                best, best_z = interest, z
    return best_z
