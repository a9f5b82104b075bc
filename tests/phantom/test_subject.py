"""The synthetic cohort's promises: shapes, truth, identities, movement, determinism."""

import hashlib
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ConfigError
from somray.phantom import CHANNELS, PhantomSession, make_subject

SHAPE = (20, 48, 48)
SMALL = (8, 32, 32)
FULL = np.ones((3, 3, 3))
KINDS = {"new", "resolved", "enlarging", "shrinking", "stable", "merged", "split"}


@cache
def made(modality, index, shape) -> tuple[PhantomSession, ...]:
    return tuple(make_subject(modality, shape, 3, 7, index))


def subject(modality, index=0, shape=SHAPE) -> tuple[PhantomSession, ...]:
    return made(modality, index, shape)


@pytest.mark.parametrize("modality", CHANNELS)
def test_images_have_their_channels_grids_and_type(modality):
    for session in subject(modality):
        assert tuple(session.images) == CHANNELS[modality] == tuple(session.geometries)
        for channel, image in session.images.items():
            assert image.dtype == np.float32
            assert image.shape == session.geometries[channel].shape
            assert np.isfinite(image).all()
        assert session.images[CHANNELS[modality][0]].shape == SHAPE == session.lesions.shape


def test_values_lie_in_their_units():
    ct = subject("petct")[0].images["CT"]
    pet = subject("petct")[0].images["PET"]
    xct = subject("xct")[0].images["XCT"]
    assert -1024 <= ct.min() < -900
    assert ct.max() <= 3071
    assert 0 <= pet.min() < 0.2
    assert 5 < pet.max() < 40
    assert xct.min() >= 0
    assert xct.max() <= 65535
    assert 20000 < np.median(xct) < 40000


def test_air_is_minus_a_thousand_and_soft_tissue_near_fifty():
    image = subject("ct")[0].images["CT"]
    assert abs(float(image[:, :3, :3].mean()) + 1000) < 5
    soft = image[(image > 20) & (image < 100)]
    assert 40 < float(np.median(soft)) < 70


def test_pet_has_its_own_coarser_grid_over_the_same_view():
    session = subject("petct")[0]
    fine, coarse = session.geometries["CT"], session.geometries["PET"]
    assert coarse.spacing_mm[1] > 1.5 * fine.spacing_mm[1]
    corners = np.array([[0.0, 0.0, 0.0], [n - 1.0 for n in fine.shape]])
    index = coarse.to_index(fine.to_world(corners))
    assert (index > -0.51).all()
    assert (index < np.array(coarse.shape) - 0.49).all()


@pytest.mark.parametrize("modality", CHANNELS)
def test_the_same_arguments_give_the_same_bits(modality):
    first = subject(modality, 1, SMALL)
    again = make_subject(modality, SMALL, 3, 7, 1)
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(a.images[c], b.images[c]) for c in a.images)
        assert np.array_equal(a.lesions, b.lesions)
        assert np.array_equal(a.movement, b.movement)
        assert a.events == b.events


@pytest.mark.parametrize(
    ("modality", "digest", "mean"),
    [
        ("ct", "3f501ae1717909eb", -627.65733),
        ("petct", "ed32d02a91ba9ed5", 0.38725512),
        ("xct", "b9c1ec03ea86270e", 30140.768),
    ],
)
def test_the_trunk_is_drawn_as_it_was_before_there_were_other_regions(modality, digest, mean):
    sessions = subject(modality, 1, SMALL)
    found = hashlib.sha256(b"".join(s.lesions.tobytes() for s in sessions)).hexdigest()
    assert found[:16] == digest
    image = sessions[-1].images[CHANNELS[modality][-1]]
    assert float(image.mean(dtype=np.float64)) == pytest.approx(mean, rel=1e-5)


def test_another_seed_or_subject_gives_another_scan():
    base = make_subject("ct", SMALL, 1, 3, 0)[0].images["CT"]
    for seed, index in ((4, 0), (3, 3)):
        assert not np.array_equal(base, make_subject("ct", SMALL, 1, seed, index)[0].images["CT"])


