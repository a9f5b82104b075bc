"""Whatever is ended, and whenever: nothing is lost, nothing differs, and nobody's scan stays on the disk."""

import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from somray.commands.dicom_node.journal import Journal
from somray.commands.dicom_node.node import MOST_ATTEMPTS
from somray.errors import ConfigError
from somray.io.archive import ArchiveAwayError, ArchivedSeries
from tests.commands.dicom_node.servers import (
    PASSWORD,
    SETTLE,
    TurnedNode,
    copied,
    node_arguments,
    places_of_apply,
    places_of_segmentation,
    turned_node,
)


class MemoryArchive:
    """What a node asks of Orthanc, answered from memory."""

    name = "memory"

    def __init__(self):
        self.files, self.studies, self.sent = {}, {}, []

    def put(self, name, study, modality, folder):
        files = {f"{name}-{f.name}": f.read_bytes() for f in sorted(folder.glob("*.dcm"))}
        self.files |= files
        self.studies[name] = ArchivedSeries(name, study, modality, tuple(sorted(files)))

    def check(self):
        pass

    def last_change(self):
        return len(self.files)

    def new_instances(self, since):
        return list(self.files)[since:], len(self.files), True

    def series_of(self, instances):
        return [s for s in self.studies.values() if set(instances) & set(s.instances)]

    def series(self, name):
        return self.studies.get(name)

    def siblings(self, study):
        return [s for s in self.studies.values() if s.study == study]

    def size_bytes(self, name):
        return 1

    def file(self, instance):
        return self.files[instance]

    def text(self, instance, tag):
        return "frame"

    def store(self, data):
        self.sent.append(data)


class EndedError(BaseException):
    """The process is gone."""


class MemoryNode(TurnedNode):
    """A node of such an archive that is ended at the n-th thing it does to the outside, before or after it."""

    def __init__(self, run, archive, journal, end_at=0, **options):
        nowhere = SimpleNamespace(url="http://127.0.0.1:1")
        super().__init__(run, nowhere, journal, **{"protocols": ("petct",), **options})
        self.done, self.end_at = 0, end_at
        self.node._archive = archive
        self.node._destination = SimpleNamespace(name="memory", send=self.ending(archive.store))
        journal._put = self.ending(journal._put)

    def ending(self, function):
        def called(*arguments):
            for part in (lambda: None, lambda: function(*arguments)):
                part()
                self.done += 1
                if self.done == self.end_at:
                    raise EndedError

        return called


def run_until(run, archive, state, end_at):
    """Run a node until it is ended or has nothing left to do; returns whether it was ended."""
    with Journal(state, "memory").opened() as journal:
        node = MemoryNode(run, archive, journal, end_at)
        try:
            node.settled().after(SETTLE).after(SETTLE).after(SETTLE)
        except EndedError:
            return True
        assert node.states == ["joined", "sent"]
        assert not (state / "outbox").exists() or not list((state / "outbox").iterdir())
    return False


def test_a_node_that_is_ended_at_any_moment_goes_on_and_sends_the_same(
    fitted, tmp_path, monkeypatch
):
    from somray.commands.dicom_node import node as module

    archive = MemoryArchive()
    for kind, modality in (("CT", "CT"), ("PET", "PT")):
        scan = copied(fitted / f"petct_{kind}", tmp_path / kind, "memory")
        archive.put(kind, "study", modality, scan)
    run = fitted / "run"
    assert not run_until(run, archive, tmp_path / "whole", 0)
    (wanted,), archive.sent = archive.sent, []
    made = module.answer_case
    kept = {}  # the answer is made in earnest once, and is the same each time

    def answered(settings, run, case, past, work):
        key = tuple(one.digest for one in case.channels), past
        if key not in kept:
            kept[key] = made(settings, run, case, past, work)
        return kept[key]

    monkeypatch.setattr(module, "answer_case", answered)
    end_at, was_ended = 1, True
    while was_ended:
        state = tmp_path / f"state{end_at}"
        was_ended = run_until(run, archive, state, end_at)
        if was_ended:
            assert not run_until(run, archive, state, 0)
        assert set(archive.sent) == {wanted}, end_at
        assert len(archive.sent) <= 2
        archive.sent, end_at = [], end_at + 1
    assert end_at > 15


