"""Chains along z: composed, checked, mended, cut."""

import itertools

import numpy as np
import pytest

from somray.kernels.registration.chain.compose import compose, counts
from somray.kernels.registration.chain.repair import Step, cycle_errors, repaired
from somray.kernels.registration.plane.motions import apart_mm, mean_motion, moved_mm, rigid_part
from tests.kernels.registration.known_motion import similarity

SHAPE, SPACING = (120, 160), (0.8, 0.5)
CLEAR = {"ncc_before": 0.5, "ncc_after": 0.98}  # a motion that explains nearly all
FAINT = {"ncc_before": 0.95, "ncc_after": 0.955}  # one that explains hardly anything


def motion(rng, kind="rigid", size=6.0):
    turn, shift = rng.uniform(-size, size), rng.uniform(-size, size, 2)
    matrix = similarity(SHAPE, turn, 1.0 if kind == "rigid" else rng.uniform(0.9, 1.1), shift)
    if kind in ("affine", "homography"):
        matrix[:2, :2] += rng.uniform(-0.03, 0.03, (2, 2))
    if kind == "homography":
        matrix[2, :2] = rng.uniform(-1e-4, 1e-4, 2)
    return matrix


def lying(slices, kind="rigid", seed=0, size=6.0):
    """Slices that lie somewhere: matrices that take each of them to where it belongs."""
    rng = np.random.default_rng(seed)
    return [motion(rng, kind, size) for _ in range(slices)]


def steps_of(places, figures=CLEAR):
    return [Step(np.linalg.inv(a) @ b, "ok", **figures) for a, b in itertools.pairwise(places)]


def bridges_of(places):
    return {z: np.linalg.inv(places[z]) @ places[z + 2] for z in range(len(places) - 2)}


def refused(reason="too little"):
    return Step(None, "refused", reason)


def px(one, other):
    return apart_mm(one, other, SHAPE, (1.0, 1.0))


@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine", "homography"])
@pytest.mark.parametrize("seed", range(3))
def test_a_stack_moved_by_known_motions_is_recovered(kind, seed):
    places = lying(9, kind, seed)
    chain = compose(steps_of(places), bridges_of(places), SHAPE, SPACING, rigid=kind == "rigid")
    to_reference = np.linalg.inv(places[chain.reference])
    for place, link in zip(places, chain.slices, strict=True):
        assert link.status == "ok"
        assert px(link.matrix, to_reference @ place) < 1e-6
        assert np.linalg.det(link.matrix) > 0
        assert link.matrix[2, 2] == 1
    errors = [link.cycle_error_mm for link in chain.slices]
    assert errors[0] is errors[-1] is None
    assert max(errors[1:-1]) < 1e-6


def test_a_motion_and_its_inverse_lead_back():
    there = motion(np.random.default_rng(3))
    steps = [Step(there, "ok", **CLEAR), Step(np.linalg.inv(there), "ok", **CLEAR)]
    chain = compose(steps, {}, SHAPE, SPACING)
    to_first = np.linalg.inv(chain.slices[0].matrix)
    assert px(to_first @ chain.slices[2].matrix, np.eye(3)) < 1e-9


def test_steps_within_their_own_uncertainty_do_not_add_up():
    rng = np.random.default_rng(1)
    steps = [
        Step(similarity(SHAPE, 0, 1.0, rng.normal((0.3, 0), 0.2)), "ok", **FAINT) for _ in range(60)
    ]
    chain = compose(steps, {}, SHAPE, SPACING)
    assert {link.drift_mm for link in chain.slices} == {0.0}
    assert chain.reference == 30
    assert chain.slices[-1].walk_mm == pytest.approx(30 * 0.3 * SPACING[1], rel=0.3)


def test_two_misplaced_slices_are_put_back_and_nothing_else_moves():
    places = [np.eye(3) for _ in range(20)]
    for z in (12, 13):
        places[z] = similarity(SHAPE, 0, 1.0, (6.0, -2.0))
    steps = steps_of(places, FAINT)
    for z in (11, 13):
        steps[z] = Step(steps[z].matrix, "ok", **CLEAR)
    links = compose(steps, bridges_of(places), SHAPE, SPACING).slices
    for z, link in enumerate(links):
        assert px(link.matrix, places[z]) < 1e-9
    assert links[12].drift_mm == pytest.approx(np.hypot(6 * 0.5, 2 * 0.8))


def test_what_looks_like_growth_is_anatomy_unless_a_model_was_named():
    grown = Step(similarity(SHAPE, 0, 1.1, (4.0, 0)), "ok", **CLEAR)
    rigid, own = (
        compose([grown], {}, SHAPE, SPACING, rigid=rigid).slices[1].matrix
        for rigid in (True, False)
    )
    assert np.linalg.det(rigid[:2, :2]) == pytest.approx(1)
    middle = (*(np.array(SHAPE[::-1]) - 1) / 2, 1)
    assert np.allclose(rigid @ middle, grown.matrix @ middle)
    assert px(own, grown.matrix) < 1e-9


