"""Where a NIfTI header puts its voxels, and what it says in vain.

The sform is taken where it is set and sound, as nibabel does; else the qform; a header that sets neither gives
the voxel sizes alone. What other readers may take instead is told: ITK, for one, goes by the qform's code first.
NIfTI's world is RAS, its unit a code; here both become LPS mm.
"""

from typing import Any

import numpy as np
from nibabel.quaternions import quat2mat
from nibabel.volumeutils import shape_zoom_affine
from numpy.typing import NDArray

from somray.domain.geometry import Geometry, spans_space
from somray.errors import DataError

__all__ = ["place_of"]

_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_BITS = 0x07  # time stands in the next
_UNIT_LENGTH = 3.6e-7
"""By which float32 lets a rotation's quaternion exceed 1; nibabel's three epsilons."""
_MOST_LENGTH = 0.01  # beyond it a quaternion is not rounded but wrong
_SAME_PLACE_VOXELS = 0.5
_SAME_SIZE = 0.01  # relative

Matrix = NDArray[np.float64]


def place_of(
    path: str, header: Any, shape: tuple[int, int, int]
) -> tuple[Matrix, tuple[str, ...]]:  # Any: nibabel has no types
    """Return voxel index to LPS mm (4, 4), and repairs.

    Raises:
        DataError: `no_space`: what the header sets cannot be used.
    """
    unit = _MM_PER_UNIT.get(int(header["xyzt_units"]) & _UNIT_BITS)
    with np.errstate(invalid="ignore", over="ignore"):
        matrix, repairs = _in_file(path, header, shape)
    if unit is None:
        unit, repairs = 1.0, [*repairs, "unit_assumed"]
    return _TO_LPS @ np.diag([unit, unit, unit, 1.0]) @ matrix, tuple(repairs)


def _in_file(path: str, header: Any, shape: tuple[int, int, int]) -> tuple[Matrix, list[str]]:
    """Choose among what the header says, in its own axes and unit."""
    sizes, repairs = _sizes(header, shape)
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if not has_sform and not has_qform:
        if not _are_sizes(sizes):
            raise _no_space(path, "sets neither sform nor qform, and its voxel sizes (pixdim)")
        zooms = shape_zoom_affine(shape[::-1], sizes, x_flip=True)
        return np.asarray(zooms, dtype=np.float64), [*repairs, "position_assumed"]
    sform = _sform(header, shape, sizes) if has_sform else None
    qform, is_repaired = _qform(header, sizes) if has_qform else (None, False)
    if sform is not None:
        if shape[0] > 1 or np.any(header["srow_z"][:3]):
            repairs = []  # its thickness is the sform's
        return sform, [*repairs, *_contradictions(sform, qform, header, shape)]
    if qform is None:
        names = [n for n, is_set in (("sform", has_sform), ("qform", has_qform)) if is_set]
        raise _no_space(path, f"its {' and '.join(names)}")
    if has_sform:
        repairs.append("sform_ignored")
    return qform, [*repairs, "qform_repaired"] if is_repaired else repairs


def _no_space(path: str, what: str) -> DataError:
    return DataError(
        "no_space",
        f"{path}: {what} cannot be used (zero, singular or no number); correct the header",
    )


def _sizes(header: Any, shape: tuple[int, int, int]) -> tuple[Matrix, list[str]]:
    """Return voxel sizes x, y, z, positive; a single slice may leave out its thickness."""
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    if shape[0] == 1 and not _are_sizes(sizes[2:]):
        sizes[2] = 1.0
        return sizes, ["thickness_assumed"]
    return sizes, []


def _are_sizes(sizes: Matrix) -> bool:
    return bool(np.isfinite(sizes).all() and (sizes > 0).all())


def _sform(header: Any, shape: tuple[int, int, int], sizes: Matrix) -> Matrix | None:
    """Return the sform, its third axis completed for a single slice; None where it is not sound."""
    rows = [header[name] for name in ("srow_x", "srow_y", "srow_z")]
    matrix = np.vstack([np.asarray(rows, dtype=np.float64), [0.0, 0.0, 0.0, 1.0]])
    if not np.isfinite(matrix).all():
        return None
    if shape[0] == 1 and not matrix[:3, 2].any():
        normal = np.cross(matrix[:3, 0], matrix[:3, 1])
        matrix[:3, 2] = normal / (np.linalg.norm(normal) or 1.0) * sizes[2]
    return matrix if spans_space(matrix[:3, :3]) else None


def _qform(header: Any, sizes: Matrix) -> tuple[Matrix | None, bool]:
    """Return the qform, None where it is not sound, and whether it needed repair."""
    turn = np.array([float(header[f"quatern_{n}"]) for n in "bcd"])
    offset = np.array([float(header[f"qoffset_{n}"]) for n in "xyz"])
    rest = 1.0 - float(turn @ turn)
    if not (rest >= -_MOST_LENGTH and np.isfinite(offset).all() and _are_sizes(sizes)):
        return None, False
    matrix = np.eye(4)
    left_handed = -1.0 if float(header["pixdim"][0]) < 0 else 1.0  # 0 and all else mean 1
    matrix[:3, :3] = quat2mat([np.sqrt(max(rest, 0.0)), *turn]) * sizes * [1.0, 1.0, left_handed]
    matrix[:3, 3] = offset
    has_negative = bool((header["pixdim"][1:4] < 0).any())  # ITK mirrors there, nibabel does not
    return matrix, rest < -_UNIT_LENGTH or has_negative


def _contradictions(
    sform: Matrix, qform: Matrix | None, header: Any, shape: tuple[int, int, int]
) -> list[str]:
    """Tell what the header says beside its sform and does not mean the same."""
    grid = Geometry.from_matrix(shape, sform)
    if int(header["qform_code"]) > 0:
        if qform is None:
            return ["qform_ignored"]
        apart = grid.distance_voxels(Geometry.from_matrix(shape, qform))
        return ["qform_ignored"] if apart > _SAME_PLACE_VOXELS else []
    sizes = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    own = np.asarray(grid.spacing_mm[::-1])
    differs = ~(np.abs(sizes - own) <= _SAME_SIZE * own)
    return ["pixdim_ignored"] if differs[: 2 if shape[0] == 1 else 3].any() else []
