import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import somray
from somray.api.estimator import SelfOrganizingMap
from somray.errors import ShapeError
from somray.kernels.som import arrays


@parametrize_with_checks([SelfOrganizingMap((3, 3)), SelfOrganizingMap((2, 4), start="samples")])
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def cloud(count=600, features=4, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(0, 3, (6, features))
    return (centers[rng.integers(0, 6, count)] + rng.normal(0, 0.4, (count, features))).astype("f4")


def test_it_is_the_map_of_the_kernels():
    samples = cloud()
    found = somray.som.SelfOrganizingMap((3, 4), epochs=5, topology="hexagonal").fit(samples)
    expected = arrays.fit(samples, (3, 4), epochs=5, training=arrays.Training(topology="hexagonal"))
    assert np.array_equal(found.cluster_centers_, expected.weights)
    assert found.codebook_.topology == "hexagonal"
    assert found.n_iter_ == 5
    assert np.array_equal(found.labels_, arrays.assign(samples, expected))
    assert np.array_equal(found.predict(samples), found.labels_)
    assert np.array_equal(found.fit_predict(samples), found.labels_)


def test_transform_gives_the_distances_to_the_nodes():
    samples = cloud()
    estimator = SelfOrganizingMap((3, 3)).fit(samples)
    distances = estimator.transform(samples)
    expected = np.linalg.norm(samples[:, None] - estimator.cluster_centers_[None], axis=2)
    assert np.allclose(distances, expected, atol=1e-3)
    assert np.array_equal(distances.argmin(1), estimator.predict(samples))
    assert estimator.get_feature_names_out()[0] == "selforganizingmap0"


def test_it_works_in_a_pipeline_behind_a_scaler():
    samples = cloud() * np.array([1, 100, 0.01, 1], "f4")
    chain = make_pipeline(StandardScaler(), SelfOrganizingMap((3, 3)))
    labels = chain.fit_predict(samples)
    assert len(np.unique(labels)) > 4
    assert np.array_equal(chain.predict(samples), labels)


def test_parameters_travel_and_a_clone_fits_alike():
    first = SelfOrganizingMap((2, 3), start="samples", random_state=7, wraps=True)
    second = clone(first.set_params(epochs=4))
    assert second.get_params() == first.get_params()
    assert second.get_params()["epochs"] == 4
    samples = cloud()
    assert np.array_equal(first.fit(samples).cluster_centers_, second.fit(samples).cluster_centers_)


def test_a_wrong_parameter_is_told_at_the_fit():
    with pytest.raises(ShapeError, match="unknown start 'random'; known: pca, samples"):
        SelfOrganizingMap((2, 2), start="random").fit(cloud())


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_somray_does_not_import_scikit_learn_by_itself():
    code = "import sys, somray, somray.som; somray.som.fit; print('sklearn' in sys.modules)"
    assert run(code).strip() == "False"


def test_without_scikit_learn_the_error_says_what_to_install():
    code = "import sys; sys.modules['sklearn.base'] = None; import somray; somray.som.SelfOrganizingMap"
    assert 'needs scikit-learn: pip install "somray[sklearn]"' in run(code)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Map'"):
        somray.som.Map  # noqa: B018
