"""Heads in T1 MR after contrast: bright rims, dark fluid, symmetry, one-sided masses."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from somray.phantom import PhantomSession, make_subject

SHAPE = (24, 80, 80)
FULL = np.ones((3, 3, 3))


@cache
def head(index=0, sessions=1) -> tuple[PhantomSession, ...]:
    return tuple(make_subject("mr", SHAPE, sessions, 1, index, region="head"))


def inside(session: PhantomSession, name: str) -> np.ndarray:
    number = next(n for n, known in session.names.items() if known == name)
    return session.images["MR"][(session.physiology == number) & (session.lesions == 0)]


def test_one_channel_of_positive_values():
    (session,) = head()
    assert list(session.images) == ["MR"]
    image = session.images["MR"]
    assert image.shape == SHAPE == session.physiology.shape
    assert image.dtype == np.float32
    assert image.min() >= 0


def test_the_same_arguments_give_the_same_bits():
    again = make_subject("mr", SHAPE, 2, 1, 0, region="head")
    for a, b in zip(head(0, 2), again, strict=True):
        assert np.array_equal(a.images["MR"], b.images["MR"])
        assert np.array_equal(a.lesions, b.lesions)
        assert np.array_equal(a.physiology, b.physiology)
        assert a.events == b.events


@pytest.mark.parametrize("index", [0, 1, 2])
def test_fat_is_brightest_and_fluid_dark(index):
    (session,) = head(index)
    middle = {n: float(np.median(inside(session, n))) for n in (
        "brain", "scalp", "ventricles", "venous_sinus", "nasal_mucosa", "eye_left", "orbital_fat_left"
    )}  # fmt: skip
    assert middle["scalp"] > 2 * middle["brain"]
    assert middle["orbital_fat_left"] > 1.5 * middle["brain"]
    assert middle["ventricles"] < 0.75 * middle["brain"]
    assert middle["eye_left"] < middle["brain"]
    assert middle["venous_sinus"] > 1.5 * middle["brain"]
    assert middle["nasal_mucosa"] > middle["brain"]


def test_paired_structures_lie_on_both_sides_and_are_alike():
    (session,) = head()
    grid = session.geometries["MR"]
    for name in ("orbital_fat", "eye", "choroid_plexus", "lacrimal_gland", "parotid_gland"):
        at, size = {}, {}
        for side in ("left", "right"):
            number = next(n for n, known in session.names.items() if known == f"{name}_{side}")
            index = np.argwhere(session.physiology == number)
            at[side] = grid.to_world(index.mean(axis=0)[None])[0, 0]
            size[side] = len(index)
        assert at["left"] > at["right"] + 15
        assert 0.5 < size["left"] / size["right"] < 2


def test_masses_are_few_one_sided_and_within_the_brain():
    counts = []
    for k in range(8):
        (session,) = head(k)
        ids = [i for i in np.unique(session.lesions) if i]
        counts.append(len(ids))
        assert ndimage.label(session.lesions > 0, FULL)[1] == len(ids)
        brain = next(n for n, known in session.names.items() if known == "brain")
        for lesion in ids:
            assert session.notes[lesion][0] == "brain"
            share = np.mean(session.physiology[session.lesions == lesion] == brain)
            assert share > 0.6  # the rest: ventricles, plexus, vessels of the brain
    assert max(counts) <= 4
    assert len(set(counts)) >= 3


def test_masses_enhance_and_a_ring_is_dark_within():
    rings = 0
    for k in range(8):
        (session,) = head(k)
        image, brain = session.images["MR"], float(np.median(inside(session, "brain")))
        for lesion, (_, kind) in session.notes.items():
            mask = session.lesions == lesion
            assert np.percentile(image[mask], 90) > 1.15 * brain
            core = ndimage.binary_erosion(mask, np.ones((1, 3, 3)), iterations=2)
            if kind == "cold_core" and core.any():
                rings += 1
                assert np.median(image[core]) < np.percentile(image[mask & ~core], 80)
    assert rings >= 1


def test_air_is_noise_of_a_magnitude():
    (session,) = head()
    corner = session.images["MR"][:, :6, :6]
    assert float(corner.mean() / corner.std()) == pytest.approx(
        np.sqrt(np.pi / (4 - np.pi)), rel=0.1
    )


def test_masses_change_and_move_with_the_head():
    first, later = head(0, 2)
    assert not np.array_equal(later.movement, np.eye(4))
    old, new = (set(np.unique(s.lesions)) - {0} for s in (first, later))
    assert {e.lesion_id for e in later.events} == old | new


def test_the_smallest_shape_is_drawn():
    (session,) = make_subject("mr", (8, 32, 32), 1, 0, 0, region="head")
    assert session.images["MR"].shape == (8, 32, 32)
