"""A student that sees neighbouring slices, from configuration to labels and export."""

import csv
import json
import shutil

import nibabel
import numpy as np
import pytest

import somray
from somray.cli import main
from somray.kernels.student.inputs import Look
from somray.kernels.student.noise_view import QUIET
from somray.kernels.student.predict import feature_names_of, predict_student
from tests.cohort_fixtures import run_in

NOISY = slice(8, 11)  # of s02 t1
SETTING = "protocols.phantom-ct.student"


@pytest.fixture(scope="module")
def runs(cohort_folder, tmp_path_factory):
    """Runs of the cohort with a noisy scan, by how many neighbours their students see."""
    folder = tmp_path_factory.mktemp("noisy") / "cohort"
    shutil.copytree(cohort_folder, folder)
    rows = list(csv.DictReader((folder / "scans.csv").read_text().splitlines()))
    place = next(r["path"] for r in rows if (r["subject"], r["session"]) == ("s02", "t1"))
    scan = nibabel.load(folder / place)
    values = scan.get_fdata(dtype=np.float32)
    values[:, :, NOISY] += np.random.default_rng(0).normal(0, 60, values[:, :, NOISY].shape)
    nibabel.save(nibabel.Nifti1Image(values, scan.affine, dtype=np.float32), folder / place)
    found = {}
    for reach in (0, 2):
        root = folder.parent / f"run{reach}"
        settings = f"{SETTING}.neighbours={reach}", f"{SETTING}.confidence=true"
        assert run_in(folder, f"output={root}", *settings)["state"] == "done"
        found[reach] = somray.open_run(root)
    return found


def test_labels_are_what_each_slice_and_its_neighbours_say(runs):
    run = runs[2]
    student, scan = run.student("phantom-ct"), run.scan("s02", "t1")
    images = np.ascontiguousarray(scan.image.values[0].swapaxes(0, 1), dtype=np.float32)
    wide = np.concatenate([images[:1], images[:1], images, images[-1:], images[-1:]])
    around = np.stack([wide[[n, n + 1, n + 3, n + 4]] for n in range(len(images))])
    expected = predict_student(student, images, student.spacing_mm, around=around) >= 0.5
    np.testing.assert_array_equal(scan.student.values[0] > 0, expected)
    assert expected.any()


def test_neighbours_change_noisy_slices_alone(runs):
    quiet, student = [], runs[0].student("phantom-ct")
    noise = student.weights["noise"]
    look = Look(student.windows, feature_names_of(student), student.spacing_mm, noise=noise)
    for subject, session in (("s01", "t0"), ("s02", "t1")):
        images, probability = [], {}
        for reach, run in runs.items():
            scan = run.scan(subject, session)
            images = np.ascontiguousarray(scan.image.values[0].swapaxes(0, 1), dtype=np.float32)
            probability[reach] = scan.confidence.values[0]
        differs = (probability[0] != probability[2]).any(axis=(1, 2))
        noisy = np.array([(look.noise_of(image).excess > QUIET).any() for image in images])
        assert not differs[~noisy].any()
        quiet += [~noisy]
        if session == "t1":
            assert differs[NOISY].any()
    assert np.concatenate(quiet).any()


def test_the_exported_student_tells_its_planes_and_agrees(runs, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    assert main(["export", str(runs[2].root), "--format", "onnx", "--out", str(tmp_path)]) == 0
    facts = json.loads((tmp_path / "phantom-ct.json").read_text())
    assert facts["planes"] == ["CT", "CT at z-2", "CT at z-1", "CT at z+1", "CT at z+2"]
    scan, student = runs[2].scan("s02", "t1"), runs[2].student("phantom-ct")
    images = np.ascontiguousarray(scan.image.values[0].swapaxes(0, 1), dtype=np.float32)
    given = images[[9, 7, 8, 10, 11]][None, :, 0]
    session = runtime.InferenceSession(tmp_path / "phantom-ct.onnx")
    (found,) = session.run(None, {"image": given})
    around = images[[7, 8, 10, 11]][None]
    expected = predict_student(student, images[9:10], student.spacing_mm, around=around)
    np.testing.assert_allclose(found, expected, atol=1e-3)