@pytest.mark.parametrize("bad", [0, 1, 4, 7])
def test_one_corrupted_pair_is_found_and_repaired(bad):
    places = lying(9, seed=5)
    steps = steps_of(places)
    wrong = similarity(SHAPE, 9, 1.0, (15.0, 4.0)) @ steps[bad].matrix
    steps[bad] = Step(wrong, "ok", None, 0.5, 0.7)
    chain = compose(steps, bridges_of(places), SHAPE, SPACING)
    for place, link in zip(places, chain.slices, strict=True):
        assert px(link.matrix, np.linalg.inv(places[chain.reference]) @ place) < 1e-6
    assert [link.status for link in chain.slices].count("repaired") == 1
    assert "disagrees" in next(s.reason for s in chain.slices if s.status == "repaired")
    assert max(link.cycle_error_mm or 0 for link in chain.slices) > 3


def test_a_wrong_direct_motion_accuses_nobody():
    places = lying(9, seed=6)
    bridges = bridges_of(places)
    bridges[3] = similarity(SHAPE, 0, 1.0, (20.0, 0)) @ bridges[3]
    mended = repaired(steps_of(places), bridges, SHAPE)
    assert {step.status for step in mended} == {"ok"}


def test_a_refused_pair_is_taken_from_the_triangles_that_leave_it_out():
    places = lying(7, seed=7)
    steps = steps_of(places)
    steps[3] = refused()
    mended = repaired(steps, bridges_of(places), SHAPE)[3]
    assert mended.status == "repaired"
    assert px(mended.matrix, np.linalg.inv(places[3]) @ places[4]) < 1e-9


def test_without_triangles_its_neighbours_stand_in_only_where_they_agree():
    steady = [Step(similarity(SHAPE, 1, 1.0, (2.0, 1.0)), "ok", **CLEAR) for _ in range(5)]
    steady[2] = refused()
    assert px(repaired(steady, {}, SHAPE)[2].matrix, steady[1].matrix) < 1e-9
    steady[3] = Step(similarity(SHAPE, 0, 1.0, (-9.0, 1.0)), "ok", **CLEAR)
    assert repaired(steady, {}, SHAPE)[2].matrix is None


def test_two_neighbouring_refused_pairs_cut_the_chain():
    steps = steps_of([np.eye(3)] * 12)
    steps[7] = steps[8] = refused("hopeless")
    chain = compose(steps, {}, SHAPE, SPACING)
    assert chain.reference == 5
    assert [link.status for link in chain.slices] == ["ok"] * 8 + ["refused"] * 4
    assert "hopeless" in chain.slices[8].reason
    assert all(link.matrix is None and link.drift_mm is None for link in chain.slices[8:])


def test_a_blank_slice_is_refused_alone_where_its_neighbours_know_each_other():
    places = lying(12, seed=9)
    steps, bridges = steps_of(places), bridges_of(places)
    steps[7] = steps[8] = refused("blank")
    bridges |= {6: None, 8: None}
    chain = compose(steps, bridges, SHAPE, SPACING)
    assert [z for z, link in enumerate(chain.slices) if link.status == "refused"] == [8]
    assert [z for z, link in enumerate(chain.slices) if link.status == "repaired"] in ([7], [9])
    for z in (0, 7, 9, 11):
        true = np.linalg.inv(places[chain.reference]) @ places[z]
        assert px(chain.slices[z].matrix, true) < 1e-6


def test_the_reference_is_no_misplaced_slice_of_the_longest_run():
    places = [np.eye(3)] * 20
    steps = steps_of(places)
    steps[9] = steps[10] = steps[16] = steps[17] = refused()
    assert compose(steps, {}, SHAPE, SPACING).reference == 9
    places = [similarity(SHAPE, 0, 1.0, (5.0, 0)) if z in (9, 10) else np.eye(3) for z in range(20)]
    assert compose(steps_of(places), {}, SHAPE, SPACING).reference == 8
    assert compose([refused()], {}, SHAPE, SPACING).reference == 0


def test_a_loose_stack_counts_all_its_steps():
    places = lying(12, seed=4)
    steps = steps_of(places)
    steps[2] = Step(similarity(SHAPE, 0, 1.0, (0.4, 0.0)), "ok", **FAINT)
    assert not counts(steps[2], SHAPE)
    links = compose(steps, {}, SHAPE, SPACING).slices
    between = np.linalg.inv(links[2].matrix) @ links[3].matrix
    assert px(between, steps[2].matrix) < 1e-9


