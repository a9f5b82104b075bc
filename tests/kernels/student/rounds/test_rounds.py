"""The rounds: roles, stages, baselines, verdicts, and what the student must never look at."""

from dataclasses import replace

import numpy as np
import pytest

import somray.kernels.student.rounds.run as module
from somray.domain.tables import AgreementRow, ConvergenceRow, TrainingRow
from somray.errors import ShapeError
from somray.kernels.student.predict import predict_student, views_of
from somray.kernels.student.rounds.collapse import LEAST_TAUGHT
from somray.kernels.student.rounds.lesson import Lesson
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.steps import all_steps
from tests.kernels.student.round_cases import (
    SPEC,
    VOLUMES,
    cohort,
    lessons,
    planes,
    same,
    slices,
    volume,
)
from tests.student_fixtures import lessons_of


@pytest.fixture(scope="module")
def result():
    ticks = iter(range(10_000))
    spec = replace(SPEC, steps=30)
    return train_rounds([*lessons(4), *cohort()], spec, clock=lambda: float(next(ticks)))


@pytest.fixture
def believed(monkeypatch):
    """However little was learned, no round collapses."""
    monkeypatch.setattr(module, "why_collapsed", lambda *_: None)
    monkeypatch.setattr(module, "why_cohort_collapsed", lambda *_: None)


def test_rows_fit_the_tables(result):
    for found in result.agreement:
        facts = {key: value for key, value in found.items() if key != "slice"}
        AgreementRow("s", "t", t=0, z=found["slice"], **facts)
    for found in result.convergence:
        ConvergenceRow(**found)
    for found in result.training:
        TrainingRow(**found)
    assert {row["round"] for row in result.training} == {1, 2, 3, 4}
    assert all(row["seconds"] > 0 for row in result.training)


def test_stages_are_a_then_a_b_then_a_b_c_then_the_cohort(result):
    assert [row["stage"] for row in result.convergence] == ["A", "A+B", "A+B+C", "cohort"]
    assert [row["round"] for row in result.convergence] == [1, 2, 3, 4]
    assert not any(row["collapse"] for row in result.convergence)
    assert ["taught_dice" in row for row in result.convergence] == [False, False, False, True]
    assert LEAST_TAUGHT < result.convergence[-1]["taught_dice"] <= 1
    history = result.model.history
    assert (history["rounds_asked"], history["rounds_done"], history["kept_round"]) == (3, 4, 4)


def test_roles_tell_what_a_slice_was_in_its_round(result):
    roles = {
        number: [row["role"] for row in result.agreement if row["round"] == number]
        for number in (1, 2, 3, 4)
    }
    assert roles[1] == ["train", "held_out", "held_out", "held_out"]
    assert roles[2] == ["train", "pseudo", "held_out", "held_out"]
    assert roles[3] == ["train", "pseudo", "pseudo", "held_out"]
    assert roles[4] == ["held_out"] * 4  # the cohort's round learns from none of them


def test_the_student_agrees_with_its_teachers(result):
    last = [row["dice"] for row in result.agreement if row["round"] in (3, 4)]
    assert min(last) > 0.9


def test_mean_iou_is_over_the_slices_of_the_last_round(result):
    for found in result.convergence:
        ious = [r["iou"] for r in result.agreement if r["round"] == found["round"]][:3]
        assert found["mean_iou"] == pytest.approx(np.mean(ious))


def test_the_change_and_the_verdict_follow_from_the_means(result):
    before = None
    for found in result.convergence:
        mean = found["mean_iou"]
        assert found["delta_iou"] == (None if before is None else mean - before)
        near = before is not None and abs(mean - before) < SPEC.tolerance
        assert found["converged"] == near
        before = mean
    assert result.model.history["converged"] == result.convergence[2]["converged"]


def test_copy_forward_is_the_teachers_mask_of_a_on_every_slice(result):
    _, masks, _ = slices(4)
    ious = [(masks[0] & m).sum() / (masks[0] | m).sum() for m in masks[:3]]
    assert result.convergence[0]["copy_forward_iou"] == pytest.approx(np.mean(ious))


def test_the_control_stands_from_round_two_on_and_not_beside_the_cohort(result):
    first, *controls, last = [row["control_iou"] for row in result.convergence]
    assert first is last is None
    assert all(0 < value <= 1 for value in controls)


