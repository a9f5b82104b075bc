from dataclasses import replace

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.evolution.burden import LesionSize, SessionLoad, burden_at, burdens
from somray.kernels.evolution.changes import LesionChange
from somray.kernels.evolution.response import ResponseThresholds

USUAL = ResponseThresholds()


def sized(lesion, axis, **more):
    return LesionSize(lesion, axis**3, axis * 1.1, axis, **more)


def hot(lesion, peak, axis=20.0, highest=None):
    return sized(lesion, axis, suv_peak=peak, suv_max=highest or (peak or 1) + 1, tlg_ml=3.0 * axis)


def load(number, *lesions, rule="size", registered=True):
    return SessionLoad(f"t{number}", tuple(lesions), rule, 90.0 if lesions else None, registered)


def change(number, lesion, name, before=1.0, after=1.0, **more):
    """What became of a lesion between session number − 1 and number."""
    linked, doubt = more.get("linked", ()), more.get("doubt")
    return LesionChange(
        lesion, f"t{number - 1}", f"t{number}", name, before, after, None, None, linked,
        doubt != "not_registered", doubt,
    )  # fmt: skip


def new(number, lesion, **more):
    return change(number, lesion, "new", None, **more)


def gone(number, lesion, **more):
    return change(number, lesion, "resolved", 1.0, None, **more)


def last(loads, changes=()):
    return burdens(loads, changes, USUAL)[-1]


def test_without_its_baseline_a_subject_has_no_response():
    loads = [replace(load(0, sized(1, 30.0)), follows_missing=True), load(1, sized(1, 10.0))]
    first, second = burdens(loads, [change(1, 1, "shrinking")], USUAL)
    assert (first.doubt, second.response, second.doubt) == (None, None, "baseline_missing")
    assert second.change_from_baseline == pytest.approx(-2 / 3)  # of what is there


def test_a_session_alone_is_added_up():
    lesions = [hot(n, 5.0 + n, axis=10.0 + n) for n in range(7)]
    found = burden_at(load(0, *lesions, rule="uptake"))
    axes = [10.0 + n for n in range(7)]
    assert (found.lesions, found.dmax_mm, found.suv_peak) == (7, 90.0, 11.0)
    assert found.volume_mm3 == pytest.approx(sum(a**3 for a in axes))
    assert found.tlg == pytest.approx(3 * sum(axes))
    assert found.axes_mm == pytest.approx(1.1 * sum(sorted(axes)[-5:]))


def test_a_session_without_lesions_has_sums_of_nothing_and_no_distance():
    found = burden_at(load(0, rule="uptake"))
    assert (found.lesions, found.volume_mm3, found.tlg, found.axes_mm) == (0, 0.0, 0.0, 0.0)
    assert (found.dmax_mm, found.suv_peak) == (None, None)
    assert burden_at(load(0)).tlg is None


def test_the_first_session_is_the_baseline_and_has_no_changes():
    (first,) = burdens([load(0, sized(1, 20.0), sized(2, 5.0))], [], USUAL)
    assert (first.response, first.doubt, first.change_from_baseline, first.reason) == (None,) * 4
    assert (first.targets, first.targets_mm) == ((1,), 20.0)
    assert burdens([], [], USUAL) == []


def test_changes_are_fractions_of_the_first_and_of_the_smallest_earlier_sum():
    loads = [load(n, sized(1, axis)) for n, axis in enumerate((40.0, 20.0, 30.0))]
    found = burdens(loads, [], USUAL)
    assert [b.change_from_baseline for b in found[1:]] == pytest.approx([-0.5, -0.25])
    assert [b.change_from_nadir for b in found[1:]] == pytest.approx([-0.5, 0.5])
    assert [b.targets_change_from_nadir for b in found[1:]] == pytest.approx([-0.5, 0.5])
    assert found[2].volume_change_from_baseline == pytest.approx(30**3 / 40**3 - 1)
    assert [b.response for b in found] == [None, "PR", "PD"]


def test_targets_are_the_five_longest_that_can_be_measured_and_are_followed_by_identity():
    first = [sized(n, axis) for n, axis in enumerate((9.9, 10.0, 12, 40, 30, 20, 15), start=1)]
    then = [sized(4, 20.0), sized(7, 10.0), sized(1, 60.0)]  # the longest now is no target
    found = last([load(0, *first), load(1, *then)], [gone(1, n) for n in (2, 3, 5, 6)])
    assert found.targets == (3, 4, 5, 6, 7)
    assert found.targets_mm == 30.0
    assert found.targets_change_from_baseline == pytest.approx(30 / 117 - 1)
    assert found.response == "PR"


