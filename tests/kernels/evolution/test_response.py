import pytest

from somray.errors import ShapeError
from somray.kernels.evolution.response import (
    ResponseThresholds,
    metabolic_response,
    size_response,
)

USUAL = ResponseThresholds()


def size(*sums, new=(), lesions=1):
    return size_response(sums, new, lesions, USUAL).name


def uptake(first, last, new=(), lesions=1):
    return metabolic_response(first, last, new, lesions, USUAL).name


@pytest.mark.parametrize(
    ("sums", "name"),
    [
        ((100.0, 70.0), "PR"),
        ((100.0, 70.1), "SD"),
        ((100.0, 119.9), "SD"),
        ((100.0, 120.0), "PD"),
        ((20.0, 24.9), "SD"),  # a quarter more, but not 5 mm
        ((20.0, 25.0), "PD"),
        ((100.0, 50.0, 60.0), "PD"),  # against the smallest sum, though far below the first
        ((100.0, 50.0, 59.9), "PR"),
        ((100.0, None, 60.0), "PR"),  # a session in doubt is no nadir
        ((30.0, 0.0, 5.0), "PD"),  # gone and back
        ((30.0, 0.0), "PR"),  # targets are gone, another lesion is not
    ],
)
def test_sizes_are_called_as_recist_does(sums, name):
    assert size(*sums) == name


def test_only_a_session_without_any_lesion_is_a_complete_response():
    assert size(30.0, 0.0, lesions=0) == "CR"
    assert uptake(8.0, None, lesions=0) == "CMR"


def test_a_new_lesion_is_progression_whatever_the_targets_do():
    found = size_response((100.0, 20.0), [4, 7], 3, USUAL)
    assert (found.name, found.reason) == ("PD", "new: lesions 4, 7")
    assert metabolic_response(9.0, 1.0, [4], 2, USUAL).reason == "new: lesion 4"
    assert size(None, None, new=[2]) == "PD"


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        (10.0, 7.0, "PMR"),
        (10.0, 7.1, "SMD"),
        (10.0, 13.0, "PMD"),
        (10.0, 12.9, "SMD"),
        (2.0, 1.3, "SMD"),  # a third less, but not 0.8 SUV
        (2.0, 1.2, "PMR"),
        (2.0, 2.7, "SMD"),
        (2.0, 2.8, "PMD"),
    ],
)
def test_uptake_is_called_as_percist_does(first, last, name):
    assert uptake(first, last) == name


def test_what_cannot_be_measured_has_no_response_but_a_doubt():
    assert size_response((None, None), [], 0, USUAL).doubt == "no_target"
    assert metabolic_response(None, 4.0, [], 1, USUAL).doubt == "no_peak"
    assert metabolic_response(4.0, None, [], 1, USUAL).doubt == "no_peak"


def test_reasons_tell_the_figures():
    assert "from 50.0 to 60.0 mm" in str(size_response((100.0, 50.0, 60.0), [], 1, USUAL).reason)
    assert "7.00 against 10.00" in str(metabolic_response(10.0, 7.0, [], 1, USUAL).reason)


def test_thresholds_are_not_negative():
    with pytest.raises(ShapeError, match="negative"):
        ResponseThresholds(growth_floor_mm=-1.0)