def test_the_rows_tell_how_much_and_how_surely_the_student_says_target(result):
    masks = slices(4)[1]
    for row in result.agreement:
        assert row["target_fraction"] == pytest.approx(masks[row["slice"]].mean(), abs=0.05)
        assert 0 < row["confidence"] <= 1


def test_the_student_that_is_kept_says_what_its_rows_tell(result):
    images, masks, _ = slices(4)
    found = predict_student(result.model, images) >= 0.5
    for row in result.agreement[-4:]:
        mask, said = masks[row["slice"]], found[row["slice"]]
        assert row["iou"] == pytest.approx((mask & said).sum() / (mask | said).sum())


def test_the_teachers_masks_of_other_slices_are_never_learned_from(believed):
    images, masks, valid = slices()
    lied = np.concatenate([masks[:1], ~masks[1:]])
    first, second = (
        train_rounds([*lessons_of(images, told, valid), *cohort()], SPEC) for told in (masks, lied)
    )
    assert same(first.model, second.model)
    assert first.training == second.training
    assert first.model.temperature == second.model.temperature
    assert first.agreement != second.agreement


def test_what_the_cohort_says_is_learned_from(believed):
    whole = train_rounds([*lessons(), *cohort()], SPEC)
    other = cohort()
    other[1] = replace(other[1], target=np.roll(other[1].target, 9, axis=0))
    changed = train_rounds([*lessons(), *other], SPEC)
    assert whole.convergence[:3] == changed.convergence[:3]
    assert not same(whole.model, changed.model)
    alone = train_rounds(lessons(), SPEC)
    assert whole.convergence[:3] == alone.convergence
    assert not same(whole.model, alone.model)


def test_as_many_steps_are_taken_as_a_plan_counts(believed, monkeypatch):
    taken = []
    train = module.train_network

    def counted(network, examples, plan, *others, **more):
        taken.append(plan.steps)
        return train(network, examples, replace(plan, steps=1), *others, **more)

    monkeypatch.setattr(module, "train_network", counted)
    for spec, taught, steps in (
        (SPEC, [*lessons(), *cohort()], 3),
        (replace(SPEC, rounds=2), lessons(), 3),
        (replace(SPEC, steps=None), [*lessons(), *cohort()], None),
        (replace(VOLUMES, steps=None, rounds=2), [*planes((5, 6)), volume()], None),
    ):
        taken.clear()
        train_rounds(taught, spec)
        has_cohort = taught[-1].cohort
        assert sum(taken) == all_steps(spec.dimensions, spec.rounds, steps, cohort=has_cohort)


def test_probabilities_are_calibrated_on_blocks_that_nothing_was_learned_from(
    believed, monkeypatch
):
    images, masks, valid = slices(2, shape=(128, 128))
    masks[:, 30:110, 25:100] = True
    images[:, 0][masks] = np.random.default_rng(1).normal(60, 40, masks.sum())
    others = lessons_of(*slices(2, 9, shape=(96, 130)))
    others = [Lesson(le.values, np.ones_like(le.target), le.weight, cohort=True) for le in others]
    for lesson in others:
        lesson.target[:, :60] = 0
        lesson.target[:, 98:] = 0
    learned, asked = [], []
    train, fit = module.train_network, module.fit_calibration
    monkeypatch.setattr(
        module, "train_network", lambda net, of, *rest: learned.append(of) or train(net, of, *rest)
    )
    monkeypatch.setattr(
        module, "fit_calibration", lambda said, is_: asked.append(is_.copy()) or fit(said, is_)
    )
    spec = replace(SPEC, rounds=2, steps=20)
    model = train_rounds([*lessons_of(images, masks, valid), *others], spec).model
    first, second, control, last = learned
    spared = first[0].weight == 0
    assert 0 < spared.sum() == len(asked[0]) <= 0.1 * spared.size
    assert asked[0].sum() == masks[0][spared].sum() <= 0.1 * masks[0].sum()
    assert (second[0].weight > 0).all()  # later rounds learn from all of A
    assert (control[0].weight > 0).all()
    spared = [example.weight == 0 for example in last]
    assert (
        sum(part.sum() for part in spared) == len(asked[1]) == model.history["calibration_pixels"]
    )
    assert (
        sum(le.mask[part].sum() for le, part in zip(others, spared, strict=True)) == asked[1].sum()
    )
    assert all(part.any() for part in spared)


