"""Whole bodies: uptake of organs, truth within the body, lesions of every kind, bodies without any."""

from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from somray.phantom import PhantomSession, make_subject
from somray.phantom.body.plan import draw_plan
from somray.phantom.body.sites import body_sites, draw_wishes, is_in_organ
from somray.phantom.body.tissues import HU, draw_uptake, session_uptake

SHAPE = (120, 64, 64)
SMALL = (60, 36, 36)
FULL = np.ones((3, 3, 3))
SPARED, SICK = 1, 0
"""With seed 1, subject 1 has no lesion and subject 0 has many."""


@cache
def body(modality="pet", index=SICK, shape=SHAPE, sessions=1, seed=1) -> tuple[PhantomSession, ...]:
    return tuple(make_subject(modality, shape, sessions, seed, index, region="body"))


def organ(session: PhantomSession, name: str) -> np.ndarray:
    number = next(n for n, known in session.names.items() if known == name)
    return session.physiology == number


def test_petct_has_ct_with_the_truth_and_pet_on_its_own_grid():
    (session,) = body("petct", shape=SMALL)
    assert list(session.images) == ["CT", "PET"]
    ct, pet = session.geometries["CT"], session.geometries["PET"]
    assert ct.shape == SMALL == session.lesions.shape == session.physiology.shape
    assert pet.spacing_mm[1] > ct.spacing_mm[1]
    for channel, image in session.images.items():
        assert image.dtype == np.float32
        assert image.shape == session.geometries[channel].shape
        assert np.isfinite(image).all()


def test_pet_alone_carries_the_truth():
    (session,) = body()
    assert list(session.images) == ["PET"]
    assert session.lesions.shape == SHAPE == session.physiology.shape


def test_the_same_arguments_give_the_same_bits():
    for modality, sessions in (("petct", 1), ("pet", 2)):
        first = body(modality, shape=SMALL, sessions=sessions)
        again = make_subject(modality, SMALL, sessions, 1, SICK, region="body")
        for a, b in zip(first, again, strict=True):
            assert all(np.array_equal(a.images[c], b.images[c]) for c in a.images)
            assert np.array_equal(a.lesions, b.lesions)
            assert np.array_equal(a.physiology, b.physiology)
            assert a.events == b.events
            assert a.notes == b.notes


@pytest.mark.parametrize("index", [0, 1])
def test_organs_take_up_what_textbooks_say(index):
    (session,) = body(index=index)
    pet = session.images["PET"]
    healthy = session.lesions == 0
    spans = {
        "brain": (3.5, 15), "liver": (1.7, 3.3), "spleen": (1.2, 2.8), "aorta": (0.9, 2.3),
        "kidney_left": (1.5, 25), "kidney_right": (1.5, 25), "urinary_bladder": (4, 62),
    }  # fmt: skip
    for name, (low, high) in spans.items():
        inside = organ(session, name) & healthy
        assert inside.any(), name
        assert low < float(np.median(pet[inside])) < high, name
    assert 0.1 < float(np.median(pet[pet > 0.1])) < 1.0  # most of a body is muscle and fat


def test_bladders_and_hearts_differ_between_subjects():
    plans = [draw_plan(np.random.default_rng(k)) for k in range(60)]
    uptakes = [draw_uptake(np.random.default_rng(k), frozenset()) for k in range(60)]
    urine = [u["urine_bladder"] for u in uptakes]
    assert min(urine) < 14 < 45 < max(urine)
    hearts = np.array([u["myocardium"] for u in uptakes])
    assert 0.15 < np.mean(hearts < 2.1) < 0.5
    assert hearts.max() > 9
    sizes = np.array([np.prod(p.bladder) for p in plans])
    assert sizes.max() > 10 * sizes.min()
    for trait in ("male", "brown_fat", "ureters"):
        assert 0 < sum(trait in p.has for p in plans) < 60
    assert {p.arms for p in plans} == {"up", "down"}


def test_every_tissue_has_its_density_and_its_uptake():
    uptake = draw_uptake(np.random.default_rng(0), frozenset())
    assert set(uptake) == set(HU)


def test_uptake_of_what_fills_changes_more_from_day_to_day_than_the_liver():
    suv = draw_uptake(np.random.default_rng(0), frozenset())
    days = [session_uptake(np.random.default_rng(k), suv) for k in range(40)]
    spread = {n: np.std([np.log(d[n].value) for d in days]) for n in ("liver", "urine_kidney")}
    assert spread["urine_kidney"] > 4 * spread["liver"]
    assert all(10 <= d["urine_bladder"].value <= 60 for d in days)


def test_left_and_right_are_the_patients():
    (session,) = body()
    grid = session.geometries["PET"]

    def x(name):
        return grid.to_world(np.argwhere(organ(session, name)).mean(axis=0)[None])[0, 0]

    for pair in ("kidney", "parotid_gland", "submandibular_gland"):
        assert x(f"{pair}_left") > x(f"{pair}_right") + 40
    assert x("spleen") > x("liver") + 80
    assert x("heart") > x("liver")


def test_organs_lie_in_their_order_from_head_to_pelvis():
    (session,) = body()
    names = ("brain", "larynx", "heart", "liver", "small_bowel", "urinary_bladder")
    heights = [np.argwhere(organ(session, n))[:, 0].mean() for n in names]
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize("index", [0, 2, 4])
def test_lesions_lie_within_the_body_in_one_piece_each(index):
    (session,) = body("petct", index=index)
    solid = session.images["CT"] > -500
    inside = np.stack([ndimage.binary_fill_holes(plane) for plane in solid])
    ids = [i for i in np.unique(session.lesions) if i]
    assert ids
    assert set(ids) <= set(session.notes)
    assert inside[session.lesions > 0].all()
    assert ndimage.label(session.lesions > 0, FULL)[1] == len(ids)


