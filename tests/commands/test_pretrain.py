"""The verb `pretrain`: what it says, and its exit codes."""

import json

import pytest

from jobs import pretrain_cohort as job
from somray.cli import main
from somray.commands import launch
from somray.commands.pretrain.verb import pretrain_text
from somray.pipeline.pretrain.run import pretrain_cohort

ENCODER = {
    "network": {"kind": "unet", "dimensions": 3},
    "target": "nodes",
    "history": {"scans": 8, "subjects": 7, "steps": 200, "last_loss": 1.2594, "last_accuracy": 0.6},
}


def summary(**changes):
    told = {
        "failed": 0,
        "broken": 0,
        "seconds": 61.0,
        "run": "/r/my run",
        "encoders": {"p": ENCODER},
    }
    return {**told, **changes}


@pytest.mark.parametrize(
    ("changes", "code"), [({}, 0), ({"failed": 1}, 3), ({"failed": 1, "broken": 1}, 4)]
)
def test_its_exit_codes_are_those_of_a_run(monkeypatch, capsys, tmp_path, changes, code):
    seen = []

    def run_job(*arguments):
        seen.append(arguments)
        return summary(**changes)

    monkeypatch.setattr(launch, "run_job", run_job)
    file = tmp_path / "cohort.yaml"
    assert main(["pretrain", str(file), "--set", "seed=3", "--json"]) == code
    assert seen == [(file, None, ("seed=3",), True, pretrain_cohort)]
    assert json.loads(capsys.readouterr().out)["encoders"] == {"p": ENCODER}


def test_the_job_is_the_verb(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "run_job", lambda *arguments: summary(failed=1))
    assert job.main([str(tmp_path / "cohort.yaml"), "--json"]) == 3


def test_it_says_what_each_encoder_is_and_what_to_do_next():
    told = pretrain_text(summary(encoders={"p": ENCODER, "q": None}))
    assert "p: unet on volumes of 8 scans of 7 subjects, 200 steps on nodes: loss 1.26, 60%" in told
    assert "q: no encoder" in told
    assert told.endswith("next: somray export '/r/my run' --format encoder --out weights")
