"""Students at the edge, from files to tables: nothing to learn, nothing but target, one slice, hundreds."""

import numpy as np
import pytest
import SimpleITK
import yaml

import somray
from somray.io import models
from somray.io.storage import Storage
from tests.cohort_fixtures import run_in

WINDOW = {"CT": {"window": [-1000, 400]}}


def _cohort(folder, volumes, **protocol):
    """Write volumes (z, y, x) in HU and a configuration; return the folder of the run to come."""
    lines = ["subject,session,protocol,path"]
    for name, volume in volumes.items():
        image = SimpleITK.GetImageFromArray(volume.astype(np.int16))
        SimpleITK.WriteImage(image, str(folder / f"{name}.nii.gz"))
        lines.append(f"{name},t0,p,{name}.nii.gz")
    (folder / "scans.csv").write_text("\n".join(lines) + "\n")
    student = {"rounds": 2, "steps": 4, "threads": 1, **protocol.pop("student", {})}
    teacher = {"grid": [3, 3], "epochs": 4, **protocol.pop("teacher", {})}
    parts = {"modality": "CT", "channels": ["CT"], "intensity": WINDOW, **protocol}
    config = {"student": student, "teacher": teacher, "registration": {"pairs": []}, **parts}
    text = yaml.safe_dump({"scans": "scans.csv", "output": "run", "protocols": {"p": config}})
    (folder / "cohort.yaml").write_text(text)
    return folder / "run"


def _body(depth, side=40, seed=0, bright=300):
    """Air, a disc of tissue, a bright spot in it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] - side / 2
    slice_ = np.where(np.hypot(y, x) < 0.4 * side, 40.0, -1000.0)
    slice_[np.hypot(y - 2, x + 3) < 0.12 * side] = bright
    return slice_ + rng.normal(0, 15, (depth, side, side))


def _ran(folder, run):
    summary = run_in(folder)
    assert summary["state"] == "done"
    assert summary["broken"] == 0
    return somray.open_run(run), models.read_student(Storage.at(str(run)), "p").history


@pytest.mark.parametrize(
    ("nodes", "word", "share"), [(range(9), "fills", 1.0), ([], "is absent from", 0.0)]
)
def test_a_target_with_one_side_only_gives_a_constant_student(tmp_path, nodes, word, share):
    # A class that the person gives all nodes, or none.
    teacher = {"target": "tumour", "classes": {"tumour": list(nodes)}}
    run = _cohort(tmp_path, {"s": _body(4)}, teacher=teacher)
    found, history = _ran(tmp_path, run)
    assert word in history["note"]
    assert "must not replace the SOM" in history["verdict"]
    assert found.table("training").empty
    labels = found.scan("s", "t0").student.values
    assert (labels > 0).mean() == share
    assert len(found.table("convergence")) == 1


def test_one_slice_alone_is_one_round(tmp_path):
    found, history = _ran(tmp_path, _cohort(tmp_path, {"s": _body(1)}))
    assert "2 rounds asked, 1 slices" in history["note"]
    assert "cannot be judged" in history["verdict"]
    assert found.table("convergence").stage.tolist() == ["A", "cohort"]
    assert found.table("agreement").role.tolist() == ["train", "held_out"]
    assert found.scan("s", "t0").student.shape == (1, 1, 40, 40)


def test_slices_without_two_of_the_classes_are_learned_from_all_the_same(tmp_path):
    flat = np.random.default_rng(0).normal(40, 15, (3, 40, 40))  # neither air nor a bright spot
    teacher = {"target": "normal"}
    found, history = _ran(tmp_path, _cohort(tmp_path, {"s": flat}, teacher=teacher))
    present = set(np.unique(found.scan("s", "t0").som.values))
    assert len({1, 2, 3, 4} - present) >= 2
    assert history["rounds_done"] >= 1
    assert history["verdict"]


def test_hundreds_of_small_slices_end_like_any_others(tmp_path):
    found, history = _ran(tmp_path, _cohort(tmp_path, {"s": _body(300, side=16)}))
    assert history["rounds_done"] >= 2
    assert found.scan("s", "t0").student.shape[1] == 300
    slices = found.table("slices")
    assert (slices.method == "student").sum() == 300
    assert found.table("agreement").z.nunique() == 2