def test_noise_differs_between_sessions():
    a, b = (s.images["CT"][:, :4, :4] for s in subject("ct")[:2])
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.3


@pytest.mark.parametrize("modality", CHANNELS)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_each_identity_is_one_piece_and_no_two_touch(modality, index):
    for session in subject(modality, index):
        ids = [i for i in np.unique(session.lesions) if i]
        assert len(ids) >= 2
        assert ndimage.label(session.lesions > 0, FULL)[1] == len(ids)
        for lesion in ids:
            assert ndimage.label(session.lesions == lesion, FULL)[1] == 1


@pytest.mark.parametrize("modality", CHANNELS)
def test_three_subjects_and_sessions_show_every_kind_of_change(modality):
    seen = {e.change for k in range(3) for s in subject(modality, k) for e in s.events}
    assert seen == KINDS


@pytest.mark.parametrize("modality", CHANNELS)
@pytest.mark.parametrize("index", [0, 1, 2])
def test_events_follow_from_the_masks(modality, index):
    sessions = subject(modality, index)
    assert sessions[0].events == ()
    for before, after in pairwise(sessions):
        old, new = set(np.unique(before.lesions)) - {0}, set(np.unique(after.lesions)) - {0}
        told = {e.lesion_id: e for e in after.events}
        parts = {i for e in after.events if e.change == "split" for i in e.linked_ids}
        assert set(told) == (old | new) - parts
        for lesion, event in told.items():
            assert (event.from_session, event.to_session) == (before.index, after.index)
            assert (event.volume_from_mm3 is not None) == (lesion in old)
            assert (event.volume_to_mm3 is not None) == (lesion in new)
            if event.change in ("new", "resolved"):
                assert (lesion in old) == (event.change == "resolved")
            elif event.volume_from_mm3 and event.volume_to_mm3 and not event.linked_ids:
                grown = event.volume_to_mm3 / event.volume_from_mm3 - 1
                expected = "enlarging" if grown > 0.3 else "shrinking" if grown < -0.3 else "stable"
                assert event.change == expected


@pytest.mark.parametrize("modality", CHANNELS)
def test_the_largest_contributor_lives_on_and_the_largest_part_keeps_its_id(modality):
    for index in range(3):
        for before, after in pairwise(subject(modality, index)):
            for event in after.events:
                if event.change == "merged" and event.volume_to_mm3 is None:
                    survivor = event.linked_ids[0]
                    assert (before.lesions == survivor).sum() > (
                        before.lesions == event.lesion_id
                    ).sum()
                if event.change == "split":
                    part = (after.lesions == event.linked_ids[0]).sum()
                    assert (after.lesions == event.lesion_id).sum() > part > 0


@pytest.mark.parametrize("modality", CHANNELS)
def test_lesions_of_later_sessions_lie_where_the_movement_takes_them(modality):
    channel = CHANNELS[modality][0]
    compared = 0
    for index in range(3):
        sessions = subject(modality, index)
        grid = sessions[0].geometries[channel]
        for before, after in pairwise(sessions):
            move = after.movement @ np.linalg.inv(before.movement)
            for event in after.events:
                if event.change != "stable":
                    continue
                there, here = (
                    grid.to_world(np.argwhere(s.lesions == event.lesion_id).mean(axis=0)[None])[0]
                    for s in (before, after)
                )
                off = np.abs(move[:3, :3] @ there + move[:3, 3] - here)
                runs_through = (before.lesions[[0, -1]] == event.lesion_id).any()
                assert (off[: 2 if runs_through else 3] < 0.75 * max(grid.spacing_mm)).all()
                compared += 1
    assert compared >= 3


