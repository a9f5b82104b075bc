"""`somray.Teacher` beyond fit and predict: settings, drift, refits that keep what classes mean."""

import numpy as np
import pytest

import somray
from somray.errors import ShapeError


def scene(size=48, seed=0, gain=1.0):
    y, x = np.mgrid[:size, :size]
    rng = np.random.default_rng(seed)
    body = 60.0 * (np.hypot(y - size / 2, x - size / 2) < size / 3)
    hot = 150.0 * (np.hypot(y - size / 2, x - size / 3) < size / 9)
    return (gain * (body + hot) + rng.normal(0, 5, body.shape)).astype(np.float32)


WINDOW = {"CT": {"window": [-100, 300]}}


@pytest.fixture(scope="module")
def teacher():
    return somray.Teacher(modality="CT", intensity=WINDOW).fit(scene())


def test_the_map_can_be_a_hexagonal_torus():
    other = somray.Teacher((6, 5), "CT", intensity=WINDOW, topology="hexagonal", torus=True)
    other.fit(scene())
    assert (other.codebook.topology, other.codebook.wraps) == ("hexagonal", True)
    assert (other.predict(scene()) > 0).all()


def test_settings_that_do_not_exist_are_named():
    with pytest.raises(TypeError, match="no settings toroidal; further ones are engine, epochs"):
        somray.Teacher(toroidal=True)


def test_drift_is_told_without_a_mask(teacher):
    assert teacher.drift(scene(seed=1)).status == "ok"
    moved = teacher.drift(scene(seed=1) + 90)
    assert moved.status == "drifted"
    assert "as far from their nodes" in moved.reason


def test_a_refit_keeps_the_numbers_of_the_classes(teacher):
    changed = scene(seed=2, gain=1.3)
    refitted = somray.Teacher(modality="CT", intensity=WINDOW).fit(changed, previous=teacher)
    assert refitted.classes == teacher.classes
    assert (refitted.codebook.weights != teacher.codebook.weights).any()
    one, other = refitted.predict(changed), teacher.predict(scene(seed=2))
    assert (one == other).mean() > 0.9


def test_threads_do_not_change_a_bit(monkeypatch):
    seen = []
    for threads in ("1", "2"):
        monkeypatch.setenv("SOMRAY_NUM_THREADS", threads)
        found = somray.Teacher(modality="CT", intensity=WINDOW).fit(scene(160))
        seen.append((found.codebook.weights.tobytes(), found.predict(scene(160)).tobytes()))
    assert seen[0] == seen[1]


def test_smoothing_is_a_choice_that_removes_specks():
    image = scene(seed=4)
    plain = somray.Teacher(modality="CT", intensity=WINDOW).fit(image)
    smooth = somray.Teacher(modality="CT", intensity=WINDOW, smoothing_mm=2.0).fit(image)
    assert plain.codebook.weights.tobytes() == smooth.codebook.weights.tobytes()
    one, other = plain.predict(image), smooth.predict(image)
    assert 0 < (one != other).mean() < 0.2
    assert (np.diff(other) != 0).sum() < (np.diff(one) != 0).sum()


def test_the_torch_engine_gives_the_map_that_ours_does():
    ours = somray.Teacher(modality="CT", intensity=WINDOW).fit(scene())
    torch = somray.Teacher(modality="CT", intensity=WINDOW, engine="torch").fit(scene())
    np.testing.assert_allclose(ours.codebook.weights, torch.codebook.weights, atol=1e-4)
    assert (ours.predict(scene()) == torch.predict(scene())).mean() > 0.999


