"""Write what an encoder learns from one scan: its image as the encoder sees it, and what the map says of each pixel.

Slices are spread evenly over a scan, and brought to the encoder's pixel size: features linearly, nodes to the nearest.
Volumes are written layer by layer (`layers`). Of a scan with several time points the first is learned from.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import RunLayout, ScanPlace
from somray.domain.teacher import TeacherModel
from somray.domain.work import WORKER_BYTES, Needs, Result
from somray.io.ome.image import read_meta
from somray.io.ome.pieces import PieceGrid, create_pieces, finish_pieces, write_piece
from somray.io.storage import Storage
from somray.kernels.objects.grid import object_grid
from somray.kernels.objects.scan_rule import rule_for
from somray.kernels.student.spacing import at_shape, shape_at
from somray.kernels.student.window import MOST_PIXELS, SIDE
from somray.stages.pretrain.images import EncoderView, scan_images, spread_slices
from somray.stages.pretrain.layers import Blocks, Layers, layer_bytes
from somray.stages.pretrain.nodes import NodeMaps
from somray.stages.reading.volume import read_volumes
from somray.stages.student.lessons import sees_volumes
from somray.stages.student.volumes import VOLUME_MM

__all__ = ["SLICES", "ShardItem", "needs", "run", "view_for"]

SLICES = 24
"""Of a scan that an encoder of slices learns from."""
CLIP = 100.0
"""Standard deviations beyond which a feature is no more told; far within float16."""


@dataclass(frozen=True)
class ShardItem:
    """One scan that an encoder learns from.

    Args:
        place: the scan.
        protocol: name of the protocol.
        name: of the scan's units.
        level: the scan's own level of uptake, where a channel is PET.
        grid_mm: wanted size of a volume's blocks; None as the protocol's student sees scans.
        features: whether features are written as well.
    """

    place: ScanPlace
    protocol: str
    name: str
    level: float | None
    grid_mm: float | None
    features: bool = False

    @property
    def group(self) -> str:
        """Where it is written."""
        return RunLayout.shards(self.protocol, self.name)


def view_for(teacher: TeacherModel, grid_mm: float | None) -> EncoderView:
    """Return how a protocol's encoder looks at scans; `grid_mm` as in the configuration."""
    rule = rule_for(teacher.modality, teacher.channels)
    size_mm = VOLUME_MM if grid_mm is None and sees_volumes(rule) else grid_mm
    if size_mm is None:
        return EncoderView(2, teacher.spacing_mm, rule.kinds, teacher.windows)
    return EncoderView(3, (size_mm, size_mm), rule.kinds, teacher.windows)


def needs(tile_bytes: int, channels: int, features: int, dimensions: int = 2) -> Needs:
    """Declare what writing takes: a slice of a brick with all its features, and a layer's sums.

    Args:
        tile_bytes: of one slice of a brick with all channels.
        channels: of the scan.
        features: that are written.
        dimensions: of the teacher.
    """
    planes = 60 if dimensions == 2 else 200
    memory = WORKER_BYTES + planes * tile_bytes + layer_bytes(channels + features)
    return Needs(cpus=1, memory_bytes=memory)


def run(item: ShardItem, shared: NodeMaps) -> Result:
    """Write one scan's pieces.

    Returns:
        Value: the pieces' grid and corners, how volumes are turned, windows, whether there are features, a digest.
    """
    view = view_for(shared.teacher, item.grid_mm)
    told = _volume(item, view, shared) if view.dimensions == 3 else _slices(item, view, shared)
    finish_pieces(Storage.at(item.place.root), item.group)
    return Result(value={"dimensions": view.dimensions, "features": item.features, **told})


