"""The rounds: roles, baselines, verdicts, and what the student must never look at."""

from dataclasses import replace

import numpy as np
import pytest

import somray.kernels.student.rounds as module
from somray.domain.tables import AgreementRow, ConvergenceRow, TrainingRow
from somray.errors import ShapeError
from somray.kernels.student.calibration import fit_calibration
from somray.kernels.student.fit import fit_student
from somray.kernels.student.lesson import Lesson, lessons_of
from somray.kernels.student.pseudo_labels import pseudo_labels
from somray.kernels.student.round_figures import stage_name
from somray.kernels.student.round_history import verdict_of
from somray.kernels.student.rounds import StudentSpec, train_rounds
from somray.kernels.student.spec import Distributed

SPEC = StudentSpec(
    channels=("CT",),
    windows=((-60.0, 120.0),),
    feature_names=("intensity", "mean3", "edge"),
    steps=5,
    threads=1,
)


def _slices(count=3, seed=0):
    """A bright block that moves a little from slice to slice, and the mask of what is bright."""
    images = np.random.default_rng(seed).normal(0, 10, (count, 1, 24, 28)).astype(np.float32)
    for n in range(count):
        images[n, :, 6 + n : 16 + n, 8 : 21 - n] += 60
    masks = images[:, 0] > 30
    return images, masks, np.ones(masks.shape, dtype=bool)


def _lessons(count=3):
    return lessons_of(*_slices(count))


@pytest.fixture(scope="module")
def result():
    ticks = iter(range(10_000))
    return train_rounds(_lessons(4), SPEC, clock=lambda: float(next(ticks)))


def test_rows_fit_the_tables(result):
    for found in result.agreement:
        facts = {key: value for key, value in found.items() if key != "slice"}
        AgreementRow("s", "t", t=0, z=found["slice"], **facts)
    for found in result.convergence:
        ConvergenceRow(**found)
    for found in result.training:
        TrainingRow(**found)
    assert {row["round"] for row in result.training} == {1, 2, 3}
    assert all(row["seconds"] > 0 for row in result.training)


def test_roles_tell_what_a_slice_was_in_its_round(result):
    roles = {
        number: [row["role"] for row in result.agreement if row["round"] == number]
        for number in (1, 2, 3)
    }
    assert roles[1] == ["train", "held_out", "held_out", "held_out"]
    assert roles[2] == ["train", "pseudo", "held_out", "held_out"]
    assert roles[3] == ["train", "pseudo", "pseudo", "held_out"]
    assert [row["stage"] for row in result.convergence] == ["A", "A+B", "A+B+C"]


def test_the_student_agrees_with_the_teacher(result):
    last = [row["dice"] for row in result.agreement if row["round"] == 3]
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


def test_copy_forward_is_the_teachers_mask_of_a_on_every_slice(result):
    _, masks, _ = _slices(4)
    ious = [(masks[0] & m).sum() / (masks[0] | m).sum() for m in masks[:3]]
    assert result.convergence[0]["copy_forward_iou"] == pytest.approx(np.mean(ious))


def test_the_control_stands_from_round_two_on(result):
    controls = [row["control_iou"] for row in result.convergence]
    assert controls[0] is None
    assert all(0 < value <= 1 for value in controls[1:])


def test_the_teachers_masks_of_other_slices_are_never_learned_from():
    images, masks, valid = _slices()
    others = np.concatenate([masks[:1], ~masks[1:]])
    spec = replace(SPEC, rounds=2)
    first = train_rounds(lessons_of(images, masks, valid), spec).model.weights
    second = train_rounds(lessons_of(images, others, valid), spec).model.weights
    assert all(np.array_equal(first[key], second[key]) for key in first)


def test_a_training_resumed_anywhere_ends_like_an_undisturbed_one():
    spec = replace(SPEC, rounds=2, steps=3)
    states = []
    whole = train_rounds(_lessons(2), spec, Distributed(save=states.append))
    # Two epochs of the first round, the same of the second and of its control, and every round's end.
    assert [state.done for state in states] == [0, 0, 1, 1, 1, 1, 1, 2]
    assert [len(state.fits) for state in states] == [1, 1, 0, 1, 1, 2, 2, 0]
    for number, state in enumerate(states):
        later = []
        again = train_rounds(_lessons(2), spec, Distributed(resume=state, save=later.append))
        assert len(later) == len(states) - 1 - number  # nothing is trained twice
        assert again.agreement == whole.agreement
        assert again.convergence == whole.convergence
        assert again.training == whole.training
        weights = whole.model.weights
        assert all(np.array_equal(again.model.weights[key], weights[key]) for key in weights)


def test_fewer_slices_than_rounds_are_said_and_used():
    result = train_rounds(_lessons(1), SPEC)
    assert len(result.convergence) == 1
    assert result.convergence[0]["copy_forward_iou"] == 1.0
    assert "3 rounds asked, 1 slices" in result.model.history["note"]


@pytest.mark.parametrize(("inside", "word"), [(False, "absent"), (True, "fills")])
def test_a_target_with_one_side_gives_a_constant_student_and_says_so(inside, word):
    images, masks, valid = _slices()
    valid[:, :2] = False
    masks[0] = inside
    result = train_rounds(lessons_of(images, masks, valid), SPEC)
    assert word in result.model.history["note"]
    assert result.training == []
    first = result.agreement[0]
    assert first["accuracy"] == 1.0
    assert first["dice"] == (1.0 if inside else None)
    assert len(result.agreement) == 3


