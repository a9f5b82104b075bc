"""TIFF for ImageJ, written piece by piece: stacks (t, z, c, y, x) with calibration, windows and colour tables.

What has no data stays NaN, which ImageJ leaves out of its statistics.
Source: ImageJ, `TiffDecoder` (its own metadata); tifffile, "ImageJ hyperstack".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from somray.commands.view.subject import ShownScan
from somray.domain.brick import Brick
from somray.io.ome.image import read_brick
from somray.io.storage import Storage
from somray.io.writers.voxels import PIECE_VOXELS, LabelMap

__all__ = ["MOST_IMAGEJ_BYTES", "bytes_of_stack", "write_image", "write_mask"]

MOST_IMAGEJ_BYTES = (1 << 32) - (1 << 24)  # offsets are 32 bits; some room for what is not pixels


def bytes_of_stack(scan: ShownScan) -> int:
    """Return the bytes of an image as float32."""
    return 4 * int(np.prod(scan.meta.shape))


def write_image(scan: ShownScan, folder: Storage, name: str) -> None:
    """Write the image of a scan, all channels.

    Raises:
        StoreError: it cannot be written.
    """
    times, channels, depth, rows, columns = scan.meta.shape
    ranges = [float(end) for one in scan.channels for end in (one.low, one.high)]
    told = {
        "LUTs": [_ramp(one.color) for one in scan.channels],
        "Ranges": tuple(ranges),
        "mode": "composite" if channels > 1 else "grayscale",
        "min": ranges[0],
        "max": ranges[1],
    }  # fmt: skip
    stack = _Stack(scan, (times, depth, channels, rows, columns), "f4", told)
    _write(stack, folder, name, _planes(scan))


def write_mask(scan: ShownScan, mask: LabelMap, folder: Storage, name: str) -> None:
    """Write a mask with the colours of its values; those above 255 share the last one.

    Raises:
        StoreError: it cannot be written.
    """
    times, (depth, rows, columns) = mask.voxels.times, mask.geometry.shape
    kind = {"uint8": "u1", "uint16": "u2"}.get(mask.voxels.dtype, "f4")
    table = np.zeros((3, 256), np.uint8)
    for one in mask.segments:
        if one.value < 256:
            table[:, one.value] = one.color[:3]
    told = {"min": 0.0, "max": 255.0, "Ranges": (0.0, 255.0)}

    def planes() -> Iterator[NDArray[Any]]:
        for box in _boxes(times, depth, rows * columns, (rows, columns)):
            yield from np.asarray(mask.voxels.read(box))

    colors = table if kind == "u1" else None
    stack = _Stack(scan, (times, depth, 1, rows, columns), kind, told, colors)
    _write(stack, folder, name, planes())


@dataclass(frozen=True)
class _Stack:
    """A file: (t, z, c, y, x) of a type of numpy's, what ImageJ is told of it, a colour for each value of a byte."""

    scan: ShownScan
    shape: tuple[int, ...]
    kind: str
    told: dict[str, Any]  # Any: tifffile's metadata
    colors: NDArray[np.uint8] | None = None  # (3, 256)

    @property
    def is_large(self) -> bool:
        """Whether it is more than ImageJ's own kind of TIFF holds."""
        return int(np.prod(self.shape)) * int(self.kind[1:]) > MOST_IMAGEJ_BYTES


def _write(stack: _Stack, folder: Storage, name: str, planes: Iterator[NDArray[Any]]) -> None:
    deep, tall, wide = stack.scan.meta.geometry.spacing_mm
    is_large, kind = stack.is_large, f">{stack.kind}"
    if is_large:
        metadata: dict[str, Any] = {
            "axes": "TZCYX",
            "PhysicalSizeX": wide, "PhysicalSizeXUnit": "mm",
            "PhysicalSizeY": tall, "PhysicalSizeYUnit": "mm",
            "PhysicalSizeZ": deep, "PhysicalSizeZUnit": "mm",
        }  # fmt: skip
    else:
        metadata = {"axes": "TZCYX", "spacing": deep, "unit": "mm", **stack.told}
    looks: dict[str, Any] = {"photometric": "minisblack"}
    if stack.colors is not None:
        looks = {"photometric": "palette", "colormap": stack.colors.astype(np.uint16) * 257}
    with (
        folder.writing(name) as file,
        tifffile.TiffWriter(
            file, imagej=not is_large, ome=is_large, bigtiff=is_large, byteorder=">"
        ) as tiff,
    ):
        tiff.write(
            (plane.astype(kind) for plane in planes), shape=stack.shape, dtype=kind, **looks,
            resolution=(1 / wide, 1 / tall), resolutionunit="NONE", metadata=metadata,
        )  # fmt: skip


def _planes(scan: ShownScan) -> Iterator[NDArray[Any]]:
    times, channels, depth, rows, columns = scan.meta.shape
    for box in _boxes(times, depth, channels * rows * columns, (rows, columns)):
        block = read_brick(scan.stored.storage, scan.stored.name, box)  # (c, z, y, x)
        for z in range(block.shape[1]):
            yield from block[:, z]


def _boxes(times: int, depth: int, voxels: int, plane: tuple[int, int]) -> Iterator[Brick]:
    """Give whole slices, at most 2 million voxels or one slice at once."""
    step = max(1, PIECE_VOXELS // voxels)
    for t in range(times):
        for z in range(0, depth, step):
            yield Brick.of_slices(t, z, min(depth, z + step), plane)


def _ramp(color: str) -> NDArray[np.uint8]:
    """Return a colour table (3, 256) from black to a colour."""
    ends = np.array([int(color[n : n + 2], 16) for n in (0, 2, 4)], dtype=np.float64)
    return np.round(ends[:, None] * np.linspace(0, 1, 256)).astype(np.uint8)
