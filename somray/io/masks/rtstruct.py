"""RT Structure Sets as label masks: regions (ROI) are labels from 1 on, in the order of their numbers.

Contours are drawn when slices are asked for, on the grid of the image that they were drawn on, whatever way it is
turned. A contour belongs to the slice nearest to it. Where contours lie closer than slices, the plane nearest to a
slice counts; where a region is drawn on every second, third … slice, those between take the shape between. Where
regions overlap the first holds the voxel, as in all masks; the outline of the body (type EXTERNAL) would hold them
all and is left out. Source: DICOM PS3.3 C.8.8.5, C.8.8.6.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.domain.scan import ScanHeader
from somray.errors import DataError
from somray.io.masks.contours import between, filled
from somray.io.masks.dicom_objects import mask_object, unquoted
from somray.io.masks.name_tables import MaskRegion, chosen, clean_name
from somray.io.readers import split_channel
from somray.io.readers.dicom.dataset import is_dicom_file
from somray.io.readers.dicom.headers import list_files
from somray.io.readers.remote import fetched, shown_url
from somray.io.readers.source import Source, coded, grid_of
from somray.io.storage import is_url

__all__ = ["Region", "check_frame", "open_rtstruct", "regions_of"]

_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
_FARTHEST_MM = 1e5  # that a point may lie from the origin
_FLAT = 0.5  # slices that the points of a contour may lie off its middle
_MOST_NAMED = 8  # regions in a note
_SNAP = 3  # decimals of a slice: contours of one plane stay together

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Region(MaskRegion):
    """One ROI.

    Args:
        label: its place in the order of ROI numbers, from 1.
        name: as written; untrusted.
        kind: its interpreted type (GTV, ORGAN …), "" where none is given.
        frame: UID of the frame of reference.
        contours: closed ones, (n, 3) LPS mm.
        others: how many points, open lines and contours without an area were left out.
    """

    kind: str = ""
    frame: str = field(default="", repr=False)
    contours: tuple[Points, ...] = ()
    others: int = 0


def regions_of(path: Path) -> list[Region]:
    """Read the regions of a file that hold contours or nothing at all, in the order of their numbers.

    Raises:
        DataError: `unreadable`.
    """
    with coded(path), unquoted(path):
        data = pydicom.dcmread(path, force=True)
        kinds = {
            int(one.ReferencedROINumber): str(one.get("RTROIInterpretedType") or "").upper()
            for one in data.get("RTROIObservationsSequence") or ()
        }
        drawn: dict[int, list[Any]] = defaultdict(list)  # Any: pydicom
        for one in data.get("ROIContourSequence") or ():
            drawn[int(one.ReferencedROINumber)] += one.get("ContourSequence") or ()
        rois = sorted(data.get("StructureSetROISequence") or (), key=lambda r: int(r.ROINumber))
        found = []
        for label, roi in enumerate(rois, start=1):
            ones = drawn[int(roi.ROINumber)]
            closed = [_points(one) for one in ones if one.get("ContourGeometricType") in _CLOSED]
            rings = tuple(points for points in closed if len(points) > 2)
            name, kind = str(roi.get("ROIName") or ""), kinds.get(int(roi.ROINumber), "")
            frame = str(roi.get("ReferencedFrameOfReferenceUID") or "")
            found.append(Region(label, name, kind, frame, rings, len(ones) - len(rings)))
        return found


def _points(contour: Any) -> Points:  # Any: pydicom
    """Read a contour's points, past pydicom, which makes an object of each number."""
    raw = contour.get_item("ContourData").value if "ContourData" in contour else b""
    words = raw.strip(b" \0").split(b"\\") if isinstance(raw, bytes) else raw
    points = np.array([float(word) for word in words if word], dtype=np.float64).reshape(-1, 3)
    if not (np.abs(points) < _FARTHEST_MM).all():
        raise ValueError("a point lies nowhere")
    return points


