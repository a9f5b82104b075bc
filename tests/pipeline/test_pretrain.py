"""An encoder within a run and alone: what is done once, what is told of it, what goes when its teacher goes."""

import shutil

import pytest
import yaml

from somray.commands.launch import load_cohort
from somray.config import parse_config
from somray.domain.run import RunLayout
from somray.errors import ConfigError
from somray.io.ledger import Ledger
from somray.io.models import encoder_bytes, read_encoder, read_model_info
from somray.io.run import open_run
from somray.io.storage import Storage
from somray.pipeline.pretrain.run import pretrain_cohort
from somray.runtime.serial import SerialExecutor
from tests.pipeline.planned import executed_units, planned_units
from tests.pipeline.tiny import QUICK, body, run_tiny, save, write_manifest

PRETRAIN = {"steps": 26, "batch": 2, "patch": 16, "block": 4, "codebooks": 2}
PROTOCOL = {
    **QUICK,
    "segment": "student",
    "student": {"encoder": "pretrained", "steps": 4, "rounds": 1, "cohort": 0},
    "pretrain": PRETRAIN,
}


def make(folder, protocol, subjects="ab"):
    for subject in subjects:
        save(folder / f"{subject}.nii.gz", body((6, 32, 32), seed=ord(subject)))
    rows = [(s, "t0", "p", f"{s}.nii.gz") for s in subjects]
    write_manifest(folder, rows, {"p": protocol})


def pretrain(folder):
    return pretrain_cohort(load_cohort(folder / "cohort.yaml"), SerialExecutor())


def changed(folder, **settings):
    """Change the protocol's configuration."""
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    config["protocols"]["p"].update(settings)
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A folder whose cohort was pretrained and not run, and what that told."""
    folder = tmp_path_factory.mktemp("alone")
    make(folder, PROTOCOL)
    return folder, pretrain(folder)


@pytest.fixture(scope="module")
def whole(alone, tmp_path_factory):
    """A copy of it that was then run."""
    folder = tmp_path_factory.mktemp("whole") / "cohort"
    shutil.copytree(alone[0], folder)
    return folder, run_tiny(folder)


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of the run that a test may change."""
    shutil.copytree(whole[0], tmp_path / "cohort")
    return tmp_path / "cohort"


def test_the_verb_does_what_pretraining_needs_and_no_more(alone):
    folder, told = alone
    done = {s["stage"]: s["done"] for s in told["stages"] if s["done"]}
    assert done == {"ingest": 2, "teacher": 1, "shards": 3, "pretrain": 1}
    assert (told["state"], told["failed"], told["broken"]) == ("stopped", 0, 0)
    run = open_run(folder / "run")
    rows = run.table("pretraining")
    assert list(rows.epoch) == [1, 2]
    assert rows.accuracy.between(0, 1).all()
    history = told["encoders"]["p"]["history"]
    assert (history["scans"], history["subjects"], history["steps"]) == (2, 2, 26)
    assert not run.storage.names(RunLayout.training)
    assert pretrain(folder)["executed"] == 0


def test_a_run_goes_on_from_there_and_redoes_nothing(alone, whole):
    folder, summary = whole
    assert summary["state"] == "done"
    before, after = (Ledger(Storage.at(f / "run")) for f in (alone[0], folder))
    kept = [key for key in before.units() if key[0] != "ingest"]  # whose files were copied
    assert {key[0] for key in kept} == {"teacher", "shards", "pretrain"}
    assert [after.read(*key) for key in kept] == [before.read(*key) for key in kept]
    assert planned_units(load_cohort(folder / "cohort.yaml")) == executed_units(summary)
    assert run_tiny(folder)["executed"] == 0
    assert len(open_run(folder / "run").table("pretraining")) == 2


def test_a_student_starts_from_the_encoder_and_says_so(copy):
    before = read_model_info(Storage.at(copy / "run"), "p")["student"]
    assert before["history"]["start"] == "an encoder pretrained on nodes of 2 scans"
    changed(copy, student={**PROTOCOL["student"], "encoder": None})
    summary = run_tiny(copy)
    after = read_model_info(Storage.at(copy / "run"), "p")["student"]
    assert "start" not in after["history"]
    assert after["file"] != before["file"]
    stages = {s["stage"] for s in summary["stages"] if s["done"]}
    assert {"shards", "pretrain", "student"} <= stages


