"""One synthetic subject over several sessions, with everything that is true about it.

Every draw comes from (seed, subject, purpose), never from the shape of the work, so that a subject's
anatomy does not depend on how many others are made, nor a session's noise on the others.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry
from somray.phantom.anatomy.scenes import (
    Pose,
    TrunkScene,
    draw_scene,
    render_ct,
    render_pet,
    render_xct,
)
from somray.phantom.body import make_body
from somray.phantom.drawing.grids import check_request, first_grid, pet_grid
from somray.phantom.drawing.shapes import Point, point
from somray.phantom.head import make_head
from somray.phantom.lesions import COURSES, Field, place_courses
from somray.phantom.motion import slice_jitter
from somray.phantom.session import PhantomSession
from somray.phantom.sessions import PLACE, SCENE, Drawn, shifted, stay, tell

__all__ = ["draw_subject", "make_subject"]

ZONES: tuple[tuple[Point, Point], ...] = (
    ((-82.0, 0.0, -30.0), (44.0, 42.0, 34.0)),  # liver, right
    ((-60.0, -40.0, -25.0), (44.0, 24.0, 24.0)),  # liver, front
    ((100.0, 30.0, -14.0), (14.0, 24.0, 26.0)),  # spleen
    ((-34.0, 82.0, 0.0), (7.0, 4.0, 70.0)),  # muscle of the back, right
    ((34.0, 82.0, 0.0), (7.0, 4.0, 70.0)),  # and left
    ((-86.0, 14.0, 74.0), (22.0, 36.0, 26.0)),  # lung, right
    ((88.0, 36.0, 70.0), (18.0, 24.0, 30.0)),  # lung, left
    ((2.0, 2.0, -45.0), (30.0, 10.0, 30.0)),  # nodes before the spine
)
BACK: tuple[Point, Point] = ((33.0, 80.0, 0.0), (4.0, 2.0, 0.0))
"""Where a lesion may run through the whole view: along the muscle of the back."""


def make_subject(
    modality: str, shape: tuple[int, int, int], sessions: int, seed: int, subject_index: int,
    still: bool = False, *, region: str = "trunk",
) -> list[PhantomSession]:  # fmt: skip
    """Make all sessions of one synthetic subject.

    Lesions are made to be found by what single pixels show, so each modality has one regime that is
    the lesions' own:

    - `ct`, without contrast agent: densely mineralised lesions of about 440 HU (texture 40) against
      at most 100 HU in organs, vessels and marrow. Noise is 11 HU. One lesion runs through the whole
      view, so that every slice shows the regime. Bone is drawn thinned by age (rim 190 HU, thinner
      than a pixel): with healthy bone (290 HU) the teacher's rule takes it for lesion too, as it does
      on real CT. A score on this phantom is therefore no promise for real CT.
    - `petct`: as dense as muscle on CT, FDG uptake of SUV 11 to 18 before the scanner's blur against
      at most 2.3 in any tissue.
    - `xct`: pores and cracks near 5000 counts, matrix and fibres near 29000 and 32000 (noise 900);
      one crack runs through.

    Args:
        modality: "ct", "petct" or "xct".
        shape: voxels of the first channel, z, y, x; at least 8, 32, 32.
        sessions: how many time points, from 1.
        seed: of the whole cohort.
        subject_index: number of the subject in the cohort, from 0; decides which changes it shows.
        still: leave every session where the first one lies, slices too: the same lesions and noise
            drawn anew, to compare maps voxel by voxel.
        region: trunk; body (petct or pet) and head (mr) are other scenes, see `body` and `head`.

    Returns:
        One `PhantomSession` per time point; the same arguments give the same bits. `draw_subject` gives them one
        after the other, so that one alone is held.

    Raises:
        ConfigError: region or modality unknown, shape too small, or no session.

    Cost: 3 s (ct), 4 s (petct) or 1 s (xct) per session of 64 × 160 × 160 on one core.
    """
    return list(draw_subject(modality, shape, sessions, (seed, subject_index), still, region))


def draw_subject(
    modality: str, shape: tuple[int, int, int], sessions: int, key: tuple[int, int],
    still: bool = False, region: str = "trunk",
) -> Iterator[PhantomSession]:  # fmt: skip
    """Draw the sessions of one synthetic subject as they are asked for; see `make_subject`.

    Args:
        modality: of the region.
        shape: voxels of the first channel, z, y, x.
        sessions: how many time points.
        key: seed of the cohort, number of the subject in it.
        still: leave every session where the first one lies.
        region: trunk, body or head.

    Raises:
        ConfigError: at once: region or modality unknown, shape too small, or no session.
    """
    check_request(modality, shape, sessions, region)
    if region == "body":
        return make_body(modality, shape, sessions, key, still)
    if region == "head":
        return make_head(shape, sessions, key, still)
    rng = np.random.default_rng([*key, SCENE])
    center = np.array([rng.uniform(-15, 15), rng.uniform(-170, -120), rng.uniform(-900, -300)])
    center = np.round(center if modality != "xct" else center * 0, 1)
    scene = draw_scene(rng)
    grid = first_grid(modality, shape, center)
    lying = stay(key, grid, center, np.eye(4), sessions, _reach_mm(modality, grid))
    field = _field(modality, grid, tuple(shifted(-center) @ pose for pose in lying.poses))
    kinds = COURSES[key[1] % len(COURSES)]
    if modality != "petct":
        kinds = ("running", *kinds)
    courses = place_courses(np.random.default_rng([*key, PLACE]), kinds, field)
    scene = replace(scene, courses=tuple(courses))
    lying = lying.unmoved() if still else lying

    def render(index: int, noise: np.random.Generator) -> Drawn:
        jitter = slice_jitter(noise, shape[0], grid.spacing_mm[2]) * (0.0 if still else 1.0)
        pose = Pose(grid, lying.poses[index], lying.poses[0], jitter)
        return _render(modality, pose, scene, index, noise)

    return tell(lying, courses, {}, render)


def _reach_mm(modality: str, grid: Geometry) -> Point:
    """Return how far a subject moves: up to a centimetre for patients, a few voxels for specimens."""
    deep, mm = grid.spacing_mm[0] * grid.shape[0], grid.spacing_mm[2]
    if modality == "xct":
        return 5 * mm, 5 * mm, min(4 * mm, 0.1 * deep)
    return 9.0, 8.0, min(8.0, 0.08 * deep)


def _field(modality: str, grid: Geometry, poses: tuple[NDArray[np.float64], ...]) -> Field:
    """Say where lesions may lie and how large they are on this grid."""
    half = np.array(grid.shape[::-1]) / 2 * np.array(grid.spacing_mm[::-1])
    view = point(half)
    deep, plane, _ = grid.spacing_mm
    if modality == "xct":
        radius = min(9 * plane, 0.066 * 2 * min(view[0], view[1]))
        zone = ((0.0, 0.0, 0.0), (1.4 * view[0], 1.4 * view[1], 1.2 * view[2]))
        return Field((zone,), zone, view, poses, (0.75 * radius, radius), 3.2 * plane, is_flat=True)
    least = 2.0 * plane
    small, large = max(11.0, least), max(16.0, 1.2 * least)
    return Field(ZONES, BACK, view, poses, (small, large), 3.2 * max(plane, 0.7 * deep))


def _render(
    modality: str, pose: Pose, scene: TrunkScene, session: int, noise: np.random.Generator
) -> Drawn:
    """Render every channel of one session."""
    grid, jitter = pose.geometry, pose.shift_mm
    if modality == "xct":
        image, mask = render_xct(pose, scene, session, noise)
        return Drawn({"XCT": image}, {"XCT": grid}, mask, jitter_mm=jitter)
    image, mask = render_ct(pose, scene, session, modality, noise)
    images, geometries = {"CT": image}, {"CT": grid}
    if modality == "petct":
        coarse = pet_grid(grid, pose.first[:3, 3])
        still = np.zeros((coarse.shape[0], 2))  # PET is not taken slice by slice
        unjittered = Pose(coarse, pose.now, pose.first, still)
        images["PET"], geometries["PET"] = render_pet(unjittered, scene, session, noise), coarse
    return Drawn(images, geometries, mask, jitter_mm=jitter)