def check_frame(mask: str, scan: str | None) -> None:
    """Refuse a structure set of another frame of reference than a scan's first channel, where both name one.

    Raises:
        DataError: `mask_mismatch`; `unreadable`.
    """
    place = split_channel(mask)[0]
    is_other = PurePosixPath(shown_url(place)).suffix.lower() not in ("", ".dcm", ".ima")
    if scan is None or is_url(scan) or (is_url(place) and is_other):  # nobody fetches it for this
        return
    with fetched(place) as local:
        found = None if local is None else mask_object(local)
        if found is None or found[1] != "RTSTRUCT" or not (own := _frame_of_scan(Path(scan))):
            return
        frames = {region.frame for region in regions_of(found[0]) if region.contours} - {""}
    if frames - {own}:
        raise DataError(
            "mask_mismatch",
            f"{mask}: was drawn in another frame of reference than the scan's (FrameOfReferenceUID); name the "
            "structure set of this scan, or export it with the image it was drawn on",
        )


def _frame_of_scan(path: Path) -> str:
    """Return the frame of reference of a scan's first image, "" where none is named or the scan is not here."""
    tags = ["FrameOfReferenceUID", "Rows"]
    with contextlib.suppress(DataError), coded(path), unquoted(path):
        for file in list_files(path) if path.exists() else ():
            if is_dicom_file(file):
                head = pydicom.dcmread(
                    file, specific_tags=tags, stop_before_pixels=True, force=True
                )
                if "Rows" in head:
                    return str(head.get("FrameOfReferenceUID") or "")
    return ""


def open_rtstruct(path: Path, image: Geometry | None = None, name: str | None = None) -> Source:
    """Open a structure set.

    Args:
        path: the file.
        image: grid that contours are drawn on; where left out, one of 1 mm that just holds them.
        name: name or label of the only region that is read; all where None.

    Raises:
        DataError: `unreadable`: nothing is drawn, or askew to the slices; `mask_mismatch`: all lies outside the image.
    """
    return _ContourSource(path, chosen(str(path), regions_of(path), name), image)


@dataclass(frozen=True, eq=False)
class _DrawnPlane:
    """A region on one slice: its rings, or those of the planes below and above, and how far between them it lies."""

    rings: list[Points]
    above: list[Points] | None = None
    share: float = 0.0

    def drawn(self, grid: Geometry) -> NDArray[np.bool_]:
        """Draw it on a slice (y, x)."""
        below = filled(self.rings, grid.shape[1:])
        if self.above is None:
            return below
        return between(below, filled(self.above, grid.shape[1:]), self.share, grid.spacing_mm[1:])


class _ContourSource(Source):
    """An open structure set; slices are drawn one by one."""

    def __init__(self, path: Path, regions: Sequence[Region], image: Geometry | None) -> None:
        drawn = [one for one in regions if one.contours]
        shown = [one for one in drawn if one.kind != "EXTERNAL"] or drawn
        if not shown:
            raise DataError("unreadable", f"{path}: draws no region; closed contours are read")
        grid = image or _own_grid(path, shown)
        super().__init__(str(path), ScanHeader((1, *grid.shape), grid, "dicom"))
        self._slices: dict[int, list[tuple[int, _DrawnPlane]]] = {}
        self._names = {one.label: clean_name(one.name) for one in shown}
        self._lost = set[int]()
        outside, steps = 0, dict[int, int]()
        for region in reversed(shown):  # the first is drawn last, so that it holds
            placed, beyond = _placed(path, region, grid)
            outside += beyond
            steps[region.label] = step = _step(sorted(placed))
            for z, plane in _planes(placed, step):
                self._slices.setdefault(z, []).append((region.label, plane))
        if not self._slices:
            raise DataError(
                "mask_mismatch",
                f"{path}: all its contours lie outside the scan; name its own structure set",
            )
        self._told = tuple(_left_out(regions, len(drawn) - len(shown), outside))
        self._told += tuple(self._sparse(steps))

    def _plane(self, t: int, z: int) -> NDArray[np.float32]:
        drawn = np.zeros(self.header.shape[2:], dtype=np.float32)
        for label, plane in self._slices.get(z, ()):
            here = plane.drawn(self.header.geometry)
            self._lost |= {int(held) for held in np.unique(drawn[here])} - {0, label}
            drawn[here] = label
        return drawn

    def _sparse(self, steps: Mapping[int, int]) -> Iterator[str]:
        """Say which slices hold no contour, and what becomes of them."""
        for step in sorted(set(steps.values()) - {1}):
            some = self._some([label for label in sorted(steps) if steps[label] == step])
            yield f"draws {some} on one slice in {step}; those between take the shape between"
        gaps = np.diff(sorted(self._slices))
        if len(gaps) and gaps.min() > 1:
            yield f"draws on one slice in {gaps.min()} at most; those between stay empty"

    def _some(self, labels: Sequence[int]) -> str:
        more = len(labels) - _MOST_NAMED
        named = ", ".join(f"{label} {self._names[label]}" for label in labels[:_MOST_NAMED])
        return named + (f" and {more} more" if more > 0 else "")

    @property
    def notes(self) -> tuple[str, ...]:  # type: ignore[override]
        """What is left out or filled in, and which regions lost voxels of what has been read so far."""
        if not self._lost:
            return self._told
        some = self._some(sorted(self._lost))
        return (
            *self._told,
            f"has regions that overlap, where the first holds the voxel: {some} lose some",
        )

    def verify(self) -> None:
        """Draw all slices, and so note the regions of which others hold a part."""
        for z in self._slices:
            self._read(0, z, z + 1)


