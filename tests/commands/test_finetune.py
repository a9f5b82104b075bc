"""`somray finetune` on the tiny cohort: who is held out, what is kept, what a second call and a later run leave."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

import somray
from somray.cli import main
from somray.domain.encoder import EncoderModel
from somray.domain.run import RunLayout, ScanPlace
from somray.io.ledger import Entry, Ledger
from somray.io.models import read_model_info, read_segmenter, write_encoder
from somray.io.ome.image import read_label_brick
from somray.io.storage import Storage
from somray.kernels.pretrain.networks.backbone import new_backbone
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.student.network import unet_weights
from somray.pipeline.finetune import train
from somray.pipeline.units.kept import finetuned
from somray.stages.finetune.judge import segmented
from tests.cohort_fixtures import run_in

PROTOCOL = "phantom-ct"
NEW = RunLayout.scan("new", "t0")
FEW = ["--steps", "2", "--json"]


def call(run, *arguments, code=0):
    assert main(["finetune", str(run), *FEW, *arguments]) == code


def with_encoder(run):
    """Give a run an encoder that nothing was learned with."""
    teacher = somray.open_run(run).teacher(PROTOCOL)
    spec = PretrainSpec(
        "unet", "small", 2, teacher.channels, ("CT",), teacher.windows, "nodes", (), 0, 1,
        spacing_mm=teacher.spacing_mm,
    )  # fmt: skip
    network = network_of_spec(spec)
    weights = unet_weights(new_backbone(network, seed=9))
    model = EncoderModel(
        weights, network, teacher.channels, ("CT",), teacher.windows, teacher.spacing_mm, "nodes"
    )
    write_encoder(Storage.at(run), PROTOCOL, model)


@pytest.fixture(scope="module")
def tuned(finished, tmp_path_factory):
    """A finetuned run with an encoder, what the command told, and its segmenter."""
    run = tmp_path_factory.mktemp("tuned") / "run"
    shutil.copytree(finished[0], run)
    with_encoder(run)
    out = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        told = []
        patch.setattr("somray.commands.finetune.verb.give", lambda found, *_: told.append(found))
        call(run)
    (out / "told.json").write_text(json.dumps(told[0]))
    return run, json.loads((out / "told.json").read_text())


def test_every_scan_is_judged_by_who_saw_no_session_of_its_subject(tuned):
    run, told = tuned
    table = somray.open_run(run).table("finetune")
    assert len(table) == 4 * 3
    assert set(table["arm"]) == {"pretrained", "scratch", "label_free"}
    for _, fold in table.groupby("fold"):
        assert fold["subject"].nunique() == 1
    trained = table[table["arm"] != "label_free"]
    assert (trained["labelled"] == 2).all()  # the other subject's two scans
    assert (table[table["arm"] == "label_free"]["labelled"] == 0).all()
    facts = told["protocols"][PROTOCOL]
    assert (facts["labelled"], facts["subjects"], facts["folds"]) == (4, 2, 2)
    assert set(facts["differences"]) == {
        "pretrained - scratch", "pretrained - label_free", "scratch - label_free"
    }  # fmt: skip
    assert any("2 subjects are too few" in sentence for sentence in facts["says"])
    assert any("those that are held out too" in sentence for sentence in facts["says"])
    assert sum("does not tell them apart" in sentence for sentence in facts["says"]) == 3


def test_the_labels_free_arm_is_what_the_truth_table_says(tuned):
    run = somray.open_run(tuned[0])
    keys, figures = ["subject", "session"], ["dice", "iou", "precision", "recall"]
    own = run.table("finetune").query("arm == 'label_free'").sort_values(keys)[figures]
    truth = (
        run.table("truth").query("method == 'lesions' and label == 0").sort_values(keys)[figures]
    )
    np.testing.assert_array_equal(own.to_numpy(), truth.to_numpy())


def test_a_second_call_trains_nothing(tuned, monkeypatch, capsys):
    run, told = tuned

    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(train, "run_fold", never)
    monkeypatch.setattr(train, "trained", never)
    call(run)
    again = json.loads(capsys.readouterr().out)
    assert again == told


def test_a_killed_call_goes_on_from_its_last_fold(tuned, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    shutil.copytree(tuned[0], run)
    Ledger(Storage.at(run)).drop("finetune", PROTOCOL, "fold2")
    done, run_fold = [], train.run_fold

    def noted(fold, *further):
        done.append(fold.number)
        return run_fold(fold, *further)

    monkeypatch.setattr(train, "run_fold", noted)
    call(run)
    capsys.readouterr()
    assert done == [2]
    tables = [somray.open_run(one).table("finetune") for one in (run, tuned[0])]
    one, other = (t.drop(columns=["seconds", "protocol"]) for t in tables)
    assert one.equals(other)


def test_what_is_kept_is_applied(tuned, cohort_folder, tmp_path):
    run = somray.open_run(tuned[0])
    model = read_segmenter(run.storage, PROTOCOL)
    assert model.history["scans"] == 4
    assert model.history["arm"] == tuned[1]["protocols"][PROTOCOL]["model"]["start"]
    source = next((cohort_folder / "scans").glob("*s01*t1*.nii.gz"))
    arguments = ["--protocol", PROTOCOL, "--out", str(tmp_path), "--method", "finetuned"]
    assert main(["apply", str(tuned[0]), str(source), *arguments]) == 0
    for box, mask in segmented(ScanPlace(str(tuned[0]), "s01", "t1"), model):
        drawn = read_label_brick(Storage.at(tmp_path), NEW, "finetuned", box)
        np.testing.assert_array_equal(drawn, 3 * mask)


def test_without_an_encoder_scratch_stands_alone(finished_copy, capsys):
    call(finished_copy, "--n", "1")
    told = json.loads(capsys.readouterr().out)
    facts = told["protocols"][PROTOCOL]
    assert set(facts["arms"]) == {"scratch", "label_free"}
    assert facts["encoder"] is None
    assert any("somray pretrain" in sentence for sentence in facts["says"])
    assert facts["model"] == {"start": "scratch", "labelled": 1}
    assert {row["labelled"] for row in told["rows"]} == {0, 1}


def test_no_truth_and_no_segmenter_are_refused_with_the_way_out(
    finished_copy, cohort_folder, tmp_path, capsys
):
    source = next((cohort_folder / "scans").glob("*s01*t1*.nii.gz"))
    arguments = ["--protocol", PROTOCOL, "--out", str(tmp_path), "--method", "finetuned"]
    assert main(["apply", str(finished_copy), str(source), *arguments]) == 2
    assert "`somray finetune" in capsys.readouterr().err
    bare = (cohort_folder / "scans.csv").read_text().replace("truth/", "").splitlines()
    lines = [line.rsplit(",", 1)[0] for line in bare]
    manifest = cohort_folder / "bare.csv"
    manifest.write_text("\n".join(lines) + "\n")
    place = finished_copy / "cohort.yaml"
    place.write_text(place.read_text().replace("scans.csv", "bare.csv"))
    call(finished_copy, code=2)
    assert "name label masks in the column `truth`" in capsys.readouterr().err


def test_a_truth_that_cannot_be_used_is_left_out(finished_copy, cohort_folder, capsys):
    lines = (cohort_folder / "scans.csv").read_text().splitlines()
    cut = cohort_folder / "truth/cut.nii.gz"
    cut.write_bytes(b"no mask")
    lines = [re.sub("truth/sub-s02_ses-t0.nii.gz", "truth/cut.nii.gz", line) for line in lines]
    (cohort_folder / "one_cut.csv").write_text("\n".join(lines) + "\n")
    place = finished_copy / "cohort.yaml"
    place.write_text(place.read_text().replace("scans.csv", "one_cut.csv"))
    call(finished_copy)
    told = json.loads(capsys.readouterr().out)
    assert told["protocols"][PROTOCOL]["labelled"] == 3
    assert any("sub-s02_ses-t0 is left out" in note for note in told["notes"])


def test_a_later_run_stands_for_finetuning_while_its_scans_stay(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    for name, scans in (
        ("fold1", ["sub-a_ses-t0"]),
        ("segmenter", ["sub-a_ses-t0", "sub-b_ses-t0"]),
    ):
        ledger.put(Entry("finetune", name, "p", "d", {"scans": scans}))
    ended = {("ingest", "p", f"sub-{s}_ses-t0"): True for s in "ab"}
    assert set(finetuned(ledger, ended)) == {
        ("finetune", "p", "fold1"),
        ("finetune", "p", "segmenter"),
    }
    ended["ingest", "p", "sub-b_ses-t0"] = False
    assert set(finetuned(ledger, ended)) == {("finetune", "p", "fold1")}
    assert finetuned(ledger, {}) == {}


def test_the_same_run_again_leaves_it_as_it_is(tuned, cohort_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(tuned[0], run)
    before = somray.open_run(run).table("finetune")
    run_in(cohort_folder, f"output={run}")
    assert somray.open_run(run).table("finetune").equals(before)
    assert "segmenter" in read_model_info(Storage.at(run), PROTOCOL)


def test_a_device_that_is_not_there_is_refused(finished_copy, capsys):
    call(finished_copy, "--device", "cdua", code=2)
    assert "expected auto, cpu, cuda; did you mean 'cuda'?" in capsys.readouterr().err
    if not torch.cuda.is_available():
        call(finished_copy, "--device", "cuda", code=2)
        assert "torch sees no GPU here" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_taken_by_itself(finished_copy, capsys):
    call(finished_copy)
    (facts,) = json.loads(capsys.readouterr().out)["protocols"].values()
    assert facts["device"] == "cuda"
    before = read_segmenter(Storage.at(finished_copy), PROTOCOL).weights
    Ledger(Storage.at(finished_copy)).drop("finetune", PROTOCOL, "segmenter")
    call(finished_copy, "--device", "cuda")
    after = read_segmenter(Storage.at(finished_copy), PROTOCOL).weights
    assert all(np.array_equal(before[name], after[name]) for name in before)
