import json

import numpy as np
import pytest

from somray.domain.student import StudentModel
from somray.domain.teacher import CLASSES, Codebook, TeacherModel
from somray.errors import ShapeError, StoreError
from somray.io.models import read_student, read_teacher, write_student, write_teacher
from somray.io.storage import Storage


def _teacher(seed=0):
    rng = np.random.default_rng(seed)
    book = Codebook(rng.normal(size=(4, 2)).astype(np.float32), (2, 2), hits=np.arange(4))
    return TeacherModel(
        codebook=book,
        modality="CT",
        channels=("CT",),
        windows=((-1000.0, 400.0),),
        features=("intensity", "edge"),
        center=np.zeros(2, np.float32),
        scale=np.ones(2, np.float32),
        feature_weights=np.ones(2, np.float32),
        node_classes=np.array([1, 2, 3, 4], np.uint8),
        class_names=dict(CLASSES),
        doubtful={"lesion": "isodense"},
        extra={"level": 0.1},
        denoise="auto",
        noise=((0.1, 0.2, 1 / 3, 0.01, 0.02, 0.03),),
    )


def _student():
    weights = {"b": np.ones(3, np.float32), "a": np.arange(4, dtype=np.float32).reshape(2, 2)}
    network = {"dimensions": 3, "inputs": 3, "widths": "8,16,32", "kinds": "CT"}
    history = {"rounds_done": 4, "note": "", "converged": True, "calibration_error_after": None}
    return StudentModel(
        weights, network, ("CT",), ((-1.0, 1.0),), history=history, temperature=1 / 3
    )


def test_a_teacher_comes_back_bit_for_bit(tmp_path):
    storage, model = Storage.at(tmp_path), _teacher()
    write_teacher(storage, "p", model)
    found = read_teacher(storage, "p")
    assert found.codebook.weights.tobytes() == model.codebook.weights.tobytes()
    assert found.class_names == model.class_names
    assert found.doubtful == model.doubtful
    assert found.windows == model.windows
    assert found.extra == model.extra
    assert list(found.codebook.hits) == [0, 1, 2, 3]
    assert (found.denoise, found.noise) == (model.denoise, model.noise)


def test_a_teacher_of_before_is_read_as_one_that_never_denoises(tmp_path):
    storage = Storage.at(tmp_path)
    write_teacher(storage, "p", _teacher())
    path = next(tmp_path.rglob("model.json"))
    info = json.loads(path.read_text())
    del info["teacher"]["denoise"], info["teacher"]["noise"]
    path.write_text(json.dumps(info))
    found = read_teacher(storage, "p")
    assert (found.denoise, found.noise) == ("none", ())


def test_a_student_comes_back_bit_for_bit_beside_its_teacher(tmp_path):
    storage = Storage.at(tmp_path)
    write_teacher(storage, "p", _teacher())
    write_student(storage, "p", _student())
    found = read_student(storage, "p")
    assert {k: v.tolist() for k, v in found.weights.items()} == {
        "a": [[0.0, 1.0], [2.0, 3.0]],
        "b": [1.0, 1.0, 1.0],
    }
    given = _student()
    assert found.network == given.network
    assert found.history == given.history
    assert (found.channels, found.windows, found.target) == (("CT",), ((-1.0, 1.0),), "lesion")
    assert found.temperature == given.temperature


def test_a_new_teacher_drops_the_student_that_learned_from_the_old_one(tmp_path):
    storage = Storage.at(tmp_path)
    write_teacher(storage, "p", _teacher())
    write_student(storage, "p", _student())
    write_teacher(storage, "p", _teacher(seed=1))
    with pytest.raises(StoreError, match="holds no student"):
        read_student(storage, "p")
    assert len(storage.names("models/p")) == 2


def test_model_json_names_every_file_and_holds_no_pickle(tmp_path):
    storage = Storage.at(tmp_path)
    write_teacher(storage, "p", _teacher())
    info = json.loads(storage.read_text("models/p/model.json"))
    assert storage.exists(f"models/p/{info['teacher']['file']}")
    assert {n.rsplit(".", 1)[1] for n in storage.names("models/p")} == {"json", "safetensors"}


def test_a_codebook_that_does_not_fit_its_grid_is_refused():
    with pytest.raises(ShapeError, match="grid"):
        Codebook(np.zeros((3, 2), np.float32), (2, 2))
