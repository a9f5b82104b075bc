"""The plane that a body is its own mirror image about, and which objects have a twin beyond it.

The plane is looked for as it shows in the intensities themselves, so a head that lies turned has one too.
A body that is no mirror image of itself (one breast, one limb, a crop) has none, and nothing has a twin there.
Axes as in `grid`: the plane's normal lies near x.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MirrorPlane", "find_mirror", "twins"]

Spacing = tuple[float, float, float]
Volume = NDArray[np.float64]

COARSE_MM = 7.5
"""The plane is looked for on samples this far apart."""

TURNS, TILTS, SHIFTS_MM = (
    (-16.0, -8.0, 0.0, 8.0, 16.0),
    (-8.0, 0.0, 8.0),
    (-16.0, -8.0, 0.0, 8.0, 16.0),
)
"""Degrees about z and about y, and mm from the body's middle, that the search begins with."""

FINEST = 1.0  # degrees and mm

LEAST_ALIKE = 0.6
"""Correlation of a body with its mirror image from which it counts as symmetric (drawn heads: .75 to .87)."""

CLIP = 1.5
"""Octaves beyond which intensities are alike: bone and air, fat and vessels."""

UNLIKE = 3.0
"""A mass beside a ventricle is no twin of the other side's plexus: it stands out three times as much."""

REACH_MM = 6.0
"""How far a twin may lie from the mirrored place: bodies are not that symmetric."""


@dataclass(frozen=True)
class MirrorPlane:
    """Points p (z, y, x in mm from the first voxel) with normal · p = offset_mm.

    Args:
        normal: (z, y, x) of length 1, x positive.
        offset_mm: distance of the plane from the first voxel.
        alike: correlation of the body with its mirror image.
    """

    normal: tuple[float, float, float]
    offset_mm: float
    alike: float

    def distance_mm(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the signed distance of points (n, 3), positive towards growing x."""
        return np.asarray(points_mm @ np.array(self.normal) - self.offset_mm)

    def mirrored(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mirror images of points (n, 3)."""
        away = self.distance_mm(points_mm)
        return np.asarray(points_mm - 2 * away[:, None] * np.array(self.normal))


def find_mirror(field: Volume, body: NDArray[np.bool_], spacing_mm: Spacing) -> MirrorPlane | None:
    """Look for the plane about which a body is most its own mirror image.

    Args:
        field: (z, y, x) log2 of intensity over normal.
        body: (z, y, x) bool.
        spacing_mm: voxel size along (z, y, x).

    Returns:
        The plane; None where no plane makes the body alike to its mirror image.

    Cost: some 200 samplings of the body at `COARSE_MM`.
    """
    steps = [max(1, round(COARSE_MM / s)) for s in spacing_mm]
    smooth = ndimage.uniform_filter(_seen(field, body), steps)
    coarse = smooth[tuple(slice(step // 2, None, step) for step in steps)]
    inside = body[tuple(slice(step // 2, None, step) for step in steps)]
    size = np.array(spacing_mm) * steps
    points = np.argwhere(inside) * size
    if len(points) < 100:
        return None
    middle = points.mean(axis=0)
    values = coarse[inside]

    def alike(pose: tuple[float, float, float]) -> float:
        plane = _plane(pose, middle)
        index = (plane.mirrored(points) / size).T
        there = ndimage.map_coordinates(coarse, index, order=1, mode="constant", cval=-CLIP)
        if values.std() < 1e-6 or there.std() < 1e-6:
            return 0.0
        return float(np.corrcoef(values, there)[0, 1])

    pose = max(product(TURNS, TILTS, SHIFTS_MM), key=alike)
    step = 4.0
    while step >= FINEST:
        better = max(_around(pose, step), key=alike)
        if alike(better) > alike(pose):
            pose = better
        else:
            step /= 2
    found = alike(pose)
    if found < LEAST_ALIKE:
        return None
    corner = np.array([(steps[axis] // 2) * spacing_mm[axis] for axis in range(3)])
    plane = _plane(pose, middle + corner)
    return MirrorPlane(plane.normal, plane.offset_mm, found)


def twins(
    labels: NDArray[np.int32],
    salience: NDArray[np.float64],
    spacing_mm: Spacing,
    plane: MirrorPlane,
) -> NDArray[np.float64]:
    """Say how well the mirror image of another object, or of itself, matches each object.

    Args:
        labels: (z, y, x) int32, 0 outside, objects from 1.
        salience: (n,) how much each stands out; what stands out `UNLIKE` times as much as another is not its twin.
        spacing_mm: voxel size along (z, y, x).
        plane: of the body.

    Returns:
        (n,) the best of: smaller of the share of its mirror image that lies within `REACH_MM` of the other
        object, and of the share of the other that lies within it of the image; 0 without a match.
    """
    count = len(salience)
    size = np.array(spacing_mm)
    points = [np.argwhere(labels == n) * size for n in range(1, count + 1)]
    images = [plane.mirrored(own) for own in points]
    boxes = [_box(own) for own in points]
    result = np.zeros(count)
    for n in range(count):
        low, high = _box(images[n])
        for other in range(count):
            if not len(points[n]) or not len(points[other]):
                continue
            if max(salience[n], salience[other]) > UNLIKE * min(salience[n], salience[other]):
                continue
            other_low, other_high = boxes[other]
            if (other_low > high + REACH_MM).any() or (other_high < low - REACH_MM).any():
                continue
            match = min(_near(images[n], points[other]), _near(points[other], images[n]))
            result[n] = max(result[n], match)
    return result


def _seen(field: Volume, body: NDArray[np.bool_]) -> Volume:
    return np.where(body & np.isfinite(field), np.clip(field, -CLIP, CLIP), -CLIP)


def _plane(pose: tuple[float, float, float], middle: NDArray[np.float64]) -> MirrorPlane:
    """Turn degrees about z and y and a shift along x into a plane."""
    turn, tilt = np.deg2rad(pose[0]), np.deg2rad(pose[1])
    normal = np.array([np.sin(tilt), np.sin(turn) * np.cos(tilt), np.cos(turn) * np.cos(tilt)])
    at = middle + np.array([0.0, 0.0, pose[2]])
    return MirrorPlane(
        (float(normal[0]), float(normal[1]), float(normal[2])), float(normal @ at), 0.0
    )


def _around(pose: tuple[float, float, float], step: float) -> Iterator[tuple[float, float, float]]:
    turn, tilt, shift = pose
    for move in (-step, step):
        yield turn + move, tilt, shift
        yield turn, tilt + move, shift
        yield turn, tilt, shift + move


def _box(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(points):
        return np.full(3, np.inf), np.full(3, -np.inf)
    return points.min(axis=0), points.max(axis=0)


def _near(these: NDArray[np.float64], those: NDArray[np.float64]) -> float:
    """Return the share of these points that lie within reach of one of those."""
    from scipy.spatial import cKDTree  # scipy.spatial takes a while to load

    distance, _ = cKDTree(those).query(these, distance_upper_bound=REACH_MM)
    return float(np.isfinite(distance).mean())
