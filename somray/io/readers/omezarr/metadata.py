"""What an OME-Zarr group says of its image: axes, voxel sizes, place, channels. Versions 0.3 to 0.5.

OME-Zarr knows scale and translation; patient axes come from RFC-4's orientations where all three axes have
one. Our own scans bring their affine under the key `somray`, which is then the truth.
Source: OME-NGFF 0.4 and 0.5, multiscales; RFC-4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.repairs import REPAIRS
from somray.errors import DataError
from somray.io.readers.lengths import mm_of

__all__ = ["ZarrImage", "image_of", "own_affine"]

_TYPES = {"time": "t", "channel": "c"}
_AXES = "tczyx"
_ORIENTATIONS = {
    "right-to-left": (1, 0, 0), "left-to-right": (-1, 0, 0),
    "anterior-to-posterior": (0, 1, 0), "posterior-to-anterior": (0, -1, 0),
    "inferior-to-superior": (0, 0, 1), "superior-to-inferior": (0, 0, -1),
}  # fmt: skip
"""Value of RFC-4 to the direction in LPS that the axis runs in."""


@dataclass(frozen=True)
class ZarrImage:
    """One multiscale image.

    Args:
        path: of the full level inside the group.
        axes: one letter of tczyx per axis of the array.
        matrix: voxel index (x, y, z, 1) to LPS mm, (4, 4).
        channels: names, as far as known.
        repairs: codes of what was assumed.
        units: one per channel, [] where not told.
        is_own: a scan of somray: NaN means no data.
    """

    path: str
    axes: str
    matrix: NDArray[np.float64]
    channels: list[str]
    repairs: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    is_own: bool = False


def image_of(place: str, attributes: Mapping[str, Any]) -> ZarrImage:  # Any: JSON
    """Read the attributes of an image's group.

    Raises:
        DataError: `unreadable`: no single image, or another version; `truncated`: a scan of somray that was
            never finished; `mixed_series`: several images.
    """
    ome = dict(attributes.get("ome") or attributes)
    _refuse_others(place, ome)
    (multiscale,) = ome["multiscales"]
    try:
        axes, spaces = _axes(multiscale)
        dataset = multiscale["datasets"][0]
        lists = [level.get("coordinateTransformations") for level in (dataset, multiscale)]
        scale, shift = _transform(len(axes), [t for found in lists for t in found or ()])
        matrix, repairs = _matrix(axes, spaces, scale, shift)
        image = ZarrImage(str(dataset["path"]), axes, matrix, _channel_names(ome), repairs)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise DataError(
            "unreadable",
            f"{place}: its OME-Zarr metadata is not read ({error}); correct it in .zattrs or zarr.json",
        ) from error
    return _own(place, image, attributes.get("somray"))


def own_affine(attributes: Mapping[str, Any]) -> NDArray[np.float64] | None:  # Any: JSON
    """Return the affine of a scan of somray, None for any other group."""
    own = attributes.get("somray")
    affine = own.get("affine") if isinstance(own, Mapping) else None
    return None if affine is None else np.asarray(affine, dtype=np.float64)


def _refuse_others(place: str, ome: Mapping[str, Any]) -> None:  # Any: JSON
    """Name what is no image by what it is."""
    kinds = {
        "plate": "is a plate of many images", "well": "is a well of many images",
        "labels": "is a list of label images",
    }  # fmt: skip
    found = ome.get("multiscales")
    if not found:
        what = next((text for key, text in kinds.items() if key in ome), "holds no OME-Zarr image")
        raise DataError("unreadable", f"{place}: {what}; name the group of one image")
    if len(found) != 1:
        raise DataError("mixed_series", f"{place}: holds {len(found)} images; name one by itself")
    if "coordinateSystems" in found[0]:
        raise DataError("unreadable", f"{place}: is of OME-Zarr 0.6 or later; 0.4 and 0.5 are read")


def _axes(multiscale: Mapping[str, Any]) -> tuple[str, dict[str, Mapping[str, Any]]]:  # Any: JSON
    """Return a letter per axis, and what is said of each axis in space."""
    letters = ""
    spaces: dict[str, Mapping[str, Any]] = {}
    for axis in multiscale.get("axes") or list(_AXES):
        told = {"name": axis} if isinstance(axis, str) else dict(axis)
        letter = _TYPES.get(str(told.get("type")), str(told["name"]).lower())
        if letter not in _AXES or letter in letters:
            raise ValueError(f"axis {told['name']!r}; t, c, z, y, x are read")
        letters += letter
        if letter in "zyx":
            spaces[letter] = told
    if not {"y", "x"} <= set(spaces):
        raise ValueError("there are no axes y and x")
    return letters, spaces


def _transform(
    count: int, transforms: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.float64] | None, NDArray[np.float64]]:  # Any: JSON
    """Join scales and translations, applied one after another; None where there is no scale."""
    scale, shift, is_scaled = np.ones(count), np.zeros(count), False
    for one in transforms:
        kind = one["type"]
        if kind not in ("scale", "translation", "identity") or "path" in one:
            raise ValueError(f"a transformation {kind!r}; scale and translation are read")
        if kind == "identity":
            continue
        values = np.asarray(one[kind], dtype=np.float64)
        if values.shape != (count,):
            raise ValueError(f"{kind} has {values.size} values for {count} axes")
        if kind == "scale":
            scale, shift, is_scaled = scale * values, shift * values, True
        else:
            shift = shift + values
    return (scale if is_scaled else None), shift


def _matrix(
    axes: str,
    spaces: Mapping[str, Mapping[str, Any]],
    scale: NDArray[np.float64] | None,
    shift: NDArray[np.float64],
) -> tuple[NDArray[np.float64], tuple[str, ...]]:  # Any: JSON
    """Make voxel index to LPS mm, and name what had to be assumed."""
    units = {letter: mm_of(told.get("unit")) for letter, told in spaces.items()}
    known = scale is not None and all(units.values())
    matrix = np.eye(4)
    if known and scale is not None:
        directions = _directions(spaces)
        for letter in spaces:
            column, place = "xyz".index(letter), axes.index(letter)
            mm = units[letter] or 1.0
            matrix[:3, column] = directions[letter] * scale[place] * mm
            matrix[:3, 3] += directions[letter] * shift[place] * mm
        if "z" not in spaces:
            matrix[2, 2] = abs(scale[axes.index("y")]) * (units["y"] or 1.0)
            return matrix, ("z_spacing_assumed",)
    return matrix, () if known else ("spacing_assumed",)


def _directions(spaces: Mapping[str, Mapping[str, Any]]) -> dict[str, NDArray[np.float64]]:
    """Return the direction of each axis in LPS: by orientation where all have one, else as they are."""
    plain = {letter: np.eye(3)["xyz".index(letter)] for letter in spaces}
    told = {letter: dict(axis.get("orientation") or {}) for letter, axis in spaces.items()}
    values = {letter: _ORIENTATIONS.get(str(o.get("value"))) for letter, o in told.items()}
    if len(spaces) < 3 or not all(values.values()):
        return plain
    found = {letter: np.array(value, dtype=np.float64) for letter, value in values.items()}
    return found if abs(np.linalg.det(np.stack(list(found.values())))) > 0 else plain


def _channel_names(ome: Mapping[str, Any]) -> list[str]:  # Any: JSON
    names = [str(c.get("label") or "") for c in (ome.get("omero") or {}).get("channels") or ()]
    return names if all(names) else []


def _own(place: str, image: ZarrImage, own: Any) -> ZarrImage:  # Any: JSON
    """Take what our own scans say beyond OME-Zarr."""
    if not isinstance(own, Mapping):
        return image
    if own.get("complete", True) is not True:
        raise DataError("truncated", f"{place}: is a scan that was never finished; run again")
    if "affine" not in own:
        return image
    return replace(
        image,
        matrix=np.asarray(own["affine"], dtype=np.float64),
        channels=[str(name) for name in own.get("channels") or image.channels],
        repairs=tuple(code for code in own.get("repairs") or () if code in REPAIRS),
        units=tuple(str(own.get("unit") or "").split(",")),
        is_own=True,
    )
