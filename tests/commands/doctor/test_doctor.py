"""Every check of `doctor` on made facts: it finds its trouble, and keeps quiet where all is well."""

import copy
import errno
import json
import os

import pytest

from somray.cli import main
from somray.commands.doctor.finding import LEVELS, Preflight
from somray.commands.doctor.look import CHECKS, judge
from somray.runtime import facts as own
from tests.pipeline.tiny import body, save, write_manifest

MIB = 2**20
HERE = {
    "host": "login", "versions": {"python": "3.11.7", "somray": "1", "ray": "2", "torch": "2.1", "numpy": "2"},
    "seconds": 0.0, "cpus": 8, "quota_cpus": None, "memory_bytes": 2**34, "memory_limit": None,
    "open_files": (1024, 65536), "shared_memory": {"bytes": 2**33, "free": 2**33}, "gpu_files": 0,
    "torch": None, "auth_mode": "token",
}  # fmt: skip
NODE = {
    **HERE, "host": "n1", "node": "0123456789", "address": "10.0.0.1", "skew_seconds": 0.0,
    "offers": {"CPU": 8.0, "memory": 2.0**33, "object_store_memory": 2.0**31},
    "session": {"path": "/tmp/ray/s", "filesystem": "ext4"},
    "meetings": {"/shared/.m": {"sees": True, "fault": None, "free": 2**40}},
}  # fmt: skip
PLACE = {
    "place": "/shared/run",
    "folder": "/shared/.m",
    "fault": None,
    "free": 2**40,
    "seen": {"0123456789"},
}
PLAN = {"config": "c.yaml", "bytes": 2**30, "peak_bytes": 2**30, "quarantine": 0, "fault": None}


def _cluster(**changed):
    facts = {"here": HERE, "nodes": [NODE], "address": "h:6379", "places": [PLACE], "plan": PLAN}
    return Preflight(**{**facts, **changed})


def _alone(**changed):
    temporary = {"path": "/tmp", "filesystem": "ext4", "fault": None}
    return Preflight(**{"here": HERE, "temporary": temporary, **changed})


def _node(**changed):
    return _cluster(nodes=[{**copy.deepcopy(NODE), **changed}])


def _here(**changed):
    return _alone(here={**HERE, **changed})


def _plan(**changed):
    return _cluster(plan={**PLAN, **changed})


def _place(**changed):
    return _cluster(places=[{**PLACE, **changed}])


def _met(**changed):
    return _node(meetings={"/shared/.m": {**NODE["meetings"]["/shared/.m"], **changed}})