def test_fragments_of_a_target_are_added_and_are_not_new():
    loads = [load(0, sized(1, 40.0)), load(1, sized(1, 20.0), sized(2, 15.0))]
    changes = [
        change(1, 1, "split", linked=(2,)), change(1, 2, "split", None, linked=(1,)),
    ]  # fmt: skip
    found = last(loads, changes)
    assert (found.targets, found.targets_mm, found.response) == ((1, 2), 35.0, "SD")


def test_what_absorbs_a_target_is_measured_in_its_place():
    first = [sized(n, 40.0 - n) for n in range(1, 7)]
    then = [sized(6, 60.0), *first[1:5]]
    changes = [change(1, 1, "merged", after=None, linked=(6,)), change(1, 6, "merged", linked=(1,))]
    found = last([load(0, *first), load(1, *then)], changes)
    assert found.targets == (1, 2, 3, 4, 5, 6)
    assert found.targets_mm == pytest.approx(60 + 38 + 37 + 36 + 35)


def test_a_new_lesion_is_progression_now_and_while_it_is_there():
    loads = [load(0, sized(1, 40.0))] + [load(n, sized(1, 20.0), sized(2, 5.0)) for n in (1, 2)]
    found = burdens([*loads, load(3, sized(1, 20.0))], [new(1, 2), gone(3, 2)], USUAL)
    assert [b.response for b in found] == [None, "PD", "PD", "PR"]
    assert found[1].reason == "new: lesion 2"
    assert found[1].targets_mm == 20.0


def test_fragments_of_a_new_lesion_are_new():
    old = sized(1, 40.0)
    loads = [load(0, old), load(1, old, sized(2, 9.0)), load(2, old, sized(3, 5.0))]
    changes = [new(1, 2), gone(2, 2), change(2, 3, "split", None, linked=(2,))]
    assert last(loads, changes).reason == "new: lesion 3"


def test_a_target_that_comes_back_is_not_new():
    loads = [load(0, sized(1, 40.0)), load(1, sized(1, 40.0)), load(2), load(3, sized(1, 20.0))]
    found = burdens(loads, [gone(2, 1), new(3, 1)], USUAL)
    assert [b.response for b in found] == [None, "SD", "CR", "PD"]
    assert "grew from 0.0 to 20.0" in str(found[3].reason)
    assert found[3].change_from_nadir is None  # no share of nothing


@pytest.mark.parametrize("lesions", [(sized(1, 10.0),), ()], ids=["lesions", "none"])
def test_there_is_no_response_where_a_session_was_refused(lesions):
    rows = [change(1, 1, "shrinking" if lesions else None, doubt="not_registered")]
    found = last([load(0, sized(1, 40.0)), load(1, *lesions, registered=False)], rows)
    assert (found.response, found.reason, found.doubt) == (None, None, "not_registered")
    assert found.targets_mm is None
    assert found.change_from_baseline is not None  # sums need no identities


def test_a_session_after_a_refused_one_is_judged_once_its_lesions_are_sure_again():
    loads = [load(n, sized(1, axis), registered=n != 1) for n, axis in enumerate((40, 30, 20, 20))]
    rows = [change(n, 1, "shrinking", doubt="not_registered") for n in (1, 2)]
    found = burdens(loads, [*rows, change(3, 1, "stable")], USUAL)
    assert [b.response for b in found] == [None, None, None, "PR"]
    assert [b.doubt for b in found] == [None, "not_registered", "not_registered", None]


def test_a_lesion_that_arrived_in_doubt_stays_in_doubt_while_it_is_there():
    two = sized(1, 40.0), sized(2, 9.0)
    loads = [load(0, sized(1, 40.0)), load(1, *two), load(2, *two), load(3, sized(1, 40.0))]
    rows = [
        change(1, 2, None, None, doubt="not_covered"), change(2, 2, "stable"), gone(3, 2),
    ]  # fmt: skip
    found = burdens(loads, rows, USUAL)
    assert [b.doubt for b in found] == [None, "not_covered", "not_covered", None]
    assert found[3].response == "SD"


