"""Which axes of an NRRD file are space and which is time, and where its voxels lie.

The first three axes that lead somewhere are x, y, z; one more may be time or a list of volumes, slowest or
fastest. Vectors, colors and tensors are refused by name. The file's space (left-posterior-superior,
right-anterior-superior …) and its unit of length become LPS mm. A field that says nothing of place or size is
told as assumed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.readers.lengths import is_pixel, mm_per_unit
from somray.io.readers.voxels.nrrd_fields import NrrdFields

__all__ = ["NrrdAxes", "axes_of", "place_of_axes"]

_TO_LPS = {"L": 1.0, "R": -1.0}, {"P": 1.0, "A": -1.0}, {"S": 1.0, "I": -1.0}
_SPATIAL = ("domain", "space")
_SERIAL = ("time", "list")
_UNSAID = ("???", "none", "stub", "")
_LAST = (*_SPATIAL, *_UNSAID)  # kinds of a slowest axis that is no space: ITK calls time a domain

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class NrrdAxes:
    """The axes of a file, by their number in it.

    Args:
        space: the axes x, y and (unless the file holds one slice) z.
        serial: the axis of time or a list, None where there is none.
        sizes: voxels along all axes.
    """

    space: tuple[int, ...]
    serial: int | None
    sizes: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes (t, z, y, x)."""
        x, y, z = [*(self.sizes[axis] for axis in self.space), 1][:3]
        return 1 if self.serial is None else self.sizes[self.serial], z, y, x

    @property
    def is_serial_first(self) -> bool:
        """Whether the values of all times lie together."""
        return self.serial is not None and self.serial < self.space[0]


def axes_of(path: Path, header: NrrdFields) -> NrrdAxes:
    """Tell the axes apart.

    Raises:
        DataError: `unreadable`: an axis that is neither space nor time, or sizes that are none.
    """
    sizes = tuple(int(n) for n in header.fields["sizes"])
    if min(sizes, default=0) < 1:
        raise DataError("unreadable", f"{path}: its sizes {list(sizes)} must be positive")
    kinds = _kinds(header, len(sizes))
    leads = _leads(path, header, len(sizes))
    if leads is not None:
        space = [axis for axis, does in enumerate(leads) if does]
    elif any(kind in _SPATIAL for kind in kinds):
        space = [axis for axis, kind in enumerate(kinds) if kind in (*_SPATIAL, "???", "none", "")]
    else:
        space = [axis for axis, kind in enumerate(kinds) if kind in _UNSAID]
    space = [axis for axis in space if kinds[axis] not in _SERIAL][:3]
    others = [a for a in range(len(sizes)) if a not in space and sizes[a] > 1]
    if len(space) < 2 or space != list(range(space[0], space[0] + len(space))):
        raise DataError("unreadable", f"{path}: its axes {_told(kinds)} hold no x, y, z in a row")
    for axis in others:
        is_last = axis > space[-1]
        if len(others) > 1 or kinds[axis] not in _SERIAL + (_LAST if is_last else ()):
            raise DataError(
                "unreadable",
                f"{path}: axis {axis} of size {sizes[axis]} is of kind {_told(kinds[axis : axis + 1])}; "
                "x, y, z and time or a list of volumes are read",
            )
    return NrrdAxes(tuple(space), others[0] if others else None, sizes)


def _kinds(header: NrrdFields, count: int) -> list[str]:
    """Return a kind per axis; diffusion series call their list of volumes a vector."""
    kinds = [str(kind).lower() for kind in header.fields.get("kinds", ())]
    kinds = (kinds + [""] * count)[:count]
    is_series = header.keys.get("modality", "").upper() == "DWMRI"
    return ["list" if is_series and kind == "vector" else kind for kind in kinds]


def _told(kinds: list[str]) -> str:
    return ", ".join(kind[:24] or "none" for kind in kinds)


def _leads(path: Path, header: NrrdFields, count: int) -> list[bool] | None:
    """Tell which axes lead through space; None where the header has no directions."""
    vectors = _directions(path, header)
    if vectors is None:
        return None
    if len(vectors) != count:
        raise DataError("unreadable", f"{path}: has {count} axes and {len(vectors)} directions")
    if any(np.isfinite(v).all() and not v.any() for v in vectors):
        raise DataError("no_space", f"{path}: an axis has the direction zero; correct the header")
    return [bool(np.isfinite(v).all() and v.any()) for v in vectors[:, :3]]


def _directions(path: Path, header: NrrdFields) -> Matrix | None:
    given = header.fields.get("space directions")
    if given is None:
        return None
    vectors = np.array(
        [[np.nan] if v is None else np.atleast_1d(v) for v in given], dtype=np.float64
    )
    if vectors.ndim != 2 or not 2 <= vectors.shape[1] <= 4:
        raise DataError("no_space", f"{path}: its space directions span no space; correct them")
    return vectors