def test_one_round_alone_learns_from_all_of_the_slice():
    model = train_rounds(lessons(), replace(SPEC, rounds=1)).model
    assert model.temperature == 1.0
    assert "one round: probabilities are not calibrated" in model.history["note"]


def test_a_slice_that_can_spare_no_pixel_leaves_probabilities_as_they_are(believed):
    model = train_rounds(lessons(), SPEC).model
    assert model.temperature == 1.0
    assert model.history["calibration_error_before"] is None
    assert "too few pixels to hold out" in model.history["note"]


def test_fewer_slices_than_rounds_are_said_and_used():
    result = train_rounds(lessons(1), SPEC)
    assert len(result.convergence) == 1
    assert result.convergence[0]["copy_forward_iou"] == 1.0
    assert "3 rounds asked, 1 slices" in result.model.history["note"]


def test_pixels_without_data_do_not_count(believed):
    images, masks, valid = slices()
    images[1, 0, :10] = np.nan
    images[2] = np.nan
    found = train_rounds(lessons_of(images, masks, valid), replace(SPEC, rounds=2)).agreement
    assert [row["slice"] for row in found] == [0, 1, 0, 1]
    assert found[1]["target_fraction"] <= 1


def test_slices_of_other_scans_keep_their_shape_and_window(believed):
    first, second = lessons(2)
    doubled = np.repeat(np.repeat(10 * second.values, 2, axis=1), 2, axis=2)
    target = np.repeat(np.repeat(second.target, 2, axis=0), 2, axis=1)
    other = Lesson(doubled, target, np.ones_like(target), ((-1500.0, 2500.0),))
    result = train_rounds([first, other], replace(SPEC, rounds=2))
    assert len(result.agreement) == 4
    own = train_rounds([first, second], replace(SPEC, rounds=2)).convergence[0]["copy_forward_iou"]
    assert result.convergence[0]["copy_forward_iou"] == pytest.approx(own)


def test_planes_of_a_volume_are_learned_alone_and_labelled_by_the_student(believed, monkeypatch):
    train, learned = module.train_network, []
    monkeypatch.setattr(
        module, "train_network", lambda net, of, *rest: learned.append(of) or train(net, of, *rest)
    )
    where = (5, 6, 4)
    result = train_rounds([*planes(where), volume()], VOLUMES)
    assert [row["stage"] for row in result.convergence] == ["A", "A+B", "A+B+C", "cohort"]
    students = [of for of in learned if len(of) > 1 or of is learned[0]]
    for number, examples in enumerate(students[:3], start=1):
        assert len(examples) == number
        for example, plane in zip(examples, where, strict=False):
            counted = np.flatnonzero(example.weight.any(axis=(1, 2)))
            assert set(counted) <= {plane}
            assert example.values is examples[0].values
    assert result.model.network["dimensions"] == 3
    seen = predict_student(result.model, planes()[0].values[None])
    assert seen.shape == (1, 12, 24, 26)
    for row, plane in zip(result.agreement[-3:], where, strict=True):
        assert row["target_fraction"] == pytest.approx((seen[0, plane] >= 0.5).mean())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ("CT", "PET")}, "images must be"),
        ({"dimensions": 3}, "images must be"),
        ({"steps": 0}, "positive"),
        ({"rounds": 0}, "positive"),
        ({"threads": 0}, "positive"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ShapeError, match=message):
        train_rounds(lessons(), replace(SPEC, **change))


def test_lessons_that_do_not_fit_are_refused():
    images, masks, valid = slices()
    with pytest.raises(ShapeError, match="no pixel that counts"):
        train_rounds(lessons_of(images, masks, ~valid), SPEC)
    with pytest.raises(ShapeError, match="the labelled slice"):
        train_rounds(cohort(), SPEC)
    with pytest.raises(ShapeError, match="images must be"):
        train_rounds([*lessons(), *planes()], SPEC)


def test_the_student_sees_as_it_was_taught(result):
    assert views_of(result.model) == SPEC.views()
