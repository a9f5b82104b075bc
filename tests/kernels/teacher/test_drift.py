import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.teacher.drift import (
    DriftReference,
    DriftSums,
    drift_of,
    merge_drift,
)

NAMES = ("CT_edge", "CT_thickness", "CT_mean5")
WEIGHTS = np.array([1.0, 0.3, 1.0], "f4")
REFERENCE = DriftReference(1.0, 3.0)


def scan(count=4000, seed=0):
    """A scan that is like the reference: standardised features and distances of mean 1."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, count)).astype("f4"), rng.uniform(0, 2, count).astype("f4")


def drift_sums(standardised, distances, reference):
    """Add up features (f, n) and distances (n,) plainly."""
    lines = standardised.astype(np.float64)
    return DriftSums(
        count=distances.size,
        sums=tuple(lines.sum(axis=1).tolist()),
        squares=tuple((lines**2).sum(axis=1).tolist()),
        distance=float(distances.sum(dtype=np.float64)),
        far=int((distances > reference.far_distance).sum()),
    )


def verdict(features, distances, reference=REFERENCE):
    return drift_of(drift_sums(features, distances, reference), reference, NAMES, WEIGHTS)


def test_a_scan_like_the_reference_is_ok():
    found = verdict(*scan())
    assert found.status == "ok"
    assert found.distance_ratio == pytest.approx(1, abs=0.05)
    assert found.far_fraction == 0
    assert found.sharpness == pytest.approx(1, abs=0.05)
    assert found.reason == ""


def test_pixels_far_from_their_nodes_are_drift_and_the_feature_that_moved_is_named():
    features, distances = scan()
    features[2] += 1.2
    found = verdict(features, distances * np.float32(1.6))
    assert found.status == "drifted"
    assert found.feature == "CT_mean5"
    assert found.shift == pytest.approx(1.2, abs=0.05)
    assert "1.6" in found.reason


def test_a_feature_that_hardly_counts_is_not_blamed():
    features, distances = scan()
    features[1] += 1.0
    features[0] -= 0.5
    found = verdict(features, distances)
    assert (found.feature, round(found.shift, 1)) == ("CT_edge", -0.5)


def test_unknown_tissue_is_drift_though_it_covers_little():
    features, distances = scan()
    distances[:400] = 4.0
    found = verdict(features, distances)
    assert found.far_fraction == pytest.approx(0.1)
    assert found.status == "drifted"
    assert "10 %" in found.reason


def test_a_blurred_scan_is_drift_though_no_pixel_is_far():
    features, distances = scan()
    features[1] *= 0.5
    found = verdict(features, distances)
    assert (found.status, found.feature) == ("drifted", "CT_thickness")
    assert found.sharpness == pytest.approx(0.5, abs=0.05)


def test_sharpness_is_that_of_the_worst_channel_and_none_without_the_features():
    features, distances = scan()
    both = np.concatenate([features, features * np.float32([[1], [0.6], [1]])])
    names = (*NAMES, "PET_edge", "PET_thickness", "PET_mean5")
    sums = drift_sums(both, distances, REFERENCE)
    found = drift_of(sums, REFERENCE, names, np.tile(WEIGHTS, 2))
    assert found.feature == "PET_thickness"
    sums = drift_sums(features[2:], distances, REFERENCE)
    assert drift_of(sums, REFERENCE, ("CT_mean5",), WEIGHTS[2:]).sharpness is None


def test_a_channel_whose_fine_structure_hardly_counts_is_not_judged_by_it():
    features, distances = scan()
    features[1] *= 0.5
    sums = drift_sums(features, distances, REFERENCE)
    found = drift_of(sums, REFERENCE, NAMES, np.array([1.0, 0.1, 1.0], "f4"))
    assert (found.status, found.sharpness) == ("ok", None)


def test_slabs_merged_in_order_say_the_same_as_the_whole_scan():
    features, distances = scan(5000)
    cuts = [0, 700, 701, 3000, 5000]
    parts = [drift_sums(features[:, a:b], distances[a:b], REFERENCE) for a, b in pairwise(cuts)]
    merged, whole = merge_drift(parts), drift_sums(features, distances, REFERENCE)
    assert (merged.count, merged.far) == (whole.count, whole.far)
    assert np.allclose(merged.sums, whole.sums)
    assert np.allclose(merged.squares, whole.squares)
    assert merge_drift(parts) == merge_drift(list(parts))
    nested = merge_drift([merge_drift(parts[:2]), merge_drift(parts[2:])])
    assert np.allclose(nested.sums, merged.sums)


def test_sums_survive_json():
    sums = drift_sums(*scan(), REFERENCE)
    back = json.loads(json.dumps(asdict(sums)))
    back = DriftSums(**back | {k: tuple(back[k]) for k in ("sums", "squares")})
    assert back == sums


def test_the_reference_is_never_drifted_from_itself():
    rng = np.random.default_rng(3)
    distances = rng.gamma(2.0, 1.0, 10_000).astype("f4")
    features = rng.normal(size=(3, 10_000)).astype("f4")
    own = DriftReference(float(distances.mean()), float(np.percentile(distances, 99)))
    found = verdict(features, distances, own)
    assert found.status == "ok"
    assert found.distance_ratio == pytest.approx(1)
    assert found.far_fraction == pytest.approx(0.01, abs=1e-3)


def test_a_reference_that_lies_on_its_nodes_still_gives_a_verdict():
    features, distances = scan()
    reference = DriftReference(0.0, 0.0)
    assert verdict(features, distances * 0, reference).status == "ok"
    assert verdict(features, distances, reference).status == "drifted"


def test_a_scan_without_data_has_no_verdict():
    assert verdict(np.zeros((3, 0), "f4"), np.zeros(0, "f4")) is None


def test_what_does_not_fit_is_refused():
    features, distances = scan()
    with pytest.raises(ShapeError, match="2 names"):
        drift_of(drift_sums(features, distances, REFERENCE), REFERENCE, NAMES[:2], WEIGHTS)
    with pytest.raises(ShapeError, match="there must be one"):
        merge_drift([])
