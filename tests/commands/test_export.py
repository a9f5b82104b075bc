"""`somray export`: a run's students for other programs."""

import json

import numpy as np
import pytest

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
        (["--format", "nifti"], "expected onnx"),
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