def subject(gain=1.0, hot=slice(2, 4), seed=0, size=40):
    """Six slices (n, 2, y, x) of a body with a lesion in some of them, uptake times `gain`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    body = np.hypot(y - size / 2, x - size / 2) < 16
    lesion = np.zeros((6, size, size), bool)
    lesion[hot] = np.hypot(y - 18, x - 15) < 8
    ct = np.where(body, 50.0, -1000.0) + rng.normal(0, 8, lesion.shape)
    pet = gain * np.where(lesion, 6.0, np.where(body, 0.6, 0.01)) * rng.uniform(0.9, 1.1, ct.shape)
    return np.stack([ct, pet], axis=1).astype("f4"), lesion


def dice(one, other):
    return 2 * (one & other).sum() / (one.sum() + other.sum())


@pytest.fixture(scope="module")
def petct():
    return somray.Teacher(modality="PETCT").fit(subject()[0])


def test_several_slices_are_seen_at_their_own_scans_level(petct):
    image, lesion = subject(gain=10.0, seed=1)
    found = petct.predict(image)
    assert np.array_equal(found, petct.predict(image, level=petct.level_of(image)))
    assert dice(found == 3, lesion) > 0.9
    at_reference = petct.predict(image, level=petct.level_of(subject()[0]))
    assert dice(at_reference == 3, lesion) < 0.5
    assert petct.drift(image) == petct.drift(image, level=petct.level_of(image))


def test_one_slice_is_seen_at_the_references_level(petct):
    image, _ = subject(gain=10.0, seed=1)
    own = petct.model.extra["subject_level"]
    for one in (image[2], image[2:3]):
        found = petct.predict(one)
        assert np.array_equal(found, petct.predict(one, level=own))
        assert (found != petct.predict(one, level=petct.level_of(image))).any()
    assert petct.predict(image[2]).shape == (40, 40)
    assert petct.predict(image[2:3]).shape == (1, 40, 40)


def test_several_slices_are_fitted_at_the_level_of_all_of_them():
    image, _ = subject()
    teacher = somray.Teacher(modality="PETCT")
    found = teacher.fit(image).model
    assert found.extra["subject_level"] == teacher.level_of(image)
    told = teacher.fit(image, level=3.0).model
    assert told.extra["subject_level"] == 3.0
    assert teacher.fit(image, spacing_mm=(3.0, 1.0, 1.0)).model.spacing_mm == (1.0, 1.0)


def test_with_one_channel_a_volume_is_given_as_it_is():
    pet = subject()[0][:, 1]
    teacher = somray.Teacher(modality="PET").fit(pet)
    same = somray.Teacher(modality="PET").fit(pet[:, None])
    assert teacher.codebook.weights.tobytes() == same.codebook.weights.tobytes()
    assert np.array_equal(teacher.predict(pet), same.predict(pet[:, None]))
    assert teacher.level_of(pet) == same.level_of(pet[:, None])
    assert teacher.drift(pet) == same.drift(pet[:, None])
    assert teacher.predict(pet[:1]).shape == teacher.predict(pet[0]).shape == (40, 40)
    with pytest.raises(ShapeError, match=r"a volume \(z, y, x\)"):
        teacher.predict(pet[:, None].repeat(2, axis=1))


def test_slices_without_a_body_have_no_level_and_say_so(petct):
    blank = np.full((2, 2, 8, 8), np.nan, "f4")
    with pytest.raises(ShapeError, match="no uptake to scale by"):
        petct.predict(blank)
    assert (petct.predict(blank, level=2.0) == 0).all()


def test_whole_volumes_without_a_level_are_carried_over_as_with_it(real_data):
    bench = pytest.importorskip("tests.benchmarks.bench_lesions")
    source, *others = (bench.load(real_data, s).thinned(4) for s in ("001", "004", "014"))
    teacher = somray.Teacher(modality="PETCT").fit(source.image[7], source.spacing_mm, source.level)
    found = [teacher.predict(scan.image, scan.spacing_mm) for scan in others]
    given = [teacher.predict(scan.image, scan.spacing_mm, scan.level) for scan in others]
    scores = [
        np.mean([dice(m == 3, s.mask) for m, s in zip(masks, others, strict=True)])
        for masks in (found, given)
    ]
    assert scores[0] == scores[1] > 0.7
