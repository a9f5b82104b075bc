"""One scan's pixels, labels and truth, read slice by slice, and the physical frame of its slices."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of, kinds_of
from somray.domain.geometry import Geometry
from somray.errors import SomrayError
from somray.io.ome import image as ome_zarr
from somray.io.ome.arrays import store_errors
from somray.io.ome.chunks import StoredLevel
from somray.io.ome.image import ScanMeta
from somray.io.ome.metadata import level_shapes
from somray.io.storage import Storage
from somray.report.data.truth import TruthMask

__all__ = ["LONG_SIDE", "ScanPixels", "SliceFrame"]

LONG_SIDE = 400.0
"""Drawing units of a picture's longer side."""

PICTURE_PIXELS = 640  # of a slice's longer side, as tiles embed at most

Crop = tuple[NDArray[np.float32], NDArray[np.integer[Any]]]  # image and lesion ids, (y, x)

LABELS = ("som", "student", "foreign", "lesions", "objects")
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # towards smaller and larger LPS x, y, z


@dataclass(frozen=True)
class SliceFrame:
    """The physical frame of a slice.

    Args:
        shape: (y, x) pixels.
        spacing_mm: (y, x).
        towards: letters for the patient direction at the right and bottom edge, or None.
        unit: "mm", or "px" where 1 mm was only assumed.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    towards: tuple[str, str] | None = None
    unit: str = "mm"

    @classmethod
    def of(cls, geometry: Geometry, anatomical: bool, unit: str = "mm") -> "SliceFrame":
        """Make the frame of a volume's slices."""
        letters = None
        if anatomical:
            letters = (_letter(geometry.matrix[:3, 0]), _letter(geometry.matrix[:3, 1]))
        return cls(geometry.shape[1:], geometry.spacing_mm[1:], letters, unit)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in drawing units."""
        height, width = (n * s for n, s in zip(self.shape, self.spacing_mm, strict=True))
        scale = LONG_SIDE / max(width, height)
        return width * scale, height * scale

    @property
    def units_per_mm(self) -> float:
        """Drawing units per mm."""
        return self.size[0] / (self.shape[1] * self.spacing_mm[1])


def _letter(direction: NDArray[np.float64]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][int(direction[axis] > 0)]


def _shown_level(meta: ScanMeta) -> int:
    """Choose the coarsest stored level whose slices still fill a picture; 0 for slices of common size."""
    sizes = [max(shape) for shape in level_shapes(*meta.shape[3:])]
    return max((n for n, size in enumerate(sizes) if size >= PICTURE_PIXELS), default=0)


class ScanPixels:
    """One complete scan, read slice by slice; large slices at a stored level that fills a picture.

    So memory follows the picture, never the scan: less than (2 × `PICTURE_PIXELS`)² pixels a slice.

    Args:
        storage: where the run lies.
        name: the scan's group.
        truth: path of its truth mask, where one was given.
    """

    def __init__(self, storage: Storage, name: str, truth: str | None = None) -> None:
        self._storage, self._name = storage, name
        self.truth_trouble: str | None = None
        self._truth: TruthMask | None = None
        if truth is not None:
            try:
                self._truth = TruthMask(truth)
            except (SomrayError, OSError) as error:
                self.truth_trouble = str(error)  # the page says so
        self.meta: ScanMeta = ome_zarr.read_meta(storage, name)
        self._level = _shown_level(self.meta)
        self.labels = tuple(n for n in LABELS if ome_zarr.labels_complete(storage, name, n))

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each channel."""
        return tuple(self.meta.unit.split(","))

    @property
    def frame(self) -> SliceFrame:
        """The physical frame of a slice as it is read; in pixels where the file gave no spacing."""
        unit = "px" if "spacing_assumed" in self.meta.repairs else "mm"
        return SliceFrame.of(self.geometry, self.meta.anatomical, unit)

    @cached_property
    def geometry(self) -> Geometry:
        """The grid that slices are read on: the scan's own, or that of the stored level that fits a picture."""
        return self.level_geometry(self._level)

    def level_geometry(self, level: int) -> Geometry:
        """Return the grid of a stored level."""
        step = np.eye(4)
        step[:2, :2] *= 2**level  # levels keep z
        step[:2, 3] = (2**level - 1) / 2  # the middle of the pixels that a coarse one stands for
        return Geometry.from_matrix(self.level_shape(level), self.meta.geometry.matrix @ step)

    @property
    def reduction(self) -> int:
        """Pixels along y and x that one pixel stands for, as slices are read here; 1 for the scan's own."""
        return int(2**self._level)

    @property
    def reduced(self) -> str:
        """What a caption must say of slices that are not read at full resolution, "" where they are."""
        return "" if self._level == 0 else f" (read at 1/{self.reduction} of its resolution)"

    def planar_matrix(
        self, matrix: NDArray[np.float64], moving: "ScanPixels"
    ) -> NDArray[np.float64]:
        """Turn a registration in pixels (3×3, moving to fixed) into one of the pixels read, this scan being fixed."""
        own, other = self._to_full(), moving._to_full()
        return np.asarray(np.linalg.inv(own) @ matrix @ other)

    def _to_full(self) -> NDArray[np.float64]:
        shift = (self.reduction - 1) / 2
        factor = float(self.reduction)
        return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1]])

    def uptake_channel(self, modality: str) -> int | None:
        """Return the index of the channel that measures uptake, None where there is none."""
        kinds = kinds_of(channels_of(modality, self.meta.channels))
        return kinds.index("PET") if "PET" in kinds else None

    def slab(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read slices z0 to z1 (excluded) as (c, z, y, x), on the grid of `geometry`."""
        where = (t, slice(None), slice(z0, z1))
        return np.asarray(self._stored(str(self._level), where), dtype=np.float32)

    def image(self, t: int, z: int) -> NDArray[np.float32]:
        """Read one slice as (c, y, x)."""
        return self.slab(t, z, z + 1)[:, 0]

    def label(self, label: str, t: int, z: int) -> NDArray[np.integer[Any]] | None:
        """Read one slice of a label as (y, x), None where there is no complete one."""
        slab = self.coarse_label(label, self._level, t, z, z + 1)
        return None if slab is None else np.asarray(slab[0])

    def crop(self, t: int, z: int, rows: slice, columns: slice) -> Crop:
        """Read a small part of one slice at full resolution, first channel, and the lesions in it."""
        where = (z, rows, columns)
        image = self._stored("0", (t, 0, *where)).astype(np.float32)
        if "lesions" not in self.labels:
            return image, np.zeros(image.shape, np.int32)
        return image, self._stored("labels/lesions/0", (t, *where))

    def level_for(self, size_mm: float) -> int:
        """Return the coarsest stored level whose pixels are no larger than a size; 0 where all are."""
        finest = min(self.meta.geometry.spacing_mm[1:])
        count = len(level_shapes(*self.meta.shape[3:]))
        return max((n for n in range(count) if finest * 2**n <= size_mm * 1.01), default=0)

    def level_shape(self, level: int) -> tuple[int, int, int]:
        """Voxels (z, y, x) of a stored level."""
        return (self.meta.shape[2], *level_shapes(*self.meta.shape[3:])[level])

    def coarse(self, level: int, channel: int, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        """Read slices z0 to z1 (excluded) of one channel at a stored level as (z, y, x)."""
        return np.asarray(self._stored(str(level), (t, channel, slice(z0, z1))), dtype=np.float32)

    def coarse_label(
        self, label: str, level: int, t: int, z0: int, z1: int
    ) -> NDArray[np.integer[Any]] | None:
        """Read slices z0 to z1 (excluded) of a label at a stored level, None where there is none."""
        if label not in self.labels:
            return None
        return self._stored(f"labels/{label}/{level}", (t, slice(z0, z1)))

    def _stored(self, array: str, where: tuple[int | slice, ...]) -> NDArray[Any]:
        with store_errors(self._storage.uri(self._name)):
            return StoredLevel(self._storage, self._name, array)[where]

    def masks(self, target: int, t: int, z: int) -> dict[str, NDArray[np.bool_]]:
        """Return the masks (y, x) of one slice that exist: som (where it is `target`), student, foreign, truth."""
        som, student = self.label("som", t, z), self.label("student", t, z)
        foreign = self.label("foreign", t, z)
        if foreign is not None:
            som = None  # carried along to tell a sample from air, and no mask of this run
        found = {
            "som": None if som is None else som == target,
            "student": None if student is None else student > 0,
            "foreign": None if foreign is None else foreign > 0,
            "truth": self._truth_on(t, z),
        }
        return {name: np.asarray(mask) for name, mask in found.items() if mask is not None}

    def truth_at(
        self, geometry: Geometry, index: NDArray[np.float64], t: int
    ) -> NDArray[np.bool_] | None:
        """Tell whether the truth covers voxels of a grid, index (n, 3) in z, y, x; None where there is none."""
        if self._truth is None:
            return None
        try:
            return self._truth.at(geometry, index, t)
        except (SomrayError, OSError) as error:
            self.truth_trouble = str(error)
            return None

    def _truth_on(self, t: int, z: int) -> NDArray[np.bool_] | None:
        """Bring the truth mask to one slice's grid, None where there is none."""
        if self._truth is None:
            return None
        try:
            return self._truth.on_slice(self.geometry, t, z)
        except (SomrayError, OSError) as error:
            self.truth_trouble = str(error)
            return None