def test_a_student_starts_from_an_encoder_that_left_another_run(copy, tmp_path):
    before = read_model_info(Storage.at(copy / "run"), "p")["student"]["file"]
    weights = encoder_bytes(read_encoder(Storage.at(copy / "run"), "p"))
    (tmp_path / "cohort/weights").mkdir()
    (tmp_path / "cohort/weights/encoder.safetensors").write_bytes(weights)
    changed(copy, student={**PROTOCOL["student"], "encoder": "weights"}, pretrain=None)
    run_tiny(copy)
    info = read_model_info(Storage.at(copy / "run"), "p")
    assert info["student"]["file"] == before  # the same weights, so the same student
    (tmp_path / "cohort/weights/encoder.safetensors").write_bytes(b"12345678 no weights")
    with pytest.raises(ConfigError, match=r"student\.encoder: .*is no encoder of somray"):
        load_cohort(copy / "cohort.yaml")
    changed(copy, student={**PROTOCOL["student"], "encoder": "elsewhere"})
    with pytest.raises(ConfigError, match=r"there is no encoder\.safetensors"):
        load_cohort(copy / "cohort.yaml")


def test_what_was_pretrained_stays_with_its_teacher_and_its_scans(copy):
    storage = Storage.at(copy / "run")
    changed(copy, pretrain=None, student={"steps": 4, "rounds": 1, "cohort": 0})
    run_tiny(copy)
    assert "encoder" in read_model_info(storage, "p")
    assert len(open_run(copy / "run").table("pretraining")) == 2
    assert len(storage.names(f"{RunLayout.pretraining}/p")) == 2
    changed(copy, teacher={"grid": [4, 4]}, segment="som")
    run_tiny(copy)
    assert set(read_model_info(storage, "p")) == {"teacher"}
    assert len(open_run(copy / "run").table("pretraining")) == 0
    assert not storage.names(RunLayout.pretraining)


def test_shards_that_somebody_cleared_away_are_written_again_where_they_are_needed(copy):
    storage = Storage.at(copy / "run")
    storage.remove(RunLayout.pretraining)
    assert run_tiny(copy)["executed"] == 0
    before = read_model_info(storage, "p")["encoder"]["file"]
    changed(copy, pretrain={**PRETRAIN, "masked": 0.5}, segment="som")
    summary = run_tiny(copy)
    assert (summary["state"], summary["failed"]) == ("done", 0)
    assert read_model_info(storage, "p")["encoder"]["file"] != before


def test_a_run_that_is_done_stays_so_where_no_student_waits_for_the_encoder(copy):
    assert pretrain(copy)["state"] == "done"
    changed(copy, pretrain={**PRETRAIN, "masked": 0.7})
    assert pretrain(copy)["state"] == "stopped"
    assert run_tiny(copy)["state"] == "done"
    changed(copy, pretrain={**PRETRAIN, "masked": 0.5}, student={"encoder": None})
    told = pretrain(copy)
    assert told["state"] == "done"
    assert {s["stage"]: s["done"] for s in told["stages"]}["som"] == 2
    assert told["executed"] == 1


def test_a_protocol_that_can_learn_nothing_says_so(tmp_path):
    make(tmp_path, {**PROTOCOL, "pretrain": {**PRETRAIN, "patch": 8, "block": 8}}, "a")
    told = pretrain(tmp_path)
    assert (told["broken"], told["encoders"]) == (1, {"p": None})
    (row,) = open_run(tmp_path / "run").table("failures").to_dict("records")
    assert (row["stage"], row["code"]) == ("pretrain", "not_fittable")
    assert "two whole blocks" in row["message"]


def test_configurations_that_ask_for_no_encoder_keep_their_digest():
    plain = {"scans": "s.csv", "output": "run", "protocols": {"p": {"modality": "CT"}}}
    config = parse_config(plain)
    # As every release had it that knew no encoders.
    assert config.digest() == "c26b0bf6583b3718cec8b034502d2c26"
    asked = {**plain, "protocols": {"p": {"modality": "CT", "pretrain": {}}}}
    assert parse_config(asked).digest() != config.digest()


@pytest.mark.parametrize(
    ("pretrain", "message"),
    [
        ({"encoder": "vit"}, "needs an encoder like the student"),
        ({"grid_mm": 2.0}, "needs an encoder like the student"),
        ({"patch": 20, "block": 8}, "patch must be a multiple of block"),
    ],
)
def test_what_cannot_be_is_refused_in_the_configuration(pretrain, message):
    protocol = {"modality": "CT", "student": {"encoder": "pretrained"}, "pretrain": pretrain}
    with pytest.raises(ConfigError, match=message):
        parse_config({"scans": "s.csv", "output": "run", "protocols": {"p": protocol}})
