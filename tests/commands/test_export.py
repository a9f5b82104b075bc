"""`somray export`: a run's students and masks for other programs; `apply --format`."""

import json

import nibabel as nib
import numpy as np
import pyarrow.parquet
import pytest
import SimpleITK

import somray
from somray.cli import main
from somray.kernels.student.predict import predict_student


def _export(run, out, *arguments):
    return main(["export", str(run), "--format", "onnx", "--out", str(out), *arguments])


def test_an_exported_student_agrees_with_the_run(finished, tmp_path, capsys):
    runtime = pytest.importorskip("onnxruntime")
    assert _export(finished[0], tmp_path / "out", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["left_out"] == []
    assert [file.rsplit("/", 1)[1] for file in told["files"]] == [
        "phantom-ct.onnx",
        "phantom-ct.json",
    ]
    run = somray.open_run(finished[0])
    model, image = run.student("phantom-ct"), run.scan("s02", "t1").image.values[0]
    images = np.ascontiguousarray(image.swapaxes(0, 1), dtype=np.float32)
    session = runtime.InferenceSession(told["files"][0])
    (found,) = session.run(None, {"image": images})
    expected = predict_student(model, images)
    assert np.abs(found - expected).max() < 1e-3
    assert ((found >= 0.5) != (expected >= 0.5)).mean() < 1e-4
    facts = json.loads((tmp_path / "out/phantom-ct.json").read_text())
    assert facts["units"] == ["HU"]
    assert facts["windows"] == {"CT": list(model.windows[0])}
    assert "not accuracy" in session.get_modelmeta().custom_metadata_map["note"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "none"], "the run has phantom-ct"),
        (
            ["--format", "analyze"],
            "expected nifti, nrrd, dicom-seg, rtstruct, nnunet, decathlon, onnx",
        ),
    ],
)
def test_export_refuses_what_there_is_not(finished, tmp_path, arguments, message, capsys):
    pytest.importorskip("onnx")
    assert _export(finished[0], tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_without_a_student_is_refused_with_the_way_out(finished_copy, tmp_path, capsys):
    pytest.importorskip("onnx")
    place = finished_copy / "models/phantom-ct/model.json"
    info = json.loads(place.read_text())
    info.pop("student")
    place.write_text(json.dumps(info))
    assert _export(finished_copy, tmp_path / "out") == 2
    assert "no student to export for phantom-ct" in capsys.readouterr().err


def test_masks_of_a_run_lie_on_their_sources(finished, cohort_folder, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(finished[0]), "--format", "nifti", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {one["subject"] for one in told["left_out"]} == {"cut", "gone", "twin"}
    assert len(told["files"]) == 4 * 3 * 2
    scan = somray.open_run(finished[0]).scan("s01", "t1")
    source = nib.load(next((cohort_folder / "scans").glob("*s01*t1*.nii.gz")))
    for label in ("som", "student", "lesions"):
        mask = nib.load(out / f"sub-s01_ses-t1_{label}.nii.gz")
        assert np.allclose(mask.affine, source.affine, atol=1e-4)
        assert np.array_equal(np.asarray(mask.dataobj), scan[label].values[0].transpose(2, 1, 0))


def test_classes_of_a_run_are_labels_of_a_data_set(finished, tmp_path):
    arguments = ["--format", "nnunet", "--label", "som", "--no-ignore", "--out", str(tmp_path)]
    assert main(["export", str(finished[0]), *arguments]) == 0
    facts = json.loads((tmp_path / "Dataset501_phantom-ct/dataset.json").read_text())
    assert list(facts["labels"].values()) == list(range(len(facts["labels"])))
    assert list(facts["labels"])[:4] == ["background", "normal", "lesion", "boundary"]
    label = nib.load(tmp_path / "Dataset501_phantom-ct/labelsTr/sub-s01_ses-t0.nii.gz")
    som = somray.open_run(finished[0]).scan("s01", "t0").som.values[0].transpose(2, 1, 0)
    assert np.array_equal(np.asarray(label.dataobj), np.where(som < 2, 0, som - 1))


@pytest.mark.parametrize(("form", "ending"), [("nifti", "nii.gz"), ("nrrd", "nrrd")])
def test_apply_writes_its_mask_beside_the_scan(
    finished, cohort_folder, tmp_path, capsys, form, ending
):
    source = next((cohort_folder / "scans").glob("*s01*t1*.nii.gz"))
    arguments = ["--protocol", "phantom-ct", "--out", str(tmp_path), "--format", form, "--json"]
    assert main(["apply", str(finished[0]), str(source), *arguments]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["files"][0] == str(tmp_path / f"sub-new_ses-t0_som.{ending}")
    assert (told["repairs"], told["doubts"]) == ([], [])
    mask, image = SimpleITK.ReadImage(told["files"][0]), SimpleITK.ReadImage(str(source))
    assert mask.GetSize() == image.GetSize()
    assert np.allclose(mask.GetOrigin(), image.GetOrigin(), atol=1e-3)
    stored = somray.open_run(finished[0]).scan("s01", "t1").som.values[0]
    assert np.array_equal(SimpleITK.GetArrayFromImage(mask), stored)


def test_apply_warns_of_a_scan_in_another_unit(finished_copy, cohort_folder, tmp_path, capsys):
    for part in (finished_copy / "tables/scans").rglob("*.parquet"):
        rows = pyarrow.parquet.read_table(part)
        unit = pyarrow.array(["raw"] * len(rows), pyarrow.string())
        at = rows.schema.get_field_index("unit")
        pyarrow.parquet.write_table(rows.set_column(at, rows.schema.field(at), unit), part)
    source = next((cohort_folder / "scans").glob("*s01*t1*.nii.gz"))
    asked = ["--protocol", "phantom-ct", "--out", str(tmp_path / "out")]
    assert main(["apply", str(finished_copy), str(source), *asked]) == 0
    words = "warning: its values are in HU, those of protocol phantom-ct in raw"
    assert words in capsys.readouterr().err


def test_apply_tells_why_a_mask_is_not_written(finished, cohort_folder, tmp_path, capsys):
    source = next((cohort_folder / "scans").glob("*s01*t1*.nii.gz"))
    arguments = ["--protocol", "phantom-ct", "--out", str(tmp_path)]
    applied = ["apply", str(finished[0]), str(source), *arguments]
    assert main([*applied, "--format", "rtstruct"]) == 4
    assert "left out new t0 som: rtstruct needs a DICOM source" in capsys.readouterr().err
    assert main([*applied, "--format", "nnunet"]) == 2