def _left_out(regions: Sequence[Region], bodies: int, outside: int) -> Iterator[str]:
    """Say what is left out."""
    if others := sum(region.others for region in regions):
        yield f"leaves out {others} points and open contours"
    if bodies:
        yield f"leaves out {bodies} outlines of the body (EXTERNAL)"
    if outside:
        yield f"leaves out {outside} contours that lie outside the scan"


def _step(slices: Sequence[int]) -> int:
    """Return how many slices lie from one contour to the next where they are drawn evenly so, 1 where they are not.

    Two planes alone tell no habit, and larger gaps part what was meant to be apart.
    """
    gaps = np.diff(slices)
    if len(gaps) < 2:
        return 1
    least = int(gaps.min())
    return least if (gaps == least).sum() > 1 and not (gaps % least).any() else 1


def _planes(placed: Mapping[int, list[Points]], step: int) -> Iterator[tuple[int, _DrawnPlane]]:
    """Yield a region's slices, those between its contours among them."""
    for z, rings in placed.items():
        yield z, _DrawnPlane(rings)
        for number in range(1, step if z + step in placed else 1):
            yield z + number, _DrawnPlane(rings, placed[z + step], number / step)


def _placed(path: Path, region: Region, grid: Geometry) -> tuple[dict[int, list[Points]], int]:
    """Give each contour of a region to its slice, as (n, 2) pixels y, x; and count those outside the image."""
    planes: dict[float, list[Points]] = {}
    outside = 0
    for points in region.contours:
        index = grid.to_index(points)
        middle = float(index[:, 0].mean().round(_SNAP))
        if np.abs(index[:, 0] - middle).max() > _FLAT:
            raise DataError(
                "unreadable",
                f"{path}: holds contours that are not drawn on the scan's slices; export a mask instead (NIfTI, NRRD, "
                "DICOM SEG)",
            )
        low, high = index[:, 1:].min(axis=0), index[:, 1:].max(axis=0)
        inside = (high > -0.5).all() and (low < np.array(grid.shape[1:]) - 0.5).all()
        if not inside or not -0.5 <= middle < grid.shape[0] - 0.5:
            outside += 1
        else:
            planes.setdefault(middle, []).append(index[:, 1:])
    nearest: dict[int, float] = {}
    for middle in sorted(planes):
        z = int(np.floor(middle + 0.5))
        if z not in nearest or abs(middle - z) < abs(nearest[z] - z):
            nearest[z] = middle
    return {z: planes[middle] for z, middle in nearest.items()}, outside


def _own_grid(path: Path, regions: Sequence[Region]) -> Geometry:
    """Return a grid of 1 mm, its slices where contours lie, that holds all of them."""
    points = np.concatenate([ring for region in regions for ring in region.contours])
    low, high = points.min(axis=0), points.max(axis=0)
    heights = np.unique(points[:, 2].round(_SNAP))
    step = float(np.diff(heights).min(initial=np.inf)) if len(heights) > 1 else 1.0
    matrix = np.diag([1.0, 1.0, step, 1.0])
    matrix[:3, 3] = low
    x, y, z = np.ceil((high - low) / np.diag(matrix)[:3]).astype(int) + 1
    return grid_of(str(path), (z, y, x), matrix)
