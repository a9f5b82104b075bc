"""Slices and files of DICOM, as far as they are known from headers: no name, id or date stands in them."""

from dataclasses import dataclass, field
from pathlib import Path

from somray.errors import DataError
from somray.io.readers.dicom.intensity import Intensity
from somray.io.readers.dicom.pixels import PixelPlace
from somray.io.readers.dicom.suv import PetScaling

__all__ = ["DicomFile", "DicomFrame"]


@dataclass(frozen=True)
class DicomFrame:
    """One slice.

    Args:
        path: file.
        index: frame within the file, from 0.
        series: hash of series, patient and frame of reference: slices of one volume share it.
        modality: as DICOM spells it.
        is_localizer: a scout.
        size: rows, columns.
        position: LPS mm of the first voxel's centre, None where the header lacks it.
        orientation: direction cosines of a row, then of a column.
        pixel_mm: distance of rows, of columns; None where the header lacks it.
        thickness_mm: slice thickness or spacing, for a volume of one slice.
        intensity: how its stored values become physical.
        pet: how a rescaled PET value becomes Bq/ml or SUV.
        pixels: where its file keeps the pixels.
        instance: hash of its identity: copies share it.
        orders: numbers that tell time points apart, by name.
        traits: what slices of one volume share beside the grid: echo, kernel, kind of image …
        is_lossy: its pixels were compressed with loss, now or before.
    """

    path: str
    index: int
    series: str
    modality: str
    is_localizer: bool
    size: tuple[int, int]
    position: tuple[float, float, float] | None
    orientation: tuple[float, ...] | None
    pixel_mm: tuple[float, float] | None
    thickness_mm: float | None
    intensity: Intensity
    pet: PetScaling | None
    pixels: PixelPlace
    instance: str = ""
    orders: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    traits: tuple[tuple[str, str], ...] = ()
    is_lossy: bool = False


@dataclass(frozen=True)
class DicomFile:
    """What one file holds.

    Args:
        path: file.
        series: hash of the series, whoever it is of.
        frames: its slices; none for objects, and where `problem` is set.
        what: kind of object, "" for images.
        is_capture: a picture of a screen or a page, placed nowhere.
        part: number, and count, of parts of a volume that lies in several files.
        problem: why its slices cannot be used.
    """

    path: Path
    series: str
    frames: tuple[DicomFrame, ...] = ()
    what: str = ""
    is_capture: bool = False
    part: tuple[int, int] = (1, 1)
    problem: DataError | None = None

    @property
    def is_scout(self) -> bool:
        """Whether all it holds is scouts."""
        return bool(self.frames) and all(f.is_localizer for f in self.frames)
