"""What people type wrong: every message says what was given, what is expected, and what to do."""

import numpy as np
import pytest

import somray
from somray.errors import ConfigError, ShapeError

IMAGE = np.random.default_rng(0).normal(50, 10, (16, 16)).astype("f4")
VOLUME = np.stack([IMAGE] * 3)
SAMPLES = np.random.default_rng(1).normal(size=(30, 3))
MASK = VOLUME > 50


@pytest.mark.parametrize(
    ("arguments", "why"),
    [((VOLUME,), r"one slice \(y, x\), got shape \(3, 16, 16\); .*somray.features\(volume\[z\]\)"),
     ((np.zeros((0, 5)),), r"slice_ is empty: shape \(0, 5\)"), ((None,), "got NoneType"),
     ((np.where(IMAGE > 60, np.inf, IMAGE),), "mark pixels without data as NaN"),
     ((IMAGE, "auto"), r"window must be \(low, high\).* got 'auto'"),
     ((IMAGE, 5), "window must be"), ((IMAGE, (1, 2, 3)), "window must be"),
     ((IMAGE, (400, -1000)), "low < high"),
     ((IMAGE, None, 1.0), r"lengths in mm along \(y, x\), for example \(0.8, 0.8\); got 1.0"),
     ((IMAGE, None, (0, 1)), "positive"), ((IMAGE, None, "ab"), "positive"),
     ((IMAGE, None, (1.0, np.nan)), "positive"), ((IMAGE, None, IMAGE), r"array of shape \(16, 16\)")],
)  # fmt: skip
def test_features_say_what_is_wrong(arguments, why):
    with pytest.raises(ShapeError, match=why):
        somray.features(*arguments)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [((VOLUME, VOLUME), r"fixed must be one slice.*somray.register\(volume\[z\], volume\[z \+ 1\]\)"),
     ((IMAGE, None), "moving must be an array of numbers, got NoneType"),
     (("a.png", IMAGE), "fixed is a path"), ((IMAGE[0], IMAGE), r"got shape \(16,\)"),
     ((IMAGE * 1j, IMAGE), "fixed is complex"),
     ((IMAGE, IMAGE, "kase"), "detector must be one of .* got 'kase', did you mean 'kaze'"),
     ((IMAGE, IMAGE, "kaze", "affin"), "did you mean 'affine'")],
)  # fmt: skip
def test_register_says_what_is_wrong(arguments, why):
    with pytest.raises(ShapeError, match=why):
        somray.register(*arguments)


def test_warping_by_a_refused_registration_says_why():
    with pytest.raises(ShapeError, match=r"was refused \(fixed: blank.*look at t.status first"):
        somray.register(IMAGE * 0, IMAGE).warp(IMAGE)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [((MASK,), r"names no voxel size: give spacing_mm=\(z, y, x\)"),
     ((MASK, 1.0), r"along \(z, y, x\), for example"), ((MASK, (1, 1)), r"along \(z, y, x\)"),
     ((MASK[0], (1, 1, 1)), r"a single slice is mask\[None\]"),
     (((1, 1, 1), MASK), r"lesions\(mask, spacing_mm\)"),
     ((VOLUME, (1, 1, 1)), "is it an image, given in the mask's place"),
     ((MASK * np.arange(1, 4)[:, None, None], (1, 1, 1)), "several labels in mask: 1, 2, 3; say which"),
     ((MASK, (1, 1, 1), -1.0), "min_volume_mm3 must be 0 or more")],
)  # fmt: skip
def test_lesions_say_what_is_wrong(arguments, why):
    with pytest.raises(ShapeError, match=why):
        somray.lesions(*arguments)


@pytest.mark.parametrize(
    ("pair", "why"),
    [((MASK, MASK[0]), r"one shape, got \(3, 16, 16\) and \(16, 16\)"),
     ((VOLUME / VOLUME.max(), MASK), r"prediction >= 0.5"), ((MASK, MASK * np.nan), "NaN in reference"),
     (("a", MASK), "prediction is a path"), ((MASK, None), "reference must be an array of numbers")],
)  # fmt: skip
def test_agreement_says_what_is_wrong(pair, why):
    with pytest.raises(ShapeError, match=why):
        somray.agreement(*pair)


def test_agreement_takes_bool_integers_and_whole_floats_alike():
    other = np.roll(MASK, 1)
    expected = somray.agreement(MASK, other)
    for kind in ("u1", "i4", "f4"):
        assert somray.agreement((MASK * 7).astype(kind), other) == expected
    nothing = somray.agreement(np.zeros((2, 2)), np.zeros((2, 2)))
    assert nothing["dice"] is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [((SAMPLES[0],), r"one feature is samples\[:, None\]"),
     ((np.zeros((10, 4, 4)),), r"stack.reshape\(len\(stack\), -1\).T"),
     ((SAMPLES * np.nan,), "leave pixels without data out"), ((np.zeros((0, 3)),), "n, f > 0"),
     ((SAMPLES, 5), r"rows and columns of the map.* got 5"), ((SAMPLES, (2.5, 2)), "whole numbers"),
     ((SAMPLES, (2, 2), "a"), "seed must be a whole number from 0 on, got 'a'"),
     ((SAMPLES, (2, 2), 0, 0), "epochs must be a whole number from 1 on"),
     ((SAMPLES, (2, 2), 0, 5, "pca"), "somray.som.Training"), (("x",), "samples is a path")],
)  # fmt: skip
def test_a_map_says_what_is_wrong_with_samples(arguments, why):
    with pytest.raises(ShapeError, match=why):
        somray.som.fit(*arguments)