@pytest.mark.parametrize("modality", CHANNELS)
def test_movement_is_rigid_and_neither_none_nor_wild(modality):
    sessions = subject(modality)
    spacing = sessions[0].geometries[CHANNELS[modality][0]].spacing_mm
    assert np.array_equal(sessions[0].movement, np.eye(4))
    middle = np.array(SHAPE)[None] / 2
    center = sessions[0].geometries[CHANNELS[modality][0]].to_world(middle)[0]
    for session in sessions[1:]:
        turn = session.movement[:3, :3]
        assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(turn) == pytest.approx(1)
        degrees = np.rad2deg(np.arccos((np.trace(turn) - 1) / 2))
        assert 1 < degrees < 6
        shift = np.abs(turn @ center + session.movement[:3, 3] - center)
        assert (shift > 0.1 * min(spacing)).all()
        assert np.linalg.norm(shift) < 8 * max(spacing)
        assert np.abs(session.jitter_mm).max() <= 0.4 * spacing[2] + 1e-12


def test_moving_the_later_session_back_makes_the_bodies_agree():
    first, second = subject("ct")[:2]
    grid = first.geometries["CT"]
    index = np.indices(SHAPE).reshape(3, -1).T.astype(float)
    world = grid.to_world(index) @ second.movement[:3, :3].T + second.movement[:3, 3]
    there = ndimage.map_coordinates(
        second.images["CT"], grid.to_index(world).T, order=1, mode="constant", cval=np.nan
    ).reshape(SHAPE)
    seen = np.isfinite(there)
    before = np.abs(first.images["CT"] - second.images["CT"])[seen].mean()
    after = np.abs(first.images["CT"] - there)[seen].mean()
    assert after < 0.62 * before


def test_lesions_stand_out_in_the_channel_that_should_show_them():
    ct, petct, xct = (subject(m)[0] for m in ("ct", "petct", "xct"))
    inside = ndimage.binary_erosion(ct.lesions > 0)
    body = (ct.images["CT"] > -200) & ~ndimage.binary_dilation(ct.lesions > 0, iterations=2)
    assert ct.images["CT"][inside].mean() > 300
    assert np.mean(ct.images["CT"][body] > 300) < 0.01
    inside = ndimage.binary_erosion(petct.lesions > 0)
    assert 20 < petct.images["CT"][inside].mean() < 80
    assert np.percentile(petct.images["PET"], 99.9) > 5 > np.percentile(petct.images["PET"], 97)
    inside = ndimage.binary_erosion(xct.lesions > 0)
    outside = ~ndimage.binary_dilation(xct.lesions > 0, iterations=2)
    assert xct.images["XCT"][inside].max() < xct.images["XCT"][outside].min() + 6000


@pytest.mark.parametrize("modality", CHANNELS)
def test_the_smallest_shape_is_drawn_with_truth_that_holds(modality):
    for session in subject(modality, 1, SMALL):
        ids = [i for i in np.unique(session.lesions) if i]
        assert ndimage.label(session.lesions > 0, FULL)[1] == len(ids)


def test_one_session_has_no_events():
    sessions = make_subject("xct", SMALL, 1, 0, 0)
    assert len(sessions) == 1
    assert sessions[0].events == ()


@pytest.mark.parametrize(
    ("modality", "shape", "sessions", "words"),
    [
        ("mr", SMALL, 1, "ct, petct, xct, got 'mr'"),
        ("ct", (7, 32, 32), 1, "at least 8,32,32 voxels, got 7,32,32"),
        ("ct", (8, 32), 1, "z,y,x"),
        ("ct", SMALL, 0, "sessions must be at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_refused_in_clear_words(modality, shape, sessions, words):
    with pytest.raises(ConfigError, match=words):
        make_subject(modality, shape, sessions, 0, 0)


@pytest.mark.parametrize("modality", CHANNELS)
def test_a_still_subject_lies_the_same_in_every_session_under_new_noise(modality):
    made = make_subject(modality, SMALL, 2, 7, 0, still=True)
    moving = subject(modality, 0, SMALL)
    assert np.array_equal(made[1].movement, np.eye(4))
    assert not made[1].jitter_mm.any()
    assert not np.array_equal(moving[1].movement, np.eye(4))
    first, second = (s.images[CHANNELS[modality][0]] for s in made)
    apart = np.abs(first - second)[:, :4, :4]
    assert 0 < float(apart.mean()) < 0.1 * float(np.ptp(first))
