"""A person's organ mask on a scan's grid, slab by slab, and whether it lies where the scan does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import DataError
from somray.io.masks.label_masks import LabelMask, grid_note
from somray.kernels.grids.slabs import nearest_slab

__all__ = ["LEAST_IN_BODY", "LEAST_SHARED", "Organs", "open_organs", "read_organs"]

LEAST_SHARED = 0.01
"""A mask that shares less than this part of what it could share with the scan lies elsewhere."""

LEAST_IN_BODY = 0.5
"""Where less than this part of the organs within the scan lies in the body, they are not this body's."""

_STEP_VOXELS = 1 << 22  # voxels looked at together when the place is checked

Body = Callable[[int, int], NDArray[np.bool_]]


class Organs:
    """An organ mask seen on a scan's grid; use it as a context.

    Ask for slabs in ascending order: a compressed mask is then read once.

    Args:
        mask: the open mask.
        geometry: the scan's grid.
        names: value of the mask to organ; a value may have none.
    """

    def __init__(self, mask: LabelMask, geometry: Geometry, names: Mapping[int, str]) -> None:
        self.path = mask.path
        self.geometry = geometry
        self.names = dict(names)
        self.times = mask.times
        self._mask = mask
        self._own = mask.grid_on(geometry)
        self._is_same = self._own.is_same_grid(geometry)

    def slab(self, z0: int, z1: int) -> NDArray[np.int32]:
        """Return the organ values of slices z0 to z1 (excluded), (z, y, x); 0 where there is no organ.

        Raises:
            DataError: the mask cannot be read on.
        """
        if self._is_same:
            return self._mask.read(z0, z1)
        return nearest_slab(self._mask.read, self._own, self.geometry, z0, z1)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or decided, of what has been read so far."""
        nameless = "" if self.names else "names none of its organs; each is called by its value"
        return tuple(
            filter(None, (*self._mask.notes, grid_note(self._own, self.geometry), nameless))
        )

    def labelled_mm3(self) -> float:
        """Return the volume of all organs on the mask's own grid."""
        count = 0
        for z0, z1 in _steps(self._own.shape):
            count += int(np.count_nonzero(self._mask.read(z0, z1)))
        return count * self._own.voxel_mm3

    def close(self) -> None:
        """Let go of open files; harmless when repeated."""
        self._mask.close()

    def __enter__(self) -> "Organs":
        """Use as a context that closes the files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()


@dataclass(frozen=True)
class _OrganVolumes:
    """Volumes on the scan's grid, in mm³; those of the body are None where it is not known."""

    organs: float
    organs_in_body: float | None = None
    body: float | None = None


def open_organs(path: str, geometry: Geometry, names: Mapping[int, str]) -> Organs:
    """Open an organ mask whose place was checked before.

    Raises:
        DataError: the mask cannot be read.
    """
    return Organs(LabelMask(path, geometry), geometry, names)


def read_organs(
    path: str,
    geometry: Geometry,
    names: Mapping[int, str],
    body: Body | None = None,
    times: int | None = None,
) -> Organs:
    """Open an organ mask and check that it lies where the scan does.

    The check reads the mask once on its own grid and once on the scan's, by steps of bounded size.

    Args:
        path: label mask or folder of masks, in any readable format, on any grid.
        geometry: the scan's grid.
        names: value to organ, of `organ_names`.
        body: tells for slices z0 to z1 (excluded) of the scan which voxels are body, cavities and lungs
            included; where left out, only the grids are compared.
        times: time points of the scan. A mask of several volumes beside a scan of one may be one per organ.

    Raises:
        DataError: `anatomy_mismatch`: it holds no organ or several volumes, or lies outside the scan or beside the
            body; other codes: it cannot be read.
    """
    organs = open_organs(path, geometry, names)
    try:
        problem = (
            f"holds {organs.times} volumes, the scan one; write all organs in one volume"
            if times == 1 < organs.times
            else _misplaced(organs.labelled_mm3(), _on_grid(organs, body), geometry)
        )
    except BaseException:
        organs.close()
        raise
    if problem:
        organs.close()
        raise DataError("anatomy_mismatch", f"anatomy {path}: {problem}, or leave it out")
    return organs


def _on_grid(organs: Organs, body: Body | None) -> _OrganVolumes:
    """Measure organs, body and what they share on the scan's grid."""
    labelled = inside = solid = 0
    for z0, z1 in _steps(organs.geometry.shape):
        is_organ = organs.slab(z0, z1) != 0
        labelled += int(np.count_nonzero(is_organ))
        if body is not None:
            is_body = body(z0, z1)
            solid += int(np.count_nonzero(is_body))
            inside += int(np.count_nonzero(is_organ & is_body))
    voxel = organs.geometry.voxel_mm3
    if body is None:
        return _OrganVolumes(labelled * voxel)
    return _OrganVolumes(labelled * voxel, inside * voxel, solid * voxel)


def _misplaced(total_mm3: float, found: _OrganVolumes, geometry: Geometry) -> str:
    """Say how a mask is misplaced and what to do; empty where it is not."""
    if not total_mm3:
        return "holds no organ, every voxel is 0; name another mask"
    advice = "save the mask with the affine of the scan it was made from"
    if not found.organs:
        return f"lies outside the scan; {advice}"
    room = geometry.voxel_mm3 * float(np.prod(geometry.shape)) if found.body is None else found.body
    shared = found.organs if found.organs_in_body is None else found.organs_in_body
    # A mask of the whole body reaches beyond a scan of the head, and one of the liver is a small part of
    # a whole body: what could be shared is the smaller of the two.
    if shared < LEAST_SHARED * min(total_mm3, room):
        where = "scan" if found.body is None else "body"
        return f"only {shared / 1000:.1f} ml of it lie in the {where}; {advice}"
    if found.organs_in_body is not None and found.organs_in_body < LEAST_IN_BODY * found.organs:
        share = found.organs_in_body / found.organs
        return f"only {share:.0%} of its organs within the scan lie in the body; {advice}"
    return ""


def _steps(shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """Cut a volume (z, y, x) into runs of slices of bounded size."""
    step = max(1, _STEP_VOXELS // (shape[1] * shape[2]))
    return [(z0, min(shape[0], z0 + step)) for z0 in range(0, shape[0], step)]