def test_a_scan_that_ends_the_process_each_time_is_given_up(fitted, tmp_path, monkeypatch):
    from somray.commands.dicom_node import node as module

    def ended(*_):
        raise EndedError

    archive = MemoryArchive()
    for kind, modality in (("CT", "CT"), ("PET", "PT")):
        scan = copied(fitted / f"petct_{kind}", tmp_path / kind, "memory")
        archive.put(kind, "study", modality, scan)
    monkeypatch.setattr(module, "answer_case", ended)
    ends = 0
    while True:
        with Journal(tmp_path / "state", "memory").opened() as journal:
            node = MemoryNode(fitted / "run", archive, journal, 0)
            try:
                node.settled()
                break
            except EndedError:
                ends += 1
    assert ends == 2 * MOST_ATTEMPTS  # each of the two series asks for it
    assert node.states == ["failed", "failed"]


def test_errors_of_one_scan_are_tried_again_a_few_times(
    fitted, orthanc, tmp_path, monkeypatch, capsys
):
    from somray.commands.dicom_node import node as module

    def broken(*_):
        raise RuntimeError("Hidden^Person")

    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", "broken"))
    with turned_node(fitted / "run", orthanc, tmp_path / "state", protocols=("ct",)) as node:
        with monkeypatch.context() as patch:
            patch.setattr(module, "answer_case", broken)
            node.settled()
            for _ in range(MOST_ATTEMPTS):
                node.after(60)
        assert (node.states, node.codes) == (["failed"], ["internal"])
        told = capsys.readouterr().err
        assert told.count("RuntimeError") == MOST_ATTEMPTS
        assert "Hidden" not in told
        node.node.retry_failed()
        node.after(SETTLE)
        assert node.states == ["sent"]


def test_killed_with_the_archive_in_the_middle(fitted, orthanc, tmp_path):
    """The node by SIGKILL as soon as it works on the scan, then Orthanc; both come back."""
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "killed")
    orthanc.send(scan)
    state = tmp_path / "state"
    command = [sys.executable, "-m", "somray.cli"]
    command += node_arguments(fitted / "run", orthanc, state, "--protocol", "ct")
    environment = {**os.environ, "SOMRAY_ARCHIVE_PASSWORD": PASSWORD}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as node:
        for line in node.stderr:
            if "settled" in line:
                break
        node.send_signal(signal.SIGKILL)
    assert "settled" in line
    orthanc.stop()
    with turned_node(fitted / "run", orthanc, state, protocols=("ct",)) as node:
        assert list((state / "work").iterdir()) == []
        with pytest.raises(ArchiveAwayError):
            node.after()
        orthanc.start()
        node.now = max(entry.changed for entry in node.journal.entries.values())
        node.settled()
        assert node.states == ["sent"]
    (seg,) = orthanc.objects("SEG")
    wanted = places_of_apply(fitted / "run", tmp_path / "applied", "ct", scan)
    assert np.array_equal(places_of_segmentation(seg), wanted)


def test_an_archive_that_is_away_is_waited_for_and_told_once(fitted, orthanc, tmp_path, capsys):
    orthanc.send(copied(fitted / "ct_CT", tmp_path / "scan", "away"))
    with turned_node(
        fitted / "run",
        orthanc,
        tmp_path / "state",
        protocols=("ct",),
        settle_seconds=0.0,
        poll_seconds=0.3,
        once=True,
    ) as node:
        orthanc.stop()
        back = threading.Timer(0.1, orthanc.start)
        back.start()
        node.node.work()
        back.join()
        assert node.states == ["sent"]
    told = capsys.readouterr().err
    assert told.count("does not answer") == 1
    assert told.count("answers again") == 1


def test_a_cleared_archive_is_looked_at_from_the_beginning(fitted, tmp_path):
    archive = MemoryArchive()
    scan = copied(fitted / "ct_CT", tmp_path / "scan", "memory")
    archive.put("CT", "study", "CT", scan)
    with Journal(tmp_path / "state", "memory").opened() as journal:
        journal.save_last(4711)
        node = MemoryNode(fitted / "run", archive, journal, 0).after()
        assert (node.states, journal.last) == (["seen"], len(archive.files))


def test_one_folder_is_of_one_node_and_one_archive(tmp_path):
    with Journal(tmp_path, "http://one").opened() as journal:
        journal.save_last(3)
        with (
            pytest.raises(ConfigError, match="another node"),
            Journal(tmp_path, "http://one").opened(),
        ):
            pass
    with (
        pytest.raises(ConfigError, match="another archive"),
        Journal(tmp_path, "http://two").opened(),
    ):
        pass
