"""The student's confidence as a label: asked for, written with its mask, gone when no longer asked for."""

import numpy as np
import zarr

import somray
from somray.kernels.student.predict import predict_student
from tests.cohort_fixtures import run_in

SETTING = "protocols.phantom-ct.student.confidence"


def _group(root):
    path = root / "scans/sub-s02_ses-t1.ome.zarr/labels"
    return zarr.open_group(path, mode="r")


def test_confidence_is_written_beside_the_mask_without_training_again(finished_copy, cohort_folder):
    before = somray.open_run(finished_copy)
    mask, model = before.scan("s02", "t1").student.values, before.model_info("phantom-ct")
    run_in(cohort_folder, f"output={finished_copy}", f"{SETTING}=true")

    run = somray.open_run(finished_copy)
    scan = run.scan("s02", "t1")
    assert run.model_info("phantom-ct") == model
    np.testing.assert_array_equal(scan.student.values, mask)
    images = np.ascontiguousarray(scan.image.values[0].swapaxes(0, 1), dtype=np.float32)
    student = run.student("phantom-ct")
    chance = predict_student(student, images)
    found = scan.confidence.values[0]
    missing = np.isnan(images).any(axis=1)
    np.testing.assert_allclose(
        found[~missing], 100 * np.maximum(chance, 1 - chance)[~missing], atol=0.51
    )
    assert (found[missing] == 0).all()
    labels = _group(finished_copy)
    assert labels.attrs["ome"]["labels"] == ["som", "student", "confidence", "objects", "lesions"]
    attributes = labels["confidence"].attrs
    assert attributes["somray"]["complete"] is True
    told = {p["label-value"]: p["class"] for p in attributes["ome"]["image-label"]["properties"]}
    assert told[0] == "no data"
    assert told[93] == "93 % sure"

    run_in(cohort_folder, f"output={finished_copy}")
    assert "confidence" not in _group(finished_copy)
    assert _group(finished_copy).attrs["ome"]["labels"] == ["som", "student", "objects", "lesions"]