def test_what_anatomy_adds_up_is_taken_out_of_a_loose_stack_unless_a_model_was_named():
    rng = np.random.default_rng(0)
    jumps = [similarity(SHAPE, rng.normal(0, 2), 1.0, rng.normal(0, 4, 2)) for _ in range(80)]
    flow = [similarity(SHAPE, 0, 1.0, (0.4 * z, 0)) for z in range(80)]
    steps = steps_of([slow @ jump for slow, jump in zip(flow, jumps, strict=True)])
    steady = compose(steps, {}, SHAPE, SPACING)
    whole = compose(steps, {}, SHAPE, SPACING, rigid=False)
    errors = {}
    for name, chain in (("steady", steady), ("whole", whole)):
        true = [np.linalg.inv(jumps[chain.reference]) @ jump for jump in jumps]
        errors[name] = [px(k.matrix, t) for k, t in zip(chain.slices, true, strict=True)]
    assert np.median(errors["steady"]) < 2.5
    assert np.median(errors["whole"]) > 6
    assert np.allclose([k.walk_mm for k in whole.slices], [k.drift_mm for k in whole.slices])


def askew(z):
    """How a limb lies: it shifts and turns along z, slowly changing its way."""
    return similarity(SHAPE, 0.4 * z, 1.0, (1.9 * z + 0.012 * z**2, -0.7 * z))


@pytest.mark.parametrize("slices", [7, 60])
@pytest.mark.parametrize("flow", [askew, lambda z: similarity(SHAPE, 0, 1.0, (3.0 * z, 0))])
def test_a_steady_shear_is_how_the_body_lies_and_moves_nothing(flow, slices):
    steps = steps_of([flow(z) for z in range(slices)])
    assert all(counts(step, SHAPE) for step in steps)
    chain = compose(steps, {}, SHAPE, SPACING)
    assert max(link.drift_mm for link in chain.slices) == 0.0
    assert chain.slices[-1].walk_mm > 2.0


@pytest.mark.parametrize("flow", [lambda _z: np.eye(3), askew], ids=["upright", "askew"])
@pytest.mark.parametrize("misplaced", [(12, 13), (31,), tuple(range(20, 40))])
def test_a_jump_is_put_back_with_and_without_a_steady_shear(flow, misplaced):
    jump = similarity(SHAPE, 0, 1.0, (6.0, -2.0))
    away = [jump if z in misplaced else np.eye(3) for z in range(40)]
    steps = steps_of([slow @ place for slow, place in zip(map(flow, range(40)), away, strict=True)])
    faint = [a is b for a, b in itertools.pairwise(away)] if flow is not askew else []
    steps = [
        Step(s.matrix, "ok", **FAINT) if n < len(faint) and faint[n] else s
        for n, s in enumerate(steps)
    ]
    chain = compose(steps, {}, SHAPE, SPACING)
    to_reference = np.linalg.inv(away[chain.reference])
    for place, link in zip(away, chain.slices, strict=True):
        assert px(link.matrix, to_reference @ place) < 0.1


def test_a_slice_that_stays_where_all_others_move_on_is_put_back_too():
    places = [
        similarity(SHAPE, 0, 1.0, (2.0 * z - (2.0 if z == 20 else 0.0), 0)) for z in range(40)
    ]
    links = compose(steps_of(places), {}, SHAPE, SPACING).slices
    assert [z for z, link in enumerate(links) if link.drift_mm > 1e-9] == [20]
    assert links[20].drift_mm == pytest.approx(2.0 * SPACING[1])


def test_cycle_errors_are_the_distance_between_both_ways():
    places = lying(4, seed=1)
    bridges = {0: similarity(SHAPE, 0, 1.0, (3.0, 4.0)) @ bridges_of(places)[0], 1: None}
    steps = steps_of(places)
    assert cycle_errors(steps, bridges, SHAPE) == pytest.approx({0: 5.0})
    assert cycle_errors(steps, bridges, SHAPE, SPACING) == pytest.approx({0: np.hypot(1.5, 3.2)})


def test_motions_keep_their_laws():
    rng = np.random.default_rng(0)
    one = motion(rng, "homography")
    assert moved_mm(np.eye(3) * 7, SHAPE, SPACING) < 1e-9
    assert px(one * 3, one) < 1e-9
    assert px(mean_motion([one, 2 * one]), one) < 1e-9
    turned = motion(rng)
    assert px(rigid_part(turned, SHAPE), turned) < 1e-9
    assert moved_mm(similarity(SHAPE, 0, 1.0, (2.0, 0)), SHAPE, SPACING) == pytest.approx(1.0)


def test_a_turn_in_mm_is_rigid_where_pixels_are_not_square():
    in_mm = np.diag([SPACING[1], SPACING[0], 1.0])
    turned = np.linalg.inv(in_mm) @ similarity(SHAPE, 30) @ in_mm
    assert px(rigid_part(turned, SHAPE, SPACING), turned) < 1e-9
