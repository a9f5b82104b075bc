"""One subject's lesions found, followed and measured on volumes that are held whole: the oracle of `evolve`."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from somray.domain.geometry import Geometry
from somray.domain.tables import EvolutionRow, LinkRow, values_for
from somray.kernels.evolution.follow import follow
from somray.kernels.evolution.surroundings import Shells, correlation, doubted, values_in_block
from somray.kernels.evolution.time_points import identity_lookup
from somray.kernels.lesions.extent import largest_distance
from somray.kernels.lesions.placing import placed_mm
from somray.stages.evolution import evolve
from tests.kernels.naive_figures import nearest
from tests.kernels.naive_lesions import measure
from tests.kernels.whole_lesions import session_lesions


@dataclass
class WholeSession:
    """Image, objects or mask (z, y, x) as numbers, grid and the way to the first session."""

    image: np.ndarray
    drawn: np.ndarray
    geometry: Geometry
    to_first: np.ndarray | None


def whole(sessions, config, *, apart):
    """Return label volumes, measures and distances per session, and the rows of evolution and links."""
    found = []
    for n, one in enumerate(sessions):
        labels = one.drawn if apart else ndimage.label(one.drawn > 0, np.ones((3, 3, 3)))[0]
        found.append(session_lesions(f"t{n}", one.geometry, labels))
    thresholds = evolve.thresholds_of(config, [one.geometry for one in sessions])
    evolution = follow(found, [one.to_first for one in sessions], thresholds)
    changes = doubted(evolution.changes, around(evolution, sessions))
    labels = [
        identity_lookup(one, ids)[one.voxels.labels]
        for one, ids in zip(found, evolution.identities, strict=True)
    ]
    measured = [
        measure(drawn, one.image, one.geometry) for drawn, one in zip(labels, sessions, strict=True)
    ]
    return (
        labels,
        measured,
        [EvolutionRow(subject="s", **values_for(EvolutionRow, c)) for c in changes],
        [LinkRow(subject="s", **values_for(LinkRow, k)) for k in evolution.links],
    )


def around(evolution, sessions):
    """Correlate the shells of every registered pair, lesion by lesion, on the whole images."""
    found = {}
    for row in evolution.changes:
        if not row.registered:
            continue
        early, late = (int(name[1:]) for name in (row.from_session, row.to_session))
        here, there = (early, late) if row.volume_from_mm3 is not None else (late, early)
        position = evolution.ids_of(here).index(row.lesion_id)
        shells = Shells(evolution.placed[here], evolution.placed[there])
        (points,) = shells.points([position])
        values = (
            values_in_block(sessions[n].image, p)
            for n, p in zip((here, there), points, strict=True)
        )
        found[row.lesion_id, row.to_session] = correlation(*values)
    return found


def distances(labels, geometry):
    """All pairs of voxels: each lesion's longest axis and nearest other one, the furthest two of all."""
    numbers = np.unique(labels[labels > 0])
    points = {n: placed_mm(geometry, np.argwhere(labels == n)) for n in numbers}
    longest = [largest_distance(points[n]) for n in numbers]
    near = nearest([labels == n for n in numbers], geometry.spacing_mm)
    every = np.concatenate(list(points.values())) if points else np.zeros((0, 3))
    return longest, near, largest_distance(every) if points else None
