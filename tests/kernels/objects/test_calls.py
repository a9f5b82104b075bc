"""Who has the last word on an object."""

from dataclasses import replace

import pytest

from somray.errors import ShapeError
from somray.kernels.objects.calls import ObjectEvidence, Word, call_objects
from somray.kernels.objects.found import DOUBT, LESION, PHYSIOLOGICAL, FoundObject
from somray.kernels.objects.prior import Occurrence

COMMON, RARE = Occurrence(0.8, 6), Occurrence(0.1, 6)


def found(number=1, called=LESION, name=None):
    return FoundObject(
        number=number, called=called, reason="because", salience=5.0, volume_mm3=4000.0,
        centroid=(1.0, 2.0, 3.0), peak=9.0, mean=6.0, contrast_log2=2.0, sphericity=0.9, name=name,
    )  # fmt: skip


def one(called, evidence, *words):
    return call_objects([found(called=called)], [evidence], words)[0]


def test_the_rule_stands_where_nobody_speaks():
    assert one(LESION, ObjectEvidence((0, 0, 0))) == found()
    assert one(LESION, ObjectEvidence((0, 0, 0), RARE)) == found()


@pytest.mark.parametrize("before", [LESION, DOUBT])
def test_what_most_subjects_have_is_physiological(before):
    called = one(before, ObjectEvidence((0, 0, 0), COMMON))
    assert (called.called, called.by) == (PHYSIOLOGICAL, "cohort")
    assert "80% of 6 other subjects" in called.reason


@pytest.mark.parametrize(
    ("ratio", "share", "call"),
    [(4.0, 0.5, PHYSIOLOGICAL), (9.0, 0.5, LESION), (9.0, 0.8, PHYSIOLOGICAL)],
)
def test_what_stands_out_far_is_overruled_only_by_nearly_all_others(ratio, share, call):
    plain = replace(found(), salience=12.0, landmark=(0.1, 20.0, 0.5, 4.0, ratio))
    evidence = [ObjectEvidence((0, 0, 0), Occurrence(share, 6))]
    assert call_objects([plain], evidence)[0].called == call


def test_few_subjects_are_not_heard():
    assert one(LESION, ObjectEvidence((0, 0, 0), Occurrence(1.0, 3))).called == LESION


def test_an_organ_mask_beats_rule_and_cohort():
    evidence = ObjectEvidence((0, 0, 0), RARE, "urinary_bladder", "lies in urinary_bladder: urine")
    called = one(LESION, evidence)
    assert (called.called, called.by, called.name) == (PHYSIOLOGICAL, "anatomy", "urinary_bladder")


def test_a_person_beats_everything():
    evidence = ObjectEvidence((10.0, 20.0, 30.0), COMMON, "brain", "lies in brain")
    called = one(PHYSIOLOGICAL, evidence, Word((12.0, 20.0, 30.0), LESION))
    assert (called.called, called.by) == (LESION, "configuration")


def test_a_word_means_the_nearest_object_and_none_far_away():
    objects = [found(1), found(2)]
    evidence = [ObjectEvidence((0.0, 0.0, 0.0)), ObjectEvidence((30.0, 0.0, 0.0))]
    called = call_objects(objects, evidence, [Word((28.0, 0.0, 0.0), PHYSIOLOGICAL)])
    assert [o.called for o in called] == [LESION, PHYSIOLOGICAL]
    far = call_objects(objects, evidence, [Word((200.0, 0.0, 0.0), PHYSIOLOGICAL)])
    assert [o.called for o in far] == [LESION, LESION]


def test_a_call_must_be_one_of_three():
    with pytest.raises(ShapeError, match="call must be one of"):
        Word((0.0, 0.0, 0.0), "tumour")
