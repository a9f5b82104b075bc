"""Frames of one file, each with what holds for it: its own functional groups, the shared ones, the file.

A file of one slice has one frame and no groups. Older multi-frame files place their frames by a vector of
offsets; where there is none (NM, XA) the frames lie nowhere and the file is refused.
"""

from dataclasses import dataclass

import numpy as np

from somray.errors import DataError
from somray.io.readers.dicom.dataset import Tags

__all__ = ["FrameTags", "frames_of"]

OFFSET_TOLERANCE_MM = 0.05  # SliceLocation repeats the position along the normal up to rounding


@dataclass(frozen=True)
class FrameTags:
    """One frame's header.

    Args:
        file: elements of the whole file.
        index: frame, from 0.
        groups: functional groups, the frame's own first.
        offset_mm: distance from the file's position along the normal, for frames placed by a vector.
    """

    file: Tags
    index: int = 0
    groups: tuple[Tags, ...] = ()
    offset_mm: float = 0.0

    def holder(self, sequence: str, name: str) -> Tags:
        """Return the level that holds an element: a group's item, else the file (which may lack it too)."""
        for group in self.groups:
            item = group.first(sequence)
            if item is not None and item.value(name) is not None:
                return item
        return self.file

    def numbers(
        self, sequence: str, name: str, count: int | None = None
    ) -> tuple[float, ...] | None:
        """Return the numbers of an element of the level that holds it, None where none does."""
        return self.holder(sequence, name).numbers(name, count)

    def item(self, sequence: str) -> Tags | None:
        """Return the first item of a sequence of the groups, else of the file."""
        levels = (*self.groups, self.file)
        return next((found for g in levels if (found := g.first(sequence)) is not None), None)

    def position(self) -> tuple[float, float, float] | None:
        """Return LPS mm of the first voxel's centre, None where nothing says it."""
        found = self.numbers("PlanePositionSequence", "ImagePositionPatient", 3)
        if found is None:
            return None
        if self.offset_mm:
            normal = np.cross(*np.reshape(self.orientation() or (1, 0, 0, 0, 1, 0), (2, 3)))
            found = tuple(np.add(found, self.offset_mm * normal / np.linalg.norm(normal)))
        return float(found[0]), float(found[1]), float(found[2])

    def orientation(self) -> tuple[float, ...] | None:
        """Return the direction cosines of a row, then of a column."""
        return self.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)


def frames_of(tags: Tags, count: int) -> list[FrameTags]:
    """Part a file into its frames.

    Raises:
        DataError: `no_space` for frames that nothing places, `unreadable` for groups that do not fit.
    """
    own = tags.items("PerFrameFunctionalGroupsSequence")
    shared = tuple(tags.items("SharedFunctionalGroupsSequence")[:1])
    if own and len(own) != count:
        raise tags.wrong(
            "NumberOfFrames", f"is {count}, functional groups are there for {len(own)}"
        )
    if own:
        return [FrameTags(tags, i, (group, *shared)) for i, group in enumerate(own)]
    if count == 1:
        return [FrameTags(tags, 0, shared)]
    return [FrameTags(tags, i, shared, mm) for i, mm in enumerate(_offsets(tags, count))]


def _offsets(tags: Tags, count: int) -> list[float]:
    """Return how far each frame lies from the first along the normal."""
    whole = FrameTags(tags)
    position, orientation = whole.position(), whole.orientation()
    grid = tags.numbers("GridFrameOffsetVector")
    if position is not None and orientation is not None:
        if grid is not None and len(grid) == count:
            return [mm - grid[0] for mm in grid]
        places = tags.numbers("SliceLocationVector")
        if places is not None and len(places) == count:
            height = float(np.dot(position, np.cross(*np.reshape(orientation, (2, 3)))))
            # which way slice locations count is not fixed: the first frame's must tell
            for way in (1.0, -1.0):
                other = -way * places[0]
                is_told = abs(way * places[0] - height) <= OFFSET_TOLERANCE_MM
                if is_told and abs(other - height) > OFFSET_TOLERANCE_MM:
                    return [way * (mm - places[0]) for mm in places]
    raise DataError(
        "no_space",
        f"{tags.file}: {count} frames without positions (no functional groups, no "
        "GridFrameOffsetVector); export single slices",
    )
