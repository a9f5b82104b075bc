"""How many steps a plan counts; `test_rounds` compares it with what is trained."""

import pytest

from somray.kernels.student.rounds.steps import STEPS, all_steps


@pytest.mark.parametrize(
    ("rounds", "cohort", "expected"), [(1, False, 5), (3, False, 25), (1, True, 10), (3, True, 30)]
)
def test_every_later_round_has_a_control_that_takes_as_many_steps(rounds, cohort, expected):
    assert all_steps(2, rounds, 5, cohort=cohort) == expected


@pytest.mark.parametrize("dimensions", [2, 3])
def test_steps_that_are_left_out_are_those_of_the_dimension(dimensions):
    first, later, last = STEPS[dimensions]
    assert all_steps(dimensions, 3, None, cohort=True) == first + 4 * later + last
