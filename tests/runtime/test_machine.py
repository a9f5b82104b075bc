"""CPUs and memory as a container's control group grants them, from made control files."""

import pytest

from somray.runtime import machine


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A version 2 control group two folders deep."""
    own = tmp_path / "cgroup/slice/job"
    own.mkdir(parents=True)
    (tmp_path / "self").write_text("0::/slice/job\n")
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "self")
    monkeypatch.setattr(machine, "affinity_cpus", lambda: 64)
    return own


def test_without_a_limit_the_affinity_counts(group):
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    assert (machine.quota_cpus(), machine.available_cpus(), machine.memory_limit()) == (
        None,
        64,
        None,
    )


def test_the_narrowest_of_nested_quotas_holds(group):
    (group / "cpu.max").write_text("800000 100000\n")
    (group.parent / "cpu.max").write_text("250000 100000\n")
    (group.parent / "memory.max").write_text(f"{2**31}\n")
    assert (machine.quota_cpus(), machine.available_cpus(), machine.memory_limit()) == (
        2.5,
        2,
        2**31,
    )


def test_half_a_cpu_is_still_one_worker(group):
    (group / "cpu.max").write_text("50000 100000\n")
    assert machine.available_cpus() == 1


def test_version_one_files_are_read(tmp_path, monkeypatch):
    own = tmp_path / "cpu,cpuacct/job"
    own.mkdir(parents=True)
    (own / "cpu.cfs_quota_us").write_text("300000\n")
    (own / "cpu.cfs_period_us").write_text("100000\n")
    memory = tmp_path / "memory/job"
    memory.mkdir(parents=True)
    (memory / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "self").write_text("4:cpu,cpuacct:/job\n9:memory:/job\n")
    monkeypatch.setattr(machine, "CONTROL_GROUPS", tmp_path)
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "self")
    assert machine.quota_cpus() == 3.0
    assert machine.memory_limit() is None


def test_a_machine_without_control_groups_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "MEMBERSHIP", tmp_path / "none")
    assert machine.quota_cpus() is None
    assert machine.available_cpus() == machine.affinity_cpus()