def test_a_spared_body_has_no_lesion_but_all_its_physiology():
    (session,) = body(index=SPARED)
    assert not session.lesions.any()
    assert session.notes == {}
    assert session.images["PET"].max() > 8


def test_every_fifth_subject_is_spared_and_others_have_up_to_twelve_of_every_kind():
    drawn = [draw_wishes(np.random.default_rng(k), k)[0] for k in range(200)]
    assert [k for k, kinds in enumerate(drawn) if not kinds] == list(range(2, 200, 5))
    assert max(map(len, drawn)) == 12
    kinds = [kind for wishes in drawn for kind in wishes]
    assert set(kinds) == {"solid", "faint", "cold_core"}
    assert all(kinds.count(k) > 0.08 * len(kinds) for k in set(kinds))


def test_sites_cover_every_region_and_touch_the_bladder():
    plan = draw_plan(np.random.default_rng(3))
    focus = dict.fromkeys(("head_neck", "chest", "abdomen", "liver", "pelvis", "bone"), 1.0)
    sites = body_sites(plan, focus)
    assert {s.region for s in sites} == set(focus)
    x = plan.places["bladder"].shift[0]
    assert any(abs(abs(s.center[0] - x) - plan.bladder[0] - 6) < 1e-6 for s in sites)


def test_what_sticks_out_of_its_organ_is_refused():
    plan = draw_plan(np.random.default_rng(3))
    lung = next(s for s in body_sites(plan, dict.fromkeys(
        ("head_neck", "chest", "abdomen", "liver", "pelvis", "bone"), 1.0)) if s.within == "lung")  # fmt: skip
    assert is_in_organ(plan, lung, lung.center, 8.0)
    assert not is_in_organ(plan, lung, (0.0, 40.0, -640.0), 8.0)  # belly
    assert not is_in_organ(plan, lung, (400.0, 0.0, -400.0), 8.0)  # air


def kinds_of(kind):
    return [(s, i) for k in (0, 2, 4) for s in body("petct", index=k)
            for i, note in s.notes.items() if note[1] == kind and (s.lesions == i).sum() > 4]  # fmt: skip


def on_pet(session, mask):
    """Values of PET at the centres of a mask of CT's grid."""
    world = session.geometries["CT"].to_world(np.argwhere(mask).astype(float))
    index = session.geometries["PET"].to_index(world)
    return ndimage.map_coordinates(session.images["PET"], index.T, order=1, mode="nearest")


def test_solid_lesions_are_hotter_than_what_surrounds_them_and_faint_ones_a_little():
    ratio = {}
    for kind in ("solid", "faint"):
        found = []
        for session, lesion in kinds_of(kind):
            mask = session.lesions == lesion
            wide = ndimage.binary_dilation(mask, iterations=3)
            ring = wide & ~ndimage.binary_dilation(mask) & (session.lesions == 0)
            found.append(on_pet(session, mask).max() / np.median(on_pet(session, ring)))
        assert found, kind
        ratio[kind] = float(np.median(found))
    assert ratio["solid"] > 3.5
    assert 1.2 < ratio["faint"] < 3.5


def test_a_cold_core_is_colder_than_its_rim():
    seen = 0
    for session, lesion in kinds_of("cold_core"):
        mask = session.lesions == lesion
        if mask.sum() < 60:
            continue
        middle = ndimage.binary_erosion(mask, iterations=2)
        if middle.any():
            seen += 1
            assert on_pet(session, middle).mean() < 0.8 * on_pet(session, mask & ~middle).max()
    assert seen >= 1


def test_organs_and_lesions_move_as_the_truth_says():
    first, later = body(shape=SHAPE, sessions=2)
    grid = first.geometries["PET"]
    for name in ("brain", "liver"):
        a, b = (
            grid.to_world(np.argwhere(organ(s, name)).mean(axis=0)[None])[0] for s in (first, later)
        )
        moved = later.movement[:3, :3] @ a + later.movement[:3, 3]
        assert np.abs(moved - b).max() < 2.0
        assert np.abs(a - b).max() > 2.0


def test_the_bladder_fills_from_session_to_session_and_events_follow():
    first, later = body(shape=SHAPE, sessions=2)
    sizes = [int(organ(s, "urinary_bladder").sum()) for s in (first, later)]
    assert sizes[0] != sizes[1]
    old, new = (set(np.unique(s.lesions)) - {0} for s in (first, later))
    assert {e.lesion_id for e in later.events} == old | new
    assert {e.change for e in later.events} <= {
        "stable",
        "enlarging",
        "shrinking",
        "new",
        "resolved",
    }


def test_a_still_body_lies_the_same():
    first, later = make_subject("pet", SMALL, 2, 1, 0, still=True, region="body")
    assert np.array_equal(later.movement, np.eye(4))
    brains = [organ(s, "brain") for s in (first, later)]
    assert np.array_equal(*brains)


def test_noise_grows_where_the_body_is_thick():
    (session,) = body(index=SPARED)
    pet = session.images["PET"]
    rough = pet - ndimage.gaussian_filter(pet, 1.0)
    liver = ndimage.binary_erosion(organ(session, "liver"), iterations=2)
    assert rough[liver].std() > 0.02
    assert rough[:, :3, :3].std() < 0.3 * rough[liver].std()
