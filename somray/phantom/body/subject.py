"""One whole body over several sessions, as FDG PET/CT or as PET alone, with everything true about it."""

from collections.abc import Iterator, Mapping

import numpy as np

from somray.phantom.anatomy.scenes import draw_lattice
from somray.phantom.body.plan import NAMES, BodyPlan, draw_plan
from somray.phantom.body.render import WholeBody, render_ct, render_pet
from somray.phantom.body.sites import body_sites, draw_wishes, is_in_organ
from somray.phantom.body.tissues import draw_uptake, session_uptake
from somray.phantom.drawing.canvas import Material
from somray.phantom.drawing.grids import BODY_TOP_MM, body_grid, body_pet_grid
from somray.phantom.drawing.shapes import Point
from somray.phantom.lesion_sites import Lesion, Site, place_lesions
from somray.phantom.session import PhantomSession
from somray.phantom.sessions import NOISE, PLACE, SCENE, Drawn, Stay, shifted, stay, tell, view

__all__ = ["make_body"]

TODAY = 7
"""Purpose of the draws of a session's uptake and filling, apart from its noise."""
LEAST_MM = 3.0


def make_body(
    modality: str, shape: tuple[int, int, int], sessions: int, key: tuple[int, int], still: bool
) -> Iterator[PhantomSession]:
    """Make all sessions of one whole body.

    Args:
        modality: petct or pet.
        shape: voxels of the first channel, z, y, x.
        sessions: how many time points.
        key: seed of the cohort and number of the subject.
        still: leave every session where the first one lies.

    Returns:
        One `PhantomSession` per time point, drawn as it is asked for, with physiology and the lesions' notes.

    Cost: about 8 s and 0.6 GB per session of 240 × 128 × 128 PET/CT on one core.
    """
    rng = np.random.default_rng([*key, SCENE])
    center = np.array([rng.uniform(-15, 15), rng.uniform(-170, -120), rng.uniform(-900, -300)])
    center = np.round(center, 1)
    plan = draw_plan(rng)
    noise = draw_lattice(rng)
    suv = draw_uptake(rng, plan.has)
    placement = shifted(np.array([0.0, 0.0, BODY_TOP_MM])) @ np.diag([*plan.scale, 1.0])
    lying = stay(key, body_grid(shape, center), center, placement, sessions)
    lying = lying.unmoved() if still else lying
    body = WholeBody(plan, noise, _lesions(plan, lying))

    def render(index: int, spoil: np.random.Generator) -> Drawn:
        today = np.random.default_rng([*key, NOISE, index, TODAY])
        filling = float(today.uniform(0.8, 1.15))
        return _render(modality, lying, body, (index, filling, session_uptake(today, suv)), spoil)

    return tell(lying, body.lesions, NAMES, render)


def _lesions(plan: BodyPlan, lying: Stay) -> tuple[Lesion, ...]:
    place = np.random.default_rng([*lying.key, PLACE])
    wishes, focus = draw_wishes(place, lying.key[0] + lying.key[1])

    def is_inside(site: Site, center: Point, radius: float) -> bool:
        return is_in_organ(plan, site, center, radius)

    return tuple(
        place_lesions(place, wishes, body_sites(plan, focus), view(lying, LEAST_MM), is_inside)
    )


def _render(
    modality: str, lying: Stay, body: WholeBody, today: tuple[int, float, Mapping[str, Material]],
    spoil: np.random.Generator,
) -> Drawn:  # fmt: skip
    """Render every channel of one session."""
    index, filling, uptake = today
    poses = (lying.poses[index], lying.poses[0])
    grid = lying.grid
    if modality == "pet":
        pet, mask, labels = render_pet(grid, poses[0], body, (index, filling, uptake), spoil)
        return Drawn({"PET": pet}, {"PET": grid}, mask, labels)
    ct, mask, labels = render_ct(grid, poses, body, (index, filling), spoil)
    coarse = body_pet_grid(grid, lying.center)
    pet, _, _ = render_pet(coarse, poses[0], body, (index, filling, uptake), spoil)
    return Drawn({"CT": ct, "PET": pet}, {"CT": grid, "PET": coarse}, mask, labels)
