"""Which grid each modality is sampled on, for any number of voxels."""

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.errors import ConfigError
from somray.phantom.session import REGIONS

__all__ = [
    "BODY_TOP_MM",
    "DEFAULT_SHAPES",
    "MIN_SHAPE",
    "body_grid",
    "body_pet_grid",
    "check_request",
    "first_grid",
    "head_grid",
    "pet_grid",
]

MIN_SHAPE = (8, 32, 32)
TRUNK_MM = (300.0, 372.0)
"""Field of view that holds the trunk with its movement, along y and x."""
HEIGHT_MM = 240.0
XCT_MM = 0.01
BODY_MM = (1000.0, 350.0, 552.0)
"""Field of view that holds a body from the vertex to the upper thigh, along z, y, x."""
BODY_TOP_MM = 480.0
"""Height of the vertex over the middle of the view."""
HEAD_MM = (168.0, 222.0, 190.0)
DEFAULT_SHAPES = {"trunk": (32, 128, 128), "body": (240, 128, 128), "head": (32, 160, 160)}


def check_request(
    modality: str, shape: tuple[int, int, int], sessions: int, region: str = "trunk"
) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ConfigError: unknown region, a modality that it is not drawn in, shape under `MIN_SHAPE`, or no
            session.
    """
    if region not in REGIONS:
        raise ConfigError(f"region must be one of {', '.join(REGIONS)}, got {region!r}")
    known = ", ".join(REGIONS[region])
    if modality not in REGIONS[region]:
        raise ConfigError(f"modality must be one of {known}, got {modality!r} (region {region})")
    if len(shape) != 3 or any(n < least for n, least in zip(shape, MIN_SHAPE, strict=False)):
        least = ",".join(map(str, MIN_SHAPE))
        raise ConfigError(
            f"shape must be z,y,x with at least {least} voxels, got {','.join(map(str, shape))}"
        )
    if sessions < 1:
        raise ConfigError(f"sessions must be at least 1, got {sessions}")


def _centered(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], center: NDArray[np.float64]
) -> Geometry:
    """Return an axis-aligned grid around a world point; spacing along z, y, x."""
    matrix = np.diag([spacing[2], spacing[1], spacing[0], 1.0])
    half = (np.array(shape[::-1]) - 1) / 2 * np.array(spacing[::-1])
    matrix[:3, 3] = center - half
    return Geometry.from_matrix(shape, matrix)


def first_grid(modality: str, shape: tuple[int, int, int], center: NDArray[np.float64]) -> Geometry:
    """Return the grid of the first channel, around the world point `center` (x, y, z) in mm."""
    if modality == "xct":
        return _centered(shape, (XCT_MM, XCT_MM, XCT_MM), center)
    plane = round(max(TRUNK_MM[0] / shape[1], TRUNK_MM[1] / shape[2]), 4)
    deep = round(min(max(HEIGHT_MM / shape[0], 2.5), 5.0), 4)
    return _centered(shape, (deep, plane, plane), center)


def pet_grid(first: Geometry, center: NDArray[np.float64]) -> Geometry:
    """Return PET's own coarser grid over the same field of view, slices at CT's positions."""
    deep, plane, _ = first.spacing_mm
    coarse = round(max(4.0, 1.8 * plane), 4)
    ny, nx = (int(np.ceil(n * plane / coarse)) + 1 for n in first.shape[1:])
    return _centered((first.shape[0], ny, nx), (deep, coarse, coarse), center)


def body_grid(shape: tuple[int, int, int], center: NDArray[np.float64]) -> Geometry:
    """Return the grid of a whole body's first channel around the world point `center`."""
    plane = round(max(BODY_MM[1] / shape[1], BODY_MM[2] / shape[2]), 4)
    return _centered(shape, (round(BODY_MM[0] / shape[0], 4), plane, plane), center)


def body_pet_grid(first: Geometry, center: NDArray[np.float64]) -> Geometry:
    """Return PET's own grid over a whole body: 4 mm in the plane, or as coarse as CT's."""
    deep, plane, _ = first.spacing_mm
    coarse = round(max(4.0, 1.05 * plane), 4)
    ny, nx = (int(np.ceil(n * plane / coarse)) + 1 for n in first.shape[1:])
    return _centered((first.shape[0], ny, nx), (deep, coarse, coarse), center)


def head_grid(shape: tuple[int, int, int], center: NDArray[np.float64]) -> Geometry:
    """Return the grid of a head around the world point `center`; slices at least 1 mm apart."""
    plane = round(max(HEAD_MM[1] / shape[1], HEAD_MM[2] / shape[2]), 4)
    return _centered(shape, (round(max(HEAD_MM[0] / shape[0], 1.0), 4), plane, plane), center)