def test_pixels_without_data_do_not_count():
    images, masks, valid = _slices()
    images[1, 0, :10] = np.nan
    images[2] = np.nan
    found = train_rounds(lessons_of(images, masks, valid), replace(SPEC, rounds=2)).agreement
    assert [row["slice"] for row in found] == [0, 1, 0, 1]


def test_slices_of_other_scans_keep_their_shape_window_and_pixel_size():
    first, second, _ = _lessons()
    doubled = np.repeat(np.repeat(second.image, 2, axis=1), 2, axis=2)
    other = Lesson(
        10 * doubled,
        np.repeat(np.repeat(second.teacher, 2, axis=0), 2, axis=1),
        np.ones(doubled.shape[1:], dtype=bool),
        windows=((-600.0, 1200.0),),
        spacing_mm=(0.5, 0.5),
    )
    result = train_rounds([first, other], replace(SPEC, rounds=2))
    last = [row["dice"] for row in result.agreement if row["round"] == 2]
    assert min(last) > 0.9
    own = train_rounds([first, second], replace(SPEC, rounds=2)).convergence[0]["copy_forward_iou"]
    assert result.convergence[0]["copy_forward_iou"] == pytest.approx(own)


def test_many_slices_are_named_beyond_the_alphabet():
    assert stage_name(3) == "A+B+C"
    assert stage_name(28).endswith("Z+S27+S28")


def test_only_confident_pixels_become_labels():
    chance = np.array([0.0, 0.05, 0.4, 0.6, 0.95, 1.0], dtype=np.float32)
    known = np.array([True, True, True, True, True, False])
    target, weight = pseudo_labels(chance, known)
    assert target.tolist() == [False, False, False, True, True, True]
    np.testing.assert_allclose(weight, [1, 0.9, 0, 0, 0.9, 0], atol=1e-6)


def test_probabilities_are_calibrated_on_pixels_that_round_one_does_not_learn_from(monkeypatch):
    images = np.random.default_rng(0).normal(0, 20, (2, 1, 96, 96)).astype(np.float32)
    images[:, :, 30:70, 25:75] += 40
    masks = np.zeros(images[:, 0].shape, dtype=bool)
    masks[:, 30:70, 25:75] = True
    weights, asked = [], []

    def watched_fit(network, examples, *others):
        weights.append(examples.weight[0] > 0)
        return fit_student(network, examples, *others)

    def watched_calibration(chance, target):
        asked.append(len(target))
        return fit_calibration(chance, target)

    monkeypatch.setattr(module, "fit_student", watched_fit)
    monkeypatch.setattr(module, "fit_calibration", watched_calibration)
    result = train_rounds(
        lessons_of(images, masks, np.ones_like(masks)), replace(SPEC, rounds=2, steps=12)
    ).model
    spared = ~weights[0]
    assert [spared.sum()] == asked == [result.history["calibration_pixels"]]
    assert 0 < spared[masks[0]].sum() <= 0.1 * masks[0].sum()
    assert 0 < spared[~masks[0]].sum() <= 0.1 * (~masks[0]).sum()
    assert (
        len(weights) == 3
    )  # the second round of the student and of its control learn from all of A
    assert weights[1].all()
    assert weights[2].all()
    assert result.temperature != 1.0
    assert 0 <= result.history["calibration_error_after"] < 0.1


def test_one_round_alone_learns_from_all_of_the_slice():
    model = train_rounds(_lessons(), replace(SPEC, rounds=1)).model
    assert model.temperature == 1.0
    assert "one round: probabilities are not calibrated" in model.history["note"]


def test_a_slice_that_can_spare_no_pixel_leaves_probabilities_as_they_are(result):
    assert result.model.temperature == 1.0
    assert result.model.history["calibration_error_before"] is None
    assert "not calibrated" in result.model.history["note"]


def test_the_rows_tell_how_much_and_how_surely_the_student_says_target(result):
    for row in result.agreement:
        masks = _slices(4)[1]
        assert row["target_fraction"] == pytest.approx(masks[row["slice"]].mean(), abs=0.05)
        assert 0 < row["confidence"] <= 1


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ({"delta_iou": None, "round": 1}, "one round has nothing to be compared with"),
        ({"delta_iou": None, "mean_iou": None}, "no IoU exists"),
        ({"converged": True}, "ΔIoU +0.0010 in round 2 within ±0.002: the student may replace"),
        ({"delta_iou": 0.05}, "not converged, ΔIoU +0.0500 in round 2 beyond ±0.002"),
        ({"collapse": "it grew"}, "round 2 collapsed: the student may not replace the SOM"),
    ],
)
def test_the_verdict_says_whether_the_student_may_replace_the_som(last, words):
    good = {"round": 2, "mean_iou": 0.98, "delta_iou": 0.001, "converged": False, "collapse": None}
    assert words in verdict_of([{**good, **last}], 0.002)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ("CT", "PET")}, "images must be"),
        ({"steps": 0}, "positive"),
        ({"windows": ((0.0, 1.0), (0.0, 1.0))}, "2 windows"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(change, message):
    with pytest.raises(ShapeError, match=message):
        train_rounds(_lessons(), replace(SPEC, **change))


def test_arrays_that_do_not_fit_are_refused():
    images, masks, valid = _slices()
    with pytest.raises(ShapeError, match="teacher and valid"):
        train_rounds(lessons_of(images, masks[:2], valid), SPEC)
    with pytest.raises(ShapeError, match="no pixel that counts"):
        train_rounds(lessons_of(images, masks, ~valid), SPEC)