class _Writer:
    """Writes pieces and hashes them on the way."""

    def __init__(self, item: ShardItem, grid: PieceGrid, maps: NodeMaps) -> None:
        self._storage, self._name, self._features = (
            Storage.at(item.place.root),
            item.group,
            item.features,
        )
        self._found = hashlib.sha256()
        teacher = maps.teacher
        arrays = {"values": (len(teacher.channels), "float32"), "nodes": (len(maps.books), "int16")}
        if item.features:
            arrays["features"] = (len(teacher.center), "float16")
        create_pieces(self._storage, self._name, grid, arrays)

    def write(self, corner: tuple[int, int, int], blocks: "Blocks") -> None:
        """Write one piece, each array (lead, z, y, x)."""
        arrays: dict[str, NDArray[Any]] = {"values": blocks.values, "nodes": blocks.nodes}
        if self._features:
            arrays["features"] = np.clip(blocks.features, -CLIP, CLIP).astype(np.float16)
        for array, block in arrays.items():
            whole = np.ascontiguousarray(block)
            self._found.update(f"{array}{corner}{whole.dtype}{whole.shape}".encode())
            self._found.update(whole.tobytes())
            write_piece(self._storage, self._name, array, corner, whole)

    def digest(self) -> str:
        """Name all that was written."""
        return self._found.hexdigest()[:32]


def _slices(item: ShardItem, view: EncoderView, maps: NodeMaps) -> dict[str, Any]:
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    chosen = spread_slices(meta.shape[2], SLICES)
    rows, columns = meta.shape[3:]
    if rows * columns > MOST_PIXELS:
        rows, columns = min(rows, SIDE), min(columns, SIDE)
    _, dy, dx = meta.geometry.spacing_mm
    part = shape_at((rows, columns), (dy, dx), view.spacing_mm)
    grid = PieceGrid((len(chosen), *part), (1, *part))
    writer = _Writer(item, grid, maps)
    for n, image in enumerate(scan_images(item.place, view, slices=chosen)):
        (seen,) = maps.look(item.place, image.where, item.level)
        shape = image.values.shape[1], image.values.shape[2]
        features = at_shape(seen.features, shape) if item.features else seen.features[:0]
        nodes = _nearest(seen.nodes, shape)
        blocks = Blocks(image.values[:, None], nodes[:, None], features[:, None])
        writer.write((n, 0, 0), blocks)
    corners = [[n, 0, 0] for n in range(len(chosen))]
    return {**_told(grid, corners, view.windows), "digest": writer.digest()}


def _nearest(nodes: NDArray[np.int16], shape: tuple[int, int]) -> NDArray[np.int16]:
    """Take nodes (k, y, x) to another pixel size; a pixel has the node that lies under its middle."""
    y, x = (
        ((np.arange(n) + 0.5) * own / n).astype(np.intp)
        for n, own in zip(shape, nodes.shape[1:], strict=True)
    )
    return np.ascontiguousarray(nodes[:, y[:, None], x])


def _volume(item: ShardItem, view: EncoderView, maps: NodeMaps) -> dict[str, Any]:
    meta = read_meta(Storage.at(item.place.root), item.place.name)
    grid = object_grid(meta.geometry, view.spacing_mm[0], meta.anatomical)
    layers = Layers(item.place, item.level, maps, grid, features=item.features)
    pieces = layers.pieces()
    writer, corners = _Writer(item, pieces, maps), []
    for first, last in layers.chosen():
        layer = layers.read(first, last)
        for corner in (c for c in pieces.corners() if c[0] == first):
            _, rows, columns = pieces.box(corner)
            writer.write(corner, layer.part(rows, columns))
            corners.append(list(corner))
    windows = view.windows
    if "PET" in view.kinds:  # uptake counts in the whole scan's own unit
        windows = view.windows_of(read_volumes(item.place, view.spacing_mm[:1], 0)[0].means[:-1])
    turned = {"axes": list(grid.axes), "flips": list(grid.flips)}
    return {**_told(pieces, corners, windows), **turned, "digest": writer.digest()}


def _told(grid: PieceGrid, corners: list[list[int]], windows: Any) -> dict[str, Any]:
    cut = {"shape": list(grid.shape), "part": list(grid.part)}
    return {**cut, "corners": corners, "windows": [list(window) for window in windows]}
