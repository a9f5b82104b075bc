"""What stands in the metadata of one scan's OME-Zarr group, and how its arrays are cut.

Images are (t, c, z, y, x), labels (t, z, y, x). A *slab* is `slab_depth` whole slices. Slices of more than
64 MiB are cut into tiles of 2048 × 2048. A *brick* is a slab, or a tile of one; it is one shard of level 0 and
one shard of every smaller level, so whoever owns a brick owns its files. The pyramid halves y and x (rounding
up) and keeps z. OME-Zarr knows only scale and translation, so coordinates there run
along the scan's own axes; the full affine to LPS stands under our own key `somray`. Not here: bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.palette import class_rgba
from somray.errors import ShapeError

__all__ = [
    "ScanMeta",
    "bricks",
    "is_cut",
    "label_metadata",
    "level_shapes",
    "scan_from_attributes",
    "scan_metadata",
    "slab_depth",
    "slabs",
    "somray_attributes",
    "tile_shape",
]

OME_VERSION = "0.5"
MAX_SLAB_DEPTH = 32
MAX_SLAB_BYTES = 64 * 1024 * 1024  # float32 block of one brick, the size a task holds several of
TILE_PIXELS = 2048  # even on all levels, so that tiles are halved as their slice would be
COARSEST_PIXELS = 256  # the smallest level fits a thumbnail

# Names of RFC-4 for an array axis that runs towards +x, +y, +z of LPS, and for the way back.
_TOWARDS = ("right-to-left", "anterior-to-posterior", "inferior-to-superior")
_BACK = ("left-to-right", "posterior-to-anterior", "superior-to-inferior")
_ALIGNED = 1e-4  # sine of the largest angle that still counts as axis aligned

_USUAL = {"SUVbw": (0.0, 10.0)}  # what readers of such images are used to seeing, by unit

# Of channels: the first is the anatomy, in grey; the others glow over it.
_COLORS = ("FFFFFF", "FF8000", "00C0FF", "40FF40", "FF40FF", "FFFF40")


def is_cut(shape: tuple[int, int, int]) -> bool:
    """Whether slices of an image of (c, y, x) are too large for a task and cut into tiles."""
    channels, rows, columns = shape
    return channels * rows * columns * 4 > MAX_SLAB_BYTES


def tile_shape(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Return (y, x) of a brick's slices for an image of (c, y, x): the whole slice unless it is cut."""
    if not is_cut(shape):
        return shape[1], shape[2]
    return min(shape[1], TILE_PIXELS), min(shape[2], TILE_PIXELS)


def slab_depth(shape: tuple[int, int, int]) -> int:
    """Return the slices per slab for an image of (c, y, x), from the shape alone.

    The largest power of two up to 32 with which the float32 block of a brick stays within 64 MiB, at least 1.
    """
    rows, columns = tile_shape(shape)
    depth = MAX_SLAB_DEPTH
    while depth > 1 and shape[0] * depth * rows * columns * 4 > MAX_SLAB_BYTES:
        depth //= 2
    return depth


def slabs(shape_z: int, depth: int) -> list[tuple[int, int]]:
    """Cut shape_z slices into slabs (z0, z1) of depth slices; the last may be thinner."""
    return [(z0, min(z0 + depth, shape_z)) for z0 in range(0, shape_z, depth)]


def bricks(shape: tuple[int, int, int, int, int]) -> list[Brick]:
    """Cut an image of (t, c, z, y, x) into bricks, by t, z, y and x."""
    times, channels, depth, rows, columns = shape
    seen = (channels, rows, columns)
    high, wide = tile_shape(seen)
    return [
        Brick(t, z0, z1, y0, y1, x0, x1)
        for t in range(times)
        for z0, z1 in slabs(depth, slab_depth(seen))
        for y0, y1 in slabs(rows, high)
        for x0, x1 in slabs(columns, wide)
    ]