def test_assign_says_what_is_wrong():
    book = somray.som.fit(SAMPLES, (2, 2), epochs=2)
    with pytest.raises(ShapeError, match="the arguments are swapped"):
        somray.som.assign(book, SAMPLES)
    with pytest.raises(ShapeError, match=r"codebook must come from somray.som.fit; got ndarray"):
        somray.som.assign(SAMPLES, SAMPLES)
    with pytest.raises(ShapeError, match="2 features, the codebook has 3"):
        somray.som.assign(SAMPLES[:, :2], book)
    with pytest.raises(ShapeError, match="got a Codebook"):
        somray.som.assign(book, book)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [({"modality": "ct"}, "unknown modality 'ct', did you mean 'CT'"),
     ({"grid": 5}, r"rows and columns of the map, whole numbers, for example \(5, 5\); got 5"),
     ({"grid": "CT"}, "rows and columns"), ({"channels": ()}, "at least one name"),
     ({"channels": ("CT", "CT")}, "each once"),
     ({"modality": "CT", "intensity": (-100, 300)}, r"must be like \{'CT': \{'window': \[low, high\]\}\}"),
     ({"modality": "CT", "intensity": {"CT": (-100, 300)}}, "must be like"),
     ({"modality": "CT", "intensity": {"Ct": {}}}, "channel 'Ct', did you mean 'CT'"),
     ({"modality": "CT", "intensity": {"CT": {"window": [3, 1]}}}, r"low < high, for example")],
)  # fmt: skip
def test_a_teacher_says_what_is_wrong_with_settings(arguments, why):
    with pytest.raises(ShapeError, match=why):
        somray.Teacher(**arguments)


def test_a_teacher_says_what_is_wrong_with_what_it_is_given():
    teacher = somray.Teacher((2, 2), "CT")
    with pytest.raises(ShapeError, match=r"call fit\(image\) first"):
        teacher.predict(IMAGE)
    with pytest.raises(ShapeError, match=r"\(y, x\), a volume \(z, y, x\).*image\[:, 0\]"):
        teacher.fit(np.zeros((3, 2, 4, 4)))
    with pytest.raises(ShapeError, match="level is for PET, and no channel of CT is"):
        teacher.fit(IMAGE, level=3.0)
    with pytest.raises(ShapeError, match="previous must be a Teacher, got dict"):
        teacher.fit(IMAGE, previous={})
    with pytest.raises(ShapeError, match=r"teacher.level_of\(volume\) gives it; got 'a'"):
        somray.Teacher((2, 2), "PET").fit(IMAGE, level="a")
    with pytest.raises(ShapeError, match=r"dimensions=3 needs .* spacing_mm=\(z, y, x\)"):
        somray.Teacher((2, 2), "CT", dimensions=3).fit(VOLUME, (1.0, 1.0))
    with pytest.raises(ShapeError, match=r"run.teacher\(PROTOCOL\) gives it; got str"):
        somray.Teacher.of("chest-ct")
    with pytest.raises(TypeError, match=r"no settings topologie; .*did you mean 'topology'"):
        somray.Teacher(topologie="hexagonal")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [({"channels": 1.5}, "how many, or their names; got 1.5"), ({"channels": True}, "got True"),
     ({"seconds": "10"}, "seconds must be a positive number, got '10'"),
     ({"intensity": [0, 1]}, "must be like"),
     ({"channels": "CT", "intensity": {"CT": {"window": "wide"}}}, "or 'auto'; got 'wide'")],
)  # fmt: skip
def test_a_student_says_what_is_wrong_with_settings(arguments, why):
    with pytest.raises(ConfigError, match=why):
        somray.Student(**arguments)


def test_a_student_says_what_is_wrong_with_masks():
    student = somray.Student(steps=1)
    with pytest.raises(ShapeError, match="is it an image, given in the mask's place"):
        student.fit(MASK, VOLUME)
    with pytest.raises(ShapeError, match=r"masks must be \(3, 16, 16\) for these images"):
        student.fit(VOLUME, MASK[:, None])
    with pytest.raises(ShapeError, match="several labels in masks: 1, 2"):
        student.fit(VOLUME, MASK * np.array([1, 2, 2])[:, None, None])
    with pytest.raises(ShapeError, match="start must be a Student, got str"):
        student.fit(VOLUME, MASK, start="student")
    with pytest.raises(ShapeError, match="mark pixels without data as NaN"):
        student.fit(np.where(VOLUME > 60, np.inf, VOLUME), MASK)


def test_a_name_that_does_not_exist_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="no attribute 'Techer'; did you mean 'Teacher'"):
        somray.Techer  # noqa: B018
    assert {"Teacher", "som", "register"} <= set(dir(somray))
    assert {"fit", "assign", "u_matrix", "SelfOrganizingMap"} <= set(dir(somray.som))
