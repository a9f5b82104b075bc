"""What is refused before a run begins, and its end by a signal."""

import os
import signal

import pytest

from somray.commands import launch
from somray.commands.ending import StoppedError, ended
from somray.commands.launch import load_cohort, refuse_missing_gpu
from somray.commands.stopping import CODES, stoppable
from somray.config import parse_config
from somray.errors import ConfigError, PlanError
from somray.io.storage import Storage
from tests.pipeline.tiny import body, save, write_manifest


@pytest.mark.parametrize(("kind", "code"), CODES.items())
def test_a_second_signal_does_not_break_off_the_end(kind, code):
    steps = []

    def stopped():
        with stoppable():
            try:
                os.kill(os.getpid(), kind)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("orderly")

    before = signal.getsignal(kind)
    with pytest.raises(SystemExit) as end:
        stopped()
    assert end.value.code == code
    assert steps == ["orderly"]
    assert signal.getsignal(kind) is before


def test_a_run_under_nohup_goes_on_without_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("end", "code"), [(KeyboardInterrupt(), 130), *((SystemExit(c), c) for c in CODES.values())]
)
def test_an_end_by_a_signal_says_that_nothing_is_lost(monkeypatch, tmp_path, end, code):
    def stopped(*_):
        raise end

    monkeypatch.setattr(launch, "load_cohort", stopped)
    with pytest.raises(StoppedError, match="stays done, and the same command goes on") as caught:
        launch.run_job(tmp_path / "cohort.yaml")
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("asked", "segment", "gpus", "is_refused"),
    [(0, "student", 0, False), (0.5, "student", 0, True), (0.5, "som", 0, False), (1, "student", 1, False)],
)  # fmt: skip
def test_a_gpu_that_is_not_there_is_missed_at_once(asked, segment, gpus, is_refused):
    data = {"scans": "s.csv", "output": "run", "protocols": {"p": {"segment": segment}}}
    config = parse_config({**data, "resources": {"segment_gpus": asked}})
    if not is_refused:
        refuse_missing_gpu(config, gpus)
        return
    with pytest.raises(PlanError, match=r"resources\.segment_gpus: 0\.5 .*leave it out"):
        refuse_missing_gpu(config, gpus)


def test_a_run_that_works_here_already_is_told(tmp_path, capsys):
    storage = Storage.at(tmp_path)
    launch._tell_of_other(storage)
    assert capsys.readouterr().err == ""
    storage.write_text("work/state.json", '{"state": "running", "host": "far", "pid": 7}')
    launch._tell_of_other(storage)
    assert "process 7 on far" in capsys.readouterr().err


def test_a_place_that_ray_cannot_name_is_refused_before_it_starts(tmp_path, monkeypatch):
    save(tmp_path / "a.nii", body((2, 16, 16)))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii")])
    place = os.fsencode(tmp_path) + b"/\xe9t"
    os.mkdir(place)
    monkeypatch.chdir(os.fsdecode(place))
    with pytest.raises(ConfigError, match=r"not UTF-8 .*LC_ALL"):
        launch.run_job(tmp_path / "cohort.yaml")


def test_a_folder_that_is_gone_beneath_a_command_is_told(tmp_path, monkeypatch, capsys):
    place = tmp_path / "gone"
    place.mkdir()
    monkeypatch.chdir(place)
    place.rmdir()
    assert ended(os.getcwd, as_json=False) == 4
    assert "was started in has been removed" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["http://head:8265", "ray://head:10001"])
def test_other_addresses_than_the_heads_are_told_apart(address):
    with pytest.raises(PlanError, match=r"somray submit .*8265"):
        launch._check_address(address)


def test_the_memory_of_one_process_is_no_place_for_a_run(tmp_path):
    save(tmp_path / "a.nii", body((2, 16, 16)))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii")])
    with pytest.raises(ConfigError, match=r"memory of each process .*folder"):
        launch.run_job(tmp_path / "cohort.yaml", settings=("output=memory://a/run",))


def test_a_manifest_that_was_not_sent_with_a_job_is_told_so(tmp_path):
    sent = tmp_path / "runtime_resources/working_dir_files/_ray_pkg_1"
    sent.mkdir(parents=True)
    (sent / "cohort.yaml").write_text("scans: s.csv\noutput: /x\nprotocols: {p: {modality: CT}}\n")
    with pytest.raises(ConfigError, match=r"s\.csv was not sent .*\.gitignore"):
        load_cohort(sent / "cohort.yaml")
