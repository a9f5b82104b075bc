"""Files damaged at random end in a coded refusal or are read; none ends the process, none takes long or much.

`SOMRAY_FUZZ=2000 pytest tests/io/readers/test_damaged.py` tries as many as it says; a seed that fails is tried alone by
`python -m tests.io.readers.damage SEED SEED+1`.
"""

import json
import os
import selectors
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from somray.io.cohort.discover import propose
from somray.io.readers import open_source
from tests.io.readers.damage import SECONDS, damage
from tests.io.readers.valid_files import MAKERS

FIRST, SEEDS = (0, int(os.environ.get("SOMRAY_FUZZ", "160")))
SILENCE_SECONDS = (
    5 * SECONDS + 60
)  # of a process that hangs where no signal reaches it, or only begins


def tried(first, last):
    """Try seeds in processes of their own; yield what became of each, its process's death included."""
    while first < last:
        command = [sys.executable, "-m", "tests.io.readers.damage", str(first), str(last)]
        quiet = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        seed = None
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=quiet) as process:
            for line in _lines(process):
                told = json.loads(line)
                seed = told["seed"]
                if "ended" in told:
                    yield told
                    first, seed = seed + 1, None
            process.kill()
        if first < last:
            assert seed is not None, f"no process could be started for seed {first}"
            yield {
                "seed": seed,
                "what": "?",
                "ended": f"FAULT: process died ({process.returncode})",
            }
            first = seed + 1


def _lines(process):
    """Give lines as they come, until the process ends or is silent for too long."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while waiting.select(SILENCE_SECONDS):
            line = process.stdout.readline()
            if not line:
                return
            yield line


@pytest.mark.timeout(7200 if SEEDS > 1000 else 300)
def test_damaged_files_are_refused_with_a_code_or_read():
    found = list(tried(FIRST, FIRST + SEEDS))
    faults = [
        f"{one['seed']} {one['what']}: {one['ended']}" for one in found if "FAULT" in one["ended"]
    ]
    ends = Counter(one["ended"] for one in found if "FAULT" not in one["ended"])
    print(dict(ends))
    assert faults == [], "\n".join(faults)
    assert len(found) == SEEDS
    assert ends["read"] > 0
    assert ends["unreadable"] + ends["truncated"] > 0.2 * SEEDS


@pytest.mark.parametrize("name", MAKERS)
def test_the_files_are_sound_before_they_are_damaged(name, tmp_path):
    with open_source(MAKERS[name](tmp_path)) as source:
        source.verify()


def test_the_same_seed_makes_the_same_damage(tmp_path):
    made = []
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        _, source = damage(tmp_path / place, 7 * len(MAKERS))
        made.append(source.read_bytes() if source.exists() else b"")
    assert made[0] == made[1]


def test_init_looks_at_a_folder_of_damaged_files_and_goes_on(tmp_path):
    for seed in range(len(MAKERS)):
        place = tmp_path / f"case{seed}"
        place.mkdir()
        damage(place, seed)
    found = propose([Path(tmp_path)])
    assert found.rows