@dataclass(frozen=True)
class ScanMeta:
    """One scan as it lies in storage.

    Args:
        shape: (t, c, z, y, x).
        geometry: grid of one volume; its shape is (z, y, x) of `shape`.
        channels: one name per channel.
        unit: one unit per channel, joined by commas.
        source_digest: what the pixels were made from.
        windows: per channel (low, high) in physical values, None where it is chosen later; or None.
        repairs: codes of what was repaired.
        anatomical: whether LPS means a patient's axes; False for materials.

    Raises:
        ShapeError: if the parts contradict each other.
    """

    shape: tuple[int, int, int, int, int]
    geometry: Geometry
    channels: tuple[str, ...]
    unit: str
    source_digest: str = ""
    windows: tuple[tuple[float, float] | None, ...] | None = None
    repairs: tuple[str, ...] = ()
    anatomical: bool = True

    def __post_init__(self) -> None:
        """Refuse a shape that does not fit the geometry or the channels."""
        sizes = tuple(self.shape)
        if len(sizes) != 5 or min(sizes) < 1:
            raise ShapeError(f"shape must be five positive sizes (t, c, z, y, x), got {self.shape}")
        if self.shape[2:] != self.geometry.shape:
            raise ShapeError(f"shape {self.shape} does not end in {self.geometry.shape}")
        if len(self.channels) != self.shape[1]:
            raise ShapeError(f"{self.shape[1]} channels, but named are {self.channels}")
        if self.windows is not None and len(self.windows) != self.shape[1]:
            raise ShapeError(f"{self.shape[1]} channels, but windows are {self.windows}")

    @property
    def slab_depth(self) -> int:
        """Slices per slab."""
        return slab_depth((self.shape[1], self.shape[3], self.shape[4]))

    @property
    def slabs(self) -> list[tuple[int, int]]:
        """The slabs (z0, z1) of one time point."""
        return slabs(self.shape[2], self.slab_depth)

    @property
    def is_cut(self) -> bool:
        """Whether its slices are cut into tiles."""
        return is_cut((self.shape[1], self.shape[3], self.shape[4]))

    def bricks(self, t: int | None = None) -> list[Brick]:
        """List the bricks of one time point, or of all, by t, z, y and x."""
        every = bricks(self.shape)
        return every if t is None else [brick for brick in every if brick.t == t]