def place_of_axes(path: Path, header: NrrdFields, axes: NrrdAxes) -> tuple[Matrix, tuple[str, ...]]:
    """Return voxel index to LPS mm (4, 4), and repairs.

    Raises:
        DataError: `no_space`: directions or units that cannot be used.
    """
    vectors = _directions(path, header)
    if vectors is None:
        return _by_spacings(path, header, axes)
    matrix = np.eye(4)
    repairs = []
    depth = min(vectors.shape[1], 3)
    spatial = np.zeros((3, 3))
    spatial[:depth, : len(axes.space)] = vectors[list(axes.space), :depth].T
    if len(axes.space) == 2:
        spatial[:, 2], notes = _through(spatial, _thickness(header, axes))
        repairs += notes
    matrix[:3, :3] = spatial
    origin = np.asarray(header.fields.get("space origin", [np.nan]), dtype=np.float64)[:depth]
    signs = _signs(header)
    if signs is None or len(origin) != depth or not np.isfinite(origin).all():
        repairs.append("position_assumed")
    matrix[: len(origin), 3] = np.nan_to_num(origin, posinf=0.0, neginf=0.0)
    units = [str(word) for word in header.fields.get("space units", ())][:depth]
    scale = np.array([*_scales(path, units, "space units"), 1.0, 1.0, 1.0])[:3]
    if len(units) < depth:
        scale = np.ones(3)
    if any(is_pixel(word) for word in units):
        repairs.append("spacing_assumed")
    return np.diag([*(scale * (signs or 1.0)), 1.0]) @ matrix, tuple(repairs)


def _scales(path: Path, units: list[str], field: str) -> list[float]:
    """Return mm per unit; a word that names no unit leaves mm, as everywhere in medicine."""
    try:
        return [mm_per_unit(word) or 1.0 for word in units]
    except ValueError as error:
        raise DataError(
            "no_space", f"{path}: its {field} name no unit of length that is known; write mm or um"
        ) from error


def _signs(header: NrrdFields) -> list[float] | None:
    """Return the signs that take a space to LPS; None where it is no patient's space."""
    space = str(header.fields.get("space", ""))
    words = space.lower().removesuffix("-time").split("-")
    short = space.upper() if len(words) == 1 else "".join(w[:1] for w in words).upper()
    short = short.removesuffix("T") if len(short) == 4 else short
    signs = [axis.get(letter) for axis, letter in zip(_TO_LPS, short, strict=False)]
    known = [sign for sign in signs if sign is not None]
    return known if len(known) == len(short) == 3 else None


def _thickness(header: NrrdFields, axes: NrrdAxes) -> float:
    """Return the thickness of a single slice; NaN where the header has none."""
    given = np.asarray(header.fields.get("thicknesses", ()), dtype=np.float64)
    named = given[np.isfinite(given) & (given > 0)]
    return float(named[-1]) if len(named) and axes.shape[1] == 1 else float("nan")


def _through(axes: Matrix, thickness: float) -> tuple[Matrix, list[str]]:
    """Return the axis through a single slice."""
    normal = np.cross(axes[:, 0], axes[:, 1])
    normal = normal / (np.linalg.norm(normal) or 1.0)
    if np.isfinite(thickness):
        return normal * thickness, []
    return normal, ["thickness_assumed"]


def _by_spacings(path: Path, header: NrrdFields, axes: NrrdAxes) -> tuple[Matrix, tuple[str, ...]]:
    """Return the grid of a header without directions: sizes of voxels, and at most where an axis begins."""
    repairs = ["position_assumed"]
    spacing, begin = _along_axes(header, axes)
    if not np.isfinite(spacing[:2]).any():
        repairs = ["spacing_assumed"]
    elif not np.isfinite(spacing).all():
        z_alone = np.isfinite(spacing[:2]).all() and axes.shape[1] == 1
        repairs.append("thickness_assumed" if z_alone else "spacing_assumed")
    units = [str(word) for word in header.fields.get("units", ())]
    scale = np.ones(3)
    if len(units) == len(axes.sizes):
        own = [units[axis] for axis in axes.space]
        scale[: len(own)] = _scales(path, own, "units")
        if any(is_pixel(word) for word in own) and "spacing_assumed" not in repairs:
            repairs.append("spacing_assumed")
    scale[~np.isfinite(spacing)] = 1.0
    matrix = np.diag([*np.where(np.isfinite(spacing), spacing, 1.0) * scale, 1.0])
    matrix[:3, 3] = begin * scale
    return matrix, tuple(repairs)


def _along_axes(header: NrrdFields, axes: NrrdAxes) -> tuple[Matrix, Matrix]:
    """Return the voxel sizes of x, y, z, NaN where not named, and where their first voxels' centres lie."""
    spacing, begin = np.full(3, np.nan), np.zeros(3)
    columns: dict[str, Any] = {  # Any: pynrrd's values
        name: header.fields.get(name, ())
        for name in ("spacings", "axis mins", "axis maxs", "centerings")
    }
    for place, axis in enumerate(axes.space):
        own = {name: values[axis] for name, values in columns.items() if axis < len(values)}
        spacing[place] = float(own.get("spacings", np.nan))
        low, high = float(own.get("axis mins", np.nan)), float(own.get("axis maxs", np.nan))
        centering = str(own.get("centerings", "")).lower()
        steps = {"cell": axes.sizes[axis], "node": axes.sizes[axis] - 1}.get(centering, 0)
        if not np.isfinite(spacing[place]) and steps:
            spacing[place] = (high - low) / steps
        if np.isfinite(
            low
        ):  # a cell's border or a node, as Teem takes it: cells where nothing is said
            half = 0.0 if centering == "node" else 0.5
            begin[place] = low + half * np.nan_to_num(spacing[place], nan=1.0)
    if len(axes.space) < 3 or axes.shape[1] == 1:
        thickness = _thickness(header, axes)
        spacing[2] = spacing[2] if np.isfinite(spacing[2]) else thickness
    return spacing, begin
