"""`somray.Teacher` beyond fit and predict: settings, drift, refits that keep what classes mean."""

import numpy as np
import pytest

import somray


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
