"""How a run scales over nodes, and what the executor itself takes: sleeping units on logical nodes of this machine.

`python -m pytest tests/benchmarks/bench_scaling.py --bench -s` prints the tables. Units that sleep are little hurt by
nodes that share two cores, so the curve shows what the driver and Ray make of more nodes, and nothing of the work.
There is no peer: the goal is that of the issue that asked for it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.bench,
    pytest.mark.skipif("not config.getoption('--bench')"),
    pytest.mark.timeout(1800),
]
SLEEP_SECONDS = 0.5
UNITS_OF_A_NODE = 40
EMPTY_UNITS = 10_000
GOAL = 3.6  # of four nodes over one
MOST_GROWN = 30 * 2**20


def _on(nodes, units, seconds):
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.scaling_cluster", *map(str, (nodes, units, seconds))],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_four_nodes_do_nearly_four_times_what_one_does():
    rates = {}
    print(
        f"\n{os.cpu_count()} cores, units that sleep {SLEEP_SECONDS} s\nnodes  units/s  times one"
    )
    for nodes in (1, 2, 4, 8):
        units = UNITS_OF_A_NODE * nodes
        rates[nodes] = units / _on(nodes, units, SLEEP_SECONDS)["wall"]
        print(f"{nodes:5}  {rates[nodes]:7.2f}  {rates[nodes] / rates[1]:9.2f}")
    assert rates[4] >= GOAL * rates[1]


def test_empty_units_cost_little_and_leave_nothing_behind():
    found = _on(2, EMPTY_UNITS, 0)
    print(
        f"\n{EMPTY_UNITS} empty units: {1000 * found['wall'] / EMPTY_UNITS:.2f} ms each, of which the driver works "
        f"{1000 * found['cpu'] / EMPTY_UNITS:.2f} ms; its memory grew by {found['grown'] / 2**20:.1f} MiB, "
        f"and by {found['grown_again'] / 2**20:.1f} MiB with as many again"
    )
    assert found["grown_again"] < MOST_GROWN