def level_shapes(rows: int, columns: int) -> list[tuple[int, int]]:
    """Return (y, x) of every pyramid level, the full one first."""
    shapes = [(rows, columns)]
    while max(shapes[-1]) > COARSEST_PIXELS:
        shapes.append(((shapes[-1][0] + 1) // 2, (shapes[-1][1] + 1) // 2))
    return shapes


def _axes(meta: ScanMeta, *, with_channel: bool) -> list[dict[str, Any]]:
    """Name the axes; anatomical orientation (RFC-4) where an axis is one of the patient's."""
    space: list[dict[str, Any]] = []
    for column, name in ((2, "z"), (1, "y"), (0, "x")):
        axis: dict[str, Any] = {"name": name, "type": "space", "unit": "millimeter"}
        direction = meta.geometry.matrix[:3, column]
        direction = direction / np.linalg.norm(direction)
        world = int(np.argmax(np.abs(direction)))
        if meta.anatomical and np.abs(np.delete(direction, world)).max() < _ALIGNED:
            value = _TOWARDS[world] if direction[world] > 0 else _BACK[world]
            axis["orientation"] = {"type": "anatomical", "value": value}
        space.append(axis)
    channel = [{"name": "c", "type": "channel"}] if with_channel else []
    return [{"name": "t", "type": "time"}, *channel, *space]


def _multiscales(meta: ScanMeta, name: str, *, with_channel: bool) -> list[dict[str, Any]]:
    """Describe the pyramid; the centre of a coarse pixel lies half a coarse pixel inwards."""
    spacing = meta.geometry.spacing_mm
    matrix = meta.geometry.matrix
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    origin = [float(directions[:, column] @ matrix[:3, 3]) for column in (2, 1, 0)]  # along z, y, x
    lead = 2 if with_channel else 1
    datasets = []
    for level in range(len(level_shapes(*meta.shape[3:]))):
        factors = (1, 2**level, 2**level)
        scale = [s * f for s, f in zip(spacing, factors, strict=True)]
        shift = [o + s * (f - 1) / 2 for o, s, f in zip(origin, spacing, factors, strict=True)]
        transforms = [
            {"type": "scale", "scale": [1.0] * lead + scale},
            {"type": "translation", "translation": [0.0] * lead + shift},
        ]
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    kind = "mean" if with_channel else "nearest"
    axes = _axes(meta, with_channel=with_channel)
    return [{"name": name, "type": kind, "axes": axes, "datasets": datasets}]


def scan_metadata(
    meta: ScanMeta, ranges: tuple[tuple[float, float], ...] | None = None
) -> dict[str, Any]:
    """Make the `ome` attributes of a scan's group.

    Per channel the range is shown where neither `meta.windows` nor the unit's habit tells; no `omero` while unknown.
    """
    ome: dict[str, Any] = {
        "version": OME_VERSION,
        "multiscales": _multiscales(meta, "image", with_channel=True),
    }
    if ranges is None:
        return ome
    channels, units = [], [*meta.unit.split(","), *[""] * meta.shape[1]]
    for index, (name, shown) in enumerate(zip(meta.channels, ranges, strict=True)):
        low, high = (
            (meta.windows[index] if meta.windows else None) or _USUAL.get(units[index]) or shown
        )
        window = {"min": min(low, shown[0]), "max": max(high, shown[1]), "start": low, "end": high}
        color = _COLORS[index % len(_COLORS)]
        channels.append({"label": name, "color": color, "active": True, "window": window})
    ome["omero"] = {
        "channels": channels,
        "rdefs": {"model": "greyscale" if len(channels) == 1 else "color"},
    }
    return ome


def label_metadata(
    meta: ScanMeta,
    label: str,
    classes: Mapping[int, str],
    colors: Mapping[int, tuple[int, int, int, int]] | None = None,
) -> dict[str, Any]:
    """Make the `ome` attributes of a label's group.

    Args:
        meta: the scan that the label belongs to.
        label: name of the label.
        classes: label value to class name; empty for instances.
        colors: label value to red, green, blue, alpha (0 to 255); those of its class where left out.
    """
    palette = dict(colors or {})
    shown = [
        {"label-value": v, "rgba": list(palette.get(v) or class_rgba(classes.get(v, ""), v))}
        for v in sorted(set(classes) | set(palette))
    ]
    image_label: dict[str, Any] = {"source": {"image": "../../"}}
    if shown:
        image_label["colors"] = shown
    if classes:
        image_label["properties"] = [
            {"label-value": v, "class": classes[v]} for v in sorted(classes)
        ]
    return {
        "version": OME_VERSION,
        "multiscales": _multiscales(meta, label, with_channel=False),
        "image-label": image_label,
    }


def somray_attributes(meta: ScanMeta, *, complete: bool) -> dict[str, Any]:
    """Make the `somray` attributes of a scan's group (the public contract), our own keys after the public ones."""
    return {
        "complete": complete,
        "affine": [list(row) for row in meta.geometry.affine],
        "unit": meta.unit,
        "source_digest": meta.source_digest,
        "shape": list(meta.shape),
        "channels": list(meta.channels),
        "windows": None if meta.windows is None else [w and list(w) for w in meta.windows],
        "repairs": list(meta.repairs),
        "anatomical": meta.anatomical,
        "slab_depth": meta.slab_depth,
    }


def scan_from_attributes(attributes: Mapping[str, Any]) -> ScanMeta:
    """Rebuild a `ScanMeta` from the `somray` attributes; the inverse of `somray_attributes`.

    Raises:
        KeyError: a key is missing.
    """
    shape = tuple(int(n) for n in attributes["shape"])
    windows = attributes["windows"]
    return ScanMeta(
        shape=(shape[0], shape[1], shape[2], shape[3], shape[4]),
        geometry=Geometry.from_matrix(
            (shape[2], shape[3], shape[4]), np.array(attributes["affine"])
        ),
        channels=tuple(attributes["channels"]),
        unit=str(attributes["unit"]),
        source_digest=str(attributes["source_digest"]),
        windows=None if windows is None else tuple(w and (w[0], w[1]) for w in windows),
        repairs=tuple(attributes["repairs"]),
        anatomical=bool(attributes["anatomical"]),
    )
