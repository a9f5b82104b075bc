"""DICOM series (CT, PT, MR), a folder or a single file, read slice by slice through pydicom.

Slices ascend along the normal of the image plane; rows and columns stay as they are, so the affine is
always right-handed. Rescale slope and intercept are those of each slice (PET's differ). PET becomes SUVbw
where every slice's header allows it.
"""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.dicom.headers import DicomFrame, list_files, read_frames
from somray.io.readers.dicom.resample import ResampledSource
from somray.io.readers.dicom.series import Series, arrange
from somray.io.readers.source import SliceFile, Source, grid_of

__all__ = ["DicomSource", "is_dicom", "open_dicom"]

MAGIC_AT = 128


def is_dicom(path: Path) -> bool:
    """Tell DICOM by its magic number; a folder by its first files."""
    if path.is_dir():
        return any(_has_magic(file) for file in list_files(path)[:20])
    return _has_magic(path) or path.suffix.lower() in (".dcm", ".ima")


def _has_magic(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(MAGIC_AT)
        return opened.read(4) == b"DICM"


def open_dicom(path: Path, irregular: str = "refuse") -> Source:
    """Open one series.

    Args:
        path: folder of one series, or one file.
        irregular: refuse or resample uneven gaps and gantry tilt.

    Raises:
        DataError: `unreadable`, `truncated`, `localizer`, `mixed_series`, `irregular`, `no_space`,
            `no_units`.
    """
    frames = [frame for file in list_files(path) for frame in read_frames(file)]
    if not frames:
        raise DataError("unreadable", f"{path}: holds no DICOM images; name the folder that does")
    series = arrange(str(path), frames)
    problems = [p for p in (series.uneven, series.tilted) if p]
    if problems and irregular != "resample":
        raise DataError(
            "irregular",
            f"{path}: {' and '.join(problems)}; export an even series, or set `irregular: resample`",
        )
    source = DicomSource(str(path), series)
    return ResampledSource(source, series) if problems else source


def _unit(place: str, frames: tuple[DicomFrame, ...]) -> tuple[str, bool]:
    """Return the unit that all slices share, and whether PET becomes SUV."""
    scalings = [f.pet for f in frames if f.pet is not None]
    if not scalings:
        units = {f.unit for f in frames}
        return (units.pop(), False) if len(units) == 1 else ("raw", False)
    if all(s.suv_factor is not None for s in scalings):
        return "SUVbw", True
    if len({s.unit for s in scalings}) > 1:
        raise DataError(
            "no_units", f"{place}: slices have different units; export the series again"
        )
    return scalings[0].unit, False


class DicomSource(Source):
    """A sorted series.

    Args:
        path: for messages.
        series: from `arrange`; gaps and tilt are not looked at here.
    """

    def __init__(self, path: str, series: Series) -> None:
        self.series = series
        flat = tuple(frame for time in series.frames for frame in time)
        unit, self._is_suv = _unit(path, flat)
        size_z = len(series.frames[0])
        step = series.normal * series.gap_mm
        if size_z > 1:
            step = (series.positions[-1] - series.positions[0]) / (size_z - 1)
        matrix = np.eye(4)
        matrix[:3, :2], matrix[:3, 2], matrix[:3, 3] = series.across, step, series.positions[0]
        geometry = grid_of(path, (size_z, *flat[0].size), matrix)
        slope, intercept = self._scale(flat[0])
        padding = None
        if flat[0].padding is not None:
            padding = float(np.float32(flat[0].padding[0] * slope + intercept))
        shape = (len(series.frames), *geometry.shape)
        header = ScanHeader(
            shape, geometry, "dicom", flat[0].modality, unit, padding, repairs=series.repairs
        )
        super().__init__(path, header)

    def _scale(self, frame: DicomFrame) -> tuple[float, float]:
        """Return what takes stored values to the unit."""
        factor = 1.0
        if frame.pet is not None:
            factor = (frame.pet.suv_factor if self._is_suv else None) or frame.pet.factor
        return frame.slope * factor, frame.intercept * factor

    def slice_files(self, t: int) -> tuple[SliceFile, ...]:
        """Return the stored slices of a time point, ascending along the normal."""
        series, size = self.series, self.header.shape[2:]
        matrix = np.eye(4)
        matrix[:3, :2], matrix[:3, 2] = series.across, series.normal * series.gap_mm
        found = []
        for frame in series.frames[t]:
            if frame.position is not None:
                matrix[:3, 3] = frame.position
                found.append(
                    SliceFile(frame.path, frame.index, grid_of(frame.path, (1, *size), matrix))
                )
        return tuple(found)

    def _read(self, t: int, z0: int, z1: int) -> NDArray[np.float32]:
        return np.stack([self._slice(frame) for frame in self.series.frames[t][z0:z1]])

    def _slice(self, frame: DicomFrame) -> NDArray[np.float32]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stored = pixel_array(frame.path, index=frame.index, raw=True)
        except (RuntimeError, NotImplementedError) as error:
            raise DataError(
                "unreadable",
                f"{frame.path}: its compression cannot be decoded here ({error}); decompress it",
            ) from error
        except (OSError, ValueError, AttributeError, EOFError, KeyError) as error:
            raise DataError(
                "truncated", f"{frame.path}: pixels are missing or damaged ({error}); copy it again"
            ) from error
        slope, intercept = self._scale(frame)
        values = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
        if frame.padding is not None and self.header.padding is not None:
            low, high = frame.padding
            values[(stored >= low) & (stored <= high)] = self.header.padding
        return np.asarray(values)