def test_a_first_lesion_that_vanished_in_doubt_keeps_the_response_open():
    loads = [load(0, sized(1, 40.0), sized(2, 9.0)), *(load(n, sized(1, 20.0)) for n in (1, 2))]
    rows = [change(1, 2, None, after=None, doubt="misaligned")]
    assert [b.doubt for b in burdens(loads, rows, USUAL)] == [None, "misaligned", "misaligned"]


def test_doubts_are_joined():
    rows = [
        change(1, 1, None, after=None, doubt="not_covered"),
        change(1, 2, None, None, doubt="misaligned"),
    ]
    found = last([load(0, sized(1, 40.0)), load(1, sized(2, 9.0))], rows)
    assert found.doubt == "misaligned,not_covered"


def test_without_a_target_only_a_new_lesion_says_anything():
    small = load(0, sized(1, 6.0)), load(1, sized(1, 6.0))
    assert (last(small).response, last(small).doubt) == (None, "no_target")
    assert last(small).targets_mm is None
    grown = load(0), load(1, sized(1, 9.0))
    assert last(grown, [new(1, 1)]).response == "PD"
    assert last([load(0, rule="uptake"), load(1, rule="uptake")]).doubt == "no_target"


def test_pet_is_judged_by_the_hottest_lesion_whichever_it_is():
    loads = [
        load(0, hot(1, 10.0), hot(2, 4.0), rule="uptake"),
        load(1, hot(1, 2.0), hot(2, 6.5), rule="uptake"),
    ]
    found = last(loads)
    assert (found.response, found.suv_peak) == ("PMR", 6.5)
    assert found.suv_peak_change_from_baseline == pytest.approx(-0.35)


def test_a_hottest_lesion_without_a_peak_leaves_pet_open():
    rim = load(1, hot(1, 2.0), hot(2, None, highest=20.0), rule="uptake")
    found = last([load(0, hot(1, 10.0), rule="uptake"), rim])
    assert (found.suv_peak, found.response, found.doubt) == (None, None, "no_peak")
    cool = load(1, hot(1, 2.0), hot(2, None, highest=1.5), rule="uptake")
    assert last([load(0, hot(1, 10.0), rule="uptake"), cool]).response == "PMR"


@pytest.mark.parametrize(
    ("rules", "doubt"),
    [
        (("no_suv", "no_suv"), "no_suv"),
        (("uptake", "no_suv"), "no_suv"),
        (("size", "uptake"), "no_suv"),
        (("material", "material"), "material"),
    ],
)
def test_where_no_rule_applies_there_is_no_response(rules, doubt):
    loads = [load(n, hot(1, 5.0), rule=rule) for n, rule in enumerate(rules)]
    assert (last(loads).response, last(loads).doubt) == (None, doubt)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ShapeError, match="rule must be"):
        load(0, rule="guess")


@pytest.mark.parametrize("seed", range(5))
def test_sums_equal_a_plain_count_of_what_is_there(seed):
    """Sessions of up to eight lesions that come and go, all sure: counted anew from the definitions."""
    rng = np.random.default_rng(seed)
    there = rng.random((4, 8)) < 0.7
    axes = rng.uniform(5, 40, (4, 8))
    loads = [
        load(n, *(sized(k, float(axes[n, k])) for k in range(8) if there[n, k])) for n in range(4)
    ]
    rows = [
        new(n, k) if there[n, k] else gone(n, k)
        for n in range(1, 4) for k in range(8) if there[n, k] != there[n - 1, k]
    ]  # fmt: skip
    able = sorted(
        (k for k in range(8) if there[0, k] and axes[0, k] >= 10), key=lambda k: -axes[0, k]
    )[:5]
    sums = [sum(axes[n, k] for k in able if there[n, k]) for n in range(4)]
    for n, found in enumerate(burdens(loads, rows, USUAL)):
        assert found.targets_mm == (pytest.approx(sums[n]) if able else None)
        if n and able:
            fresh = [k for k in range(8) if there[n, k] and not there[0, k]]
            nadir = min(sums[:n])
            grew = sums[n] - nadir >= max(5, 0.2 * nadir)
            shrank = sums[n] <= 0.7 * sums[0]
            expected = (
                "PD" if fresh or grew else "CR" if not there[n].any() else "PR" if shrank else "SD"
            )
            assert found.response == expected
