"""Where a subject's scans lie when they are shown together, and what programs that know no somray are told of them.

All lie in one world in mm, whose axes are the first session's own, named and turned after the patient's axes that
they are nearest to: slices stay slices, and a scan that runs from the feet up or from right to left is not mirrored.
Sessions are brought onto the first by what registration found.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.commands.view.subject import ShownLabel, ShownScan, ShownSubject
from somray.domain.geometry import Geometry
from somray.io.writers.nifti import is_sheared

__all__ = ["scene_of", "to_world", "world_axes"]

Place = Callable[[ShownScan, str], str]


def world_axes(geometry: Geometry) -> NDArray[np.float64]:
    """Return the world's axes (3, 3), each a column in LPS; the patient's own where a grid is not perpendicular."""
    if is_sheared(geometry):
        return np.eye(3)
    directions = geometry.matrix[:3, :3] / np.linalg.norm(geometry.matrix[:3, :3], axis=0)
    axes, left = np.zeros((3, 3)), directions.copy()
    for _ in range(3):
        row, column = divmod(int(np.abs(left).argmax()), 3)
        axes[:, row] = directions[:, column] * np.sign(directions[row, column])
        left[row], left[:, column] = 0.0, 0.0
    return axes


def to_world(scan: ShownScan, axes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (4, 4): a scan's voxel index (z, y, x, 1) to the world (z, y, x, 1) in mm."""
    turned = np.eye(4)
    turned[:3, :3] = axes.T
    placed = (
        scan.meta.geometry.matrix
        if scan.to_first is None
        else scan.to_first @ scan.meta.geometry.matrix
    )
    swap = [2, 1, 0, 3]
    return np.asarray((turned @ placed)[swap][:, swap])


def scene_of(subject: ShownSubject, image: Place, label: Place) -> dict[str, Any]:  # Any: JSON
    """Describe a subject for a program of another Python.

    `image` and `label` give the file of a scan's channel and mask, by name.

    Returns:
        `subject` and `sessions`, each with `matrix` (voxel index z, y, x, 1 to the world in mm), `to_first` (LPS mm
        to LPS mm), `times`, `levels`, `channels` (name, path, low, high, color) and `labels` (name, path, visible,
        classes: value, name, rgba).
    """
    axes = world_axes(subject.scans[0].meta.geometry)
    return {
        "subject": subject.subject,
        "sessions": [
            {
                "session": scan.session,
                "matrix": to_world(scan, axes).tolist(),
                "to_first": None if scan.to_first is None else scan.to_first.tolist(),
                "times": scan.meta.shape[0],
                "levels": scan.levels,
                "channels": [
                    {
                        "name": one.name, "unit": one.unit, "path": image(scan, one.name),
                        "low": one.low, "high": one.high, "color": one.color,
                    }
                    for one in scan.channels
                ],
                "labels": [_told(one, label(scan, one.name)) for one in scan.labels],
            }
            for scan in subject.scans
        ],
    }  # fmt: skip


def _told(label: ShownLabel, path: str) -> dict[str, Any]:  # Any: JSON
    return {
        "name": label.name,
        "path": path,
        "visible": label.is_first,
        "classes": [
            {"value": one.value, "name": one.name, "rgba": list(one.color)}
            for one in label.segments
        ],
    }
