"""DICOM series (CT, PT, MR), a folder or a single file, read slice by slice through pydicom.

Slices ascend along the normal of the image plane; rows and columns stay as they are, so the affine is
always right-handed. Rescale slope and intercept are those of each slice (PET's differ). PET becomes SUVbw
where every slice's header allows it, and else says in `repairs` why not.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.readers.dicom.frame import DicomFrame
from somray.io.readers.dicom.gather import gather, is_dicom_folder, may_be_dicom
from somray.io.readers.dicom.orders import lacking
from somray.io.readers.dicom.pixels import check_whole, stored_plane
from somray.io.readers.dicom.resample import ResampledSource
from somray.io.readers.dicom.series import Series, arrange
from somray.io.readers.source import SliceFile, Source, grid_of

__all__ = ["DicomSource", "is_dicom", "open_dicom"]

SAME_FACTOR = 1e-3  # relative: headers round times to a second


def is_dicom(path: Path) -> bool:
    """Tell DICOM by its first bytes, with preamble or without, or by its name; a folder by its files."""
    return is_dicom_folder(path) if path.is_dir() else may_be_dicom(path)


def open_dicom(path: Path, irregular: str = "refuse") -> Source:
    """Open one series by its folder or one file of it; uneven gaps and gantry tilt are refused or resampled.

    Raises:
        DataError: `unreadable`, `truncated`, `localizer`, `mixed_series`, `irregular`, `no_space`,
            `no_units`, `missing`.
    """
    frames, repairs = gather(path)
    series = arrange(str(path), frames)
    problems = [p for p in (series.uneven, series.tilted) if p]
    if problems and irregular != "resample":
        raise DataError(
            "irregular",
            f"{path}: {' and '.join(problems)}; export an even series, or set `irregular: resample`",
        )
    missing = lacking(series.frames, series.heights)
    source = DicomSource(str(path), series, repairs + missing)
    return ResampledSource(source, series) if problems else source


def _unit(place: str, frames: tuple[DicomFrame, ...]) -> tuple[str, str]:
    """Return the unit that all slices share, and the code of what kept PET from SUV or was chosen for it."""
    scalings = [f.pet for f in frames if f.pet is not None]
    if not scalings:
        units = {f.intensity.unit for f in frames}
        return (units.pop(), "") if len(units) == 1 else ("raw", "")
    reasons = [s.note for s in scalings if s.suv_factor is None]
    computed = [s.per_activity for s in scalings if s.per_activity is not None]
    if not reasons:
        if not computed or max(computed) <= (1 + SAME_FACTOR) * min(computed):
            return "SUVbw", next((s.note for s in scalings if s.note), "")
        reasons = ["suv_slices_disagree"]
    if len({s.unit for s in scalings}) > 1:
        raise DataError(
            "no_units", f"{place}: slices have different units; export the series again"
        )
    return scalings[0].unit, reasons[0]


class DicomSource(Source):
    """A sorted series; its gaps and tilt are not looked at here."""

    def __init__(self, path: str, series: Series, repairs: tuple[str, ...] = ()) -> None:
        self.series = series
        flat = tuple(frame for time in series.frames for frame in time)
        unit, note = _unit(path, flat)
        self._is_suv = unit == "SUVbw"
        size_z = len(series.frames[0])
        step = series.normal * series.gap_mm
        if size_z > 1:
            step = (series.positions[-1] - series.positions[0]) / (size_z - 1)
        matrix = np.eye(4)
        matrix[:3, :2], matrix[:3, 2], matrix[:3, 3] = series.across, step, series.positions[0]
        geometry = grid_of(path, (size_z, *flat[0].size), matrix)
        padding = None
        padded = next((f for f in flat if f.intensity.padding is not None), None)
        if padded is not None and padded.intensity.padding is not None:
            slope, intercept = self._scale(padded)
            padding = float(np.float32(padded.intensity.padding[0] * slope + intercept))
        shape = (len(series.frames), *geometry.shape)
        lossy = ("lossy_compressed",) if any(f.is_lossy for f in flat) else ()
        codes = (*repairs, *series.repairs, *lossy, *((note,) if note else ()))
        header = ScanHeader(
            shape, geometry, "dicom", flat[0].modality, unit, padding, repairs=codes
        )
        super().__init__(path, header)

    def _scale(self, frame: DicomFrame) -> tuple[float, float]:
        """Return what takes stored values to the unit."""
        factor = 1.0
        if frame.pet is not None:
            factor = (frame.pet.suv_factor if self._is_suv else None) or frame.pet.factor
        return frame.intensity.slope * factor, frame.intensity.intercept * factor

    def slice_files(self, t: int) -> tuple[SliceFile, ...]:
        """Return the stored slices of a time point, ascending along the normal."""
        series, size = self.series, self.header.shape[2:]
        matrix = np.eye(4)
        matrix[:3, :2], matrix[:3, 2] = series.across, series.normal * series.gap_mm
        found = []
        for frame in series.frames[t]:
            if frame.position is not None:
                matrix[:3, 3] = frame.position
                plane = grid_of(frame.path, (1, *size), matrix)
                found.append(SliceFile(frame.path, frame.index, plane))
        return tuple(found)

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        frame = self.series.frames[t][z]
        stored = stored_plane(frame.pixels, frame.index)
        slope, intercept = self._scale(frame)
        values = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
        if frame.intensity.padding is not None and self.header.padding is not None:
            low, high = frame.intensity.padding
            values[(stored >= low) & (stored <= high)] = self.header.padding
        return np.asarray(values)

    def verify(self) -> None:
        """Decode a frame of every transfer syntax and size of pixel, and walk all compressed files."""
        seen, walked = set(), set()
        for frame in (f for time in self.series.frames for f in time):
            place = frame.pixels
            if place.path not in walked:
                walked.add(place.path)
                check_whole(place)
            kind = (place.syntax, place.keyword, place.bits, place.is_signed)
            if kind not in seen:
                seen.add(kind)
                stored_plane(place, frame.index)
