"""Nodes join and leave while units wait or run: more are under way, and nothing is set aside."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Run in a process of its own: how Ray authenticates is settled once in a process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runtime.changing_cluster", str(tmp_path_factory.mktemp("c"))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_head_without_cpus_is_asked_and_what_joins_is_used(found):
    before, began, after, ended = found["joined"]
    assert before == 8  # what an autoscaler sees
    assert began == 0
    assert after == 10  # twice the CPUs that joined
    assert ended == [True] * 6


def test_two_lost_nodes_in_a_row_are_no_attempt(found):  # two attempts would be all
    assert found["lost"] == [True, 1]


def test_what_no_node_can_hold_waits_for_one_that_can(found):
    said, ok = found["grown"]
    assert "a unit needs 3072 MiB" in said
    assert "none joined" in said
    assert ok


def test_a_lost_head_is_an_orderly_end(found):
    assert "no longer answers" in found["headless"]
