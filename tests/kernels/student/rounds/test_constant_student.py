"""Students where the labelled slice shows one side: constant, unless the cohort teaches them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import somray.kernels.student.rounds.run as module
from somray.kernels.student.network import new_unet
from somray.kernels.student.predict import predict_student
from somray.kernels.student.rounds.constant import make_constant
from somray.kernels.student.rounds.lesson import Lesson, nothing_to_train
from somray.kernels.student.rounds.run import train_rounds
from somray.kernels.student.rounds.spec import Distributed
from somray.kernels.student.rounds.state import state_from_bytes, state_to_bytes
from tests.kernels.student.round_cases import SPEC, VOLUMES, cohort, planes, same, slices
from tests.student_fixtures import lessons_of, small_shape

ONE_SIDE = pytest.mark.parametrize(("inside", "word"), [(False, "absent"), (True, "fills")])


def one_sided(inside):
    """Lessons A, B, C of which A shows one side only."""
    images, masks, valid = slices()
    valid[:, :2] = False
    masks[0] = inside
    return lessons_of(images, masks, valid)


@ONE_SIDE
def test_without_a_cohort_the_student_is_constant_and_says_so(inside, word):
    result = train_rounds(one_sided(inside), SPEC)
    assert word in result.model.history["note"]
    assert "constant student" in result.model.history["note"]
    assert "must not replace the SOM" in result.model.history["verdict"]
    assert result.training == []
    (row,) = result.convergence
    assert (row["stage"], row["collapse"], row["control_iou"]) == ("A", None, None)
    first = result.agreement[0]
    assert first["accuracy"] == 1.0
    assert first["dice"] == (1.0 if inside else None)
    assert len(result.agreement) == 3
    found = predict_student(result.model, slices()[0])
    np.testing.assert_allclose(found, float(inside), atol=1e-6)


@ONE_SIDE
def test_planes_of_a_volume_give_a_constant_student_too(inside, word):
    told = [replace(lesson, target=float(inside) * lesson.weight) for lesson in planes()]
    result = train_rounds(told, VOLUMES)
    assert word in result.model.history["note"]
    found = predict_student(result.model, planes()[0].values[None])
    np.testing.assert_allclose(found, float(inside), atol=1e-6)


@ONE_SIDE
def test_the_cohort_alone_teaches_where_a_shows_one_side(inside, word, monkeypatch):
    monkeypatch.setattr(module, "why_cohort_collapsed", lambda *_: None)
    result = train_rounds([*one_sided(inside), *cohort()], SPEC)
    assert [row["stage"] for row in result.convergence] == ["A", "cohort"]
    assert {row["round"] for row in result.training} == {2}
    history = result.model.history
    assert (history["kept_round"], history["rounds_done"]) == (2, 2)
    assert word in history["note"]
    assert "the cohort alone teaches" in history["note"]
    found = predict_student(result.model, slices()[0])
    assert found.min() < found.max()
    assert not same(result.model, train_rounds(one_sided(inside), SPEC).model)


def test_a_cohort_can_be_learned_from_where_a_is_empty():
    spec = replace(SPEC, steps=30)
    result = train_rounds([*one_sided(False), *cohort()], spec)
    images, masks, _ = slices(2, seed=5)
    found = predict_student(result.model, images, ((-200.0, 300.0),)) >= 0.5
    assert 2 * (found & masks).sum() / (found.sum() + masks.sum()) > 0.8


@ONE_SIDE
def test_a_cohort_that_collapses_after_that_leaves_the_constant_student(inside, word, monkeypatch):
    monkeypatch.setattr(module, "why_cohort_collapsed", lambda *_: "it shows nothing")
    result = train_rounds([*one_sided(inside), *cohort()], SPEC)
    assert word in result.model.history["note"]
    assert result.model.history["kept_round"] == 1
    assert "must not replace the SOM" in result.model.history["verdict"]
    found = predict_student(result.model, slices()[0])
    np.testing.assert_allclose(found, float(inside), atol=1e-6)


def test_a_cohort_that_shows_one_side_teaches_nothing():
    empty = [replace(lesson, target=np.zeros_like(lesson.target)) for lesson in cohort()]
    result = train_rounds([*one_sided(False), *empty], SPEC)
    assert len(result.convergence) == 1
    assert result.training == []
    assert nothing_to_train([*one_sided(False), *empty])


def test_what_can_be_trained_on_is_a_or_the_cohort():
    assert nothing_to_train(one_sided(True))
    assert not nothing_to_train([*one_sided(True), *cohort()])
    assert not nothing_to_train(lessons_of(*slices()))
    blank, *others = one_sided(False)
    assert nothing_to_train([blank, *others])  # the teacher's masks of B, C are never learned from


def test_a_constant_start_is_resumed_like_any_other(monkeypatch):
    monkeypatch.setattr(module, "why_cohort_collapsed", lambda *_: None)
    states = []
    whole = train_rounds([*one_sided(False), *cohort()], SPEC, Distributed(save=states.append))
    for state in states:
        stored = state_from_bytes(state_to_bytes(state))
        again = train_rounds([*one_sided(False), *cohort()], SPEC, Distributed(resume=stored))
        assert same(again.model, whole.model)
        assert again.agreement == whole.agreement


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_is_made_constant_whatever_it_sees(dimensions):
    shape = small_shape(dimensions)
    module_ = new_unet(shape, 0).eval()
    for inside in (True, False):
        make_constant(module_, inside=inside)
        with torch.inference_mode():
            chance = torch.sigmoid(module_(torch.randn(1, shape.inputs, *[9] * dimensions)))
        assert float((chance - float(inside)).abs().max()) < 1e-6


def test_a_slice_of_which_nothing_else_counts_is_one_sided():
    image = np.zeros((1, 4, 4), np.float32)
    weight = np.zeros((4, 4), np.float32)
    weight[:2] = 1
    assert not Lesson(image, weight, weight).has_both_sides
    assert Lesson(image, weight, np.ones_like(weight)).has_both_sides