CPU_TORCH = {"count": 0, "cuda": None, "error": None}
TROUBLES = [
    ("answers", "error", _cluster(nodes=(), fault="no Ray cluster answers")),
    ("answers", "error", _cluster(nodes=())),
    ("answers", "error", _cluster(silent=[{"node": "9" * 9, "address": "10.0.0.9", "error": "no answer in 120 s"}])),
    ("versions", "error", _node(versions={**HERE["versions"], "ray": "3"})),
    ("versions", "warning", _node(versions={**HERE["versions"], "numpy": "1"})),
    ("versions", "error", _here(versions={**HERE["versions"], "torch": None})),
    ("code_cache", "note", _here(code_cache={"folder": "/x", "fault": "No space left on device"})),
    ("code_cache", "note", _node(code_cache={"folder": "/x", "fault": "Permission denied"})),
    ("gpus", "warning", _here(gpu_files=2, torch=CPU_TORCH)),
    ("gpus", "error", _node(offers={**NODE["offers"], "GPU": 2.0}, torch=CPU_TORCH)),
    ("gpus", "note", _node(gpu_files=1, torch={"count": 1, "cuda": "12.6", "error": None})),
    ("shared", "error", _place(fault="Permission denied")),
    ("shared", "error", _met(sees=False)),
    ("shared", "error", _met(fault="Read-only file system")),
    ("shared", "error", _place(seen=set())),
    ("space", "warning", _cluster(plan={**PLAN, "bytes": 2**41 - 2**39})),
    ("space", "error", _plan(bytes=2**43)),
    ("plan", "error", _plan(fault="the plan cannot fit")),
    ("plan", "note", _plan(quarantine=3)),
    ("plan", "error", _plan(peak_bytes=2**34)),
    ("temporary", "error", _alone(temporary={"path": None, "filesystem": None, "fault": "too long"})),
    ("temporary", "warning", _alone(temporary={"path": "/n", "filesystem": "nfs4", "fault": None})),
    ("temporary", "warning", _node(session={"path": "/n", "filesystem": "lustre"})),
    ("shared_memory", "warning", _here(shared_memory={"bytes": 64 * MIB, "free": 64 * MIB})),
    ("shared_memory", "warning", _node(shared_memory={"bytes": 64 * MIB, "free": 64 * MIB})),
    ("memory", "warning", _node(memory_limit=2**33)),
    ("cpus", "warning", _node(quota_cpus=2.0)),
    ("cpus", "note", _here(quota_cpus=2.0)),
    ("cpus", "note", _node(offers={"memory": 2.0**33})),
    ("open_files", "warning", _here(open_files=(256, 1024))),
    ("clocks", "warning", _node(skew_seconds=30.0)),
    ("token", "warning", _node(auth_mode="disabled")),
    ("token", "warning", _here(auth_mode="disabled")),
    ("ports", "warning", _alone(ports={6379: 40001})),
]  # fmt: skip


@pytest.mark.parametrize(("check", "level", "facts"), TROUBLES)
def test_a_trouble_is_found_with_what_to_do(check, level, facts):
    found = list(CHECKS[check](facts))
    assert level in {one.level for one in found}, found
    assert all(one.remedy for one in found if one.level in ("error", "warning"))


@pytest.mark.parametrize("facts", [_cluster(), _alone()])
def test_where_all_is_well_nothing_is_found(facts):
    assert {one.level for one in judge(facts)} == {"ok"}


def test_every_check_has_a_trouble_and_the_worst_comes_first():
    assert {name for name, _, _ in TROUBLES} == set(CHECKS)
    levels = [LEVELS.index(one.level) for one in judge(_node(skew_seconds=30.0, versions={}))]
    assert levels == sorted(levels)


def test_this_machine_with_a_cohort_by_the_command(tmp_path, capsys):
    save(tmp_path / "a.nii", body((2, 16, 16)))
    write_manifest(tmp_path, [("a", "t0", "p", "a.nii")])
    code = main(["doctor", str(tmp_path / "cohort.yaml"), "--path", str(tmp_path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (code == 0) is found["ok"]
    assert {one["check"] for one in found["findings"]} == set(CHECKS)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".somray")] == []


def test_a_cluster_that_is_not_there_is_exit_4(capsys):
    assert main(["doctor", "--address", "127.0.0.1:1"]) == 4
    assert "ray status" in capsys.readouterr().err


def test_facts_of_this_machine_are_plain(monkeypatch):
    found = own.machine_facts(None)
    assert json.loads(json.dumps(found))["cpus"] >= 1
    assert found["versions"]["ray"]


def test_a_port_that_is_taken_is_told_with_one_that_is_free():
    import socket

    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        found = own.ports_taken((port,))
    assert found[port] != port


def test_code_is_kept_in_the_first_place_that_can_be_written_and_a_full_one_is_told(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(own, "KERNELS", tmp_path / "own")
    assert own.code_cache() == {"folder": str(tmp_path / "own"), "fault": None}
    monkeypatch.setattr(own, "KERNELS", file / "own")  # no folder can be there
    assert own.code_cache()["fault"] == "Not a directory"
    monkeypatch.setattr(own.os, "posix_fallocate", _full)
    monkeypatch.setattr(own, "KERNELS", tmp_path / "own")
    assert own.code_cache() == {"folder": str(tmp_path / "own"), "fault": "No space left on device"}


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
