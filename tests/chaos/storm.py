"""Break a run on purpose, by a seed, until it has ended, and compare what it left with an undisturbed run.

`python -m tests.chaos.storm [--faults 100] [--seed 0] [--log FILE.md]`
"""

import argparse
import contextlib
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from somray.commands.launch import load_cohort
from somray.io.status import read_status
from somray.pipeline.cohort import run_cohort
from somray.pipeline.plan import make_plan
from somray.runtime.serial import SerialExecutor
from tests.chaos.cohort import write_cohort
from tests.chaos.faults import FAULTS
from tests.chaos.processes import City, Driver
from tests.chaos.stall import describe
from tests.pipeline.same import differences

__all__ = ["Storm", "let_loose"]

POLL_SECONDS = 0.2
READ = ("scans", "timings", "failures", "lesions")
"""Tables that are read all the while: a reader never sees half a part."""


class Storm:
    """One output, one cluster, one driver after the other.

    Args:
        folder: with the cohort; everything else is put there too.
        name: of the output.
        rng: chooses moments and victims.
    """

    def __init__(self, folder, name, rng):
        self.folder, self.output, self.rng = folder, folder / name, rng
        self.trouble = folder / f"{name}.trouble.json"
        self.city = City(self.trouble)
        self.driver = None
        self.kept, self.doubtful = {}, {}

    # -- what faults do ---------------------------------------------------------------------------

    def start(self, *settings):
        """Start a driver where none works."""
        if self.driver is None or not self.driver.alive:
            self.driver = self.another(*settings)

    def another(self, *settings):
        """Start a driver whoever works already."""
        return Driver(self.city, self.folder / "cohort.yaml", self.output, self.trouble, *settings)

    def rebuild(self):
        """Start a new cluster in the place of one that fell."""
        self.city = City(self.trouble)

    def set(self, kind, **more):
        """Let something go wrong below somray, from now on."""
        facts = {"kind": kind, "root": str(self.output), **more}
        partial = self.trouble.with_suffix(".new")
        partial.write_text(json.dumps(facts))
        partial.rename(self.trouble)

    def clear(self):
        """Let it go right again."""
        self.trouble.unlink(missing_ok=True)

    def ended(self, *codes):
        """Wait for the driver's end; it must be one of these."""
        code = self.driver.end()
        assert code in codes, f"exit {code}, not {codes}: {self.driver.told()[-3000:]}"
        return code

    def _entries(self):
        """Read what the ledger knows of units: files, what they hold, and the codes of failures."""
        for file in (self.output / "work/ledger").rglob("*.json"):
            with contextlib.suppress(OSError, ValueError):  # replaced meanwhile
                data = file.read_bytes()
                yield str(file), data, json.loads(data)["code"]

    def done(self):
        """Return the units that the ledger knows done, by file, with what they hold."""
        return {
            file: hashlib.sha256(data).hexdigest()
            for file, data, code in self._entries()
            if code is None
        }

    def given_up(self):
        """Return the files of units that failed."""
        return [file for file, _, code in self._entries() if code is not None]

    def keep(self):
        """Remember what is done; `check_kept` sees that none of it is done again."""
        done = self.done().items()
        self.kept = {file: digest for file, digest in done if self.doubtful.get(file) != digest}

    def doubt(self):
        """Expect nothing of what is done now: it was done for something else, and may be due again."""
        self.kept, self.doubtful = {}, self.done()

    def check_kept(self):
        """See that what was done has neither gone nor been done again."""
        now = self.done()
        lost = [file for file, digest in self.kept.items() if now.get(file) != digest]
        assert lost == [], f"done again or lost: {lost[:5]} of {len(lost)}"

    def wait(self, units):
        """Wait until so many more units are done; False if the driver has ended before."""
        goal = len(self.done()) + units
        deadline = time.monotonic() + 600
        while self.driver.alive:
            if len(self.done()) >= goal:
                return True
            assert time.monotonic() < deadline, self._stalled()
            self._read()
            time.sleep(POLL_SECONDS)
        return False

    def _stalled(self):
        return f"nothing goes on: {describe(self.output, self.driver, self.city)}"

    def _read(self):
        """Read what stands, as somebody does who looks in: nothing is half-written."""
        if not (self.output / "run.json").exists():
            return
        found = read_status(str(self.output))
        assert found["left"] == sum(stage["left"] for stage in found["stages"])
        for table in READ:
            with contextlib.suppress(FileNotFoundError):  # compacted between listing and reading
                pd.read_parquet(self.output / "tables" / table)

    def check_memory(self):
        """See that no task took more than was declared for its stage, as workers of Ray measured it."""
        plan = make_plan(load_cohort(self.folder / "cohort.yaml"))
        timings = pd.read_parquet(self.output / "tables/timings")
        for stage, peak in timings.groupby("stage")["peak_bytes"].max().items():
            assert peak <= plan.stages[stage].peak_bytes, stage

    # -- one storm --------------------------------------------------------------------------------

    def rage(self, kinds, log):
        """Let faults of these kinds come until the run has ended; return how many came."""
        count = 0
        for kind in kinds:
            self.start()
            if not self.wait(int(self.rng.integers(1, 14))):
                break
            began, units = time.monotonic(), len(self.done())
            how = FAULTS[kind](self)
            log(kind, units, how, time.monotonic() - began)
            count += 1
        return count

    def finish(self, reference):
        """Let the run end undisturbed; compare every bit with the reference."""
        self.clear()
        self.start()
        code = self.driver.end()
        if code:  # a fault's echo: a unit that was given up is tried again by the next run
            self.start()
            self.ended(0)
        self.check_kept()
        found = read_status(str(self.output))
        assert (found["state"], found["left"], found["failed"]) == ("done", 0, 0), found
        assert differences(reference, self.output) == []
        assert [p for p in self.output.rglob("*") if p.name.endswith(".partial")] == []

    def close(self):
        """End all processes."""
        if self.driver is not None and self.driver.alive:
            self.driver.kill()
        self.city.close()


def let_loose(folder, faults, seed, kinds=tuple(FAULTS), tell=lambda line: None, subjects=2):
    """Let so many faults come, in as many storms as they fill.

    Args:
        folder: empty; cohort and runs go there.
        faults: how many.
        seed: of their kinds, moments and victims.
        kinds: to choose from; each comes before one comes twice.
        tell: told every line of the log.
        subjects: of the cohort.
    """
    rng = np.random.default_rng(seed)
    write_cohort(folder, subjects)
    calm = folder / "calm"  # in this process: Ray, disturbed or not, gives the same bits
    asked = load_cohort(folder / "cohort.yaml", (f"output={calm}",))
    told = run_cohort(asked, SerialExecutor(), lambda root: None)
    assert (told["state"], told["failed"]) == ("done", 0), told
    tell("| fault | storm | kind | units done | what came of it | seconds |")
    tell("| ---: | ---: | --- | ---: | --- | ---: |")
    came, number = 0, 0

    def log(kind, units, how, seconds):
        nonlocal came
        came += 1
        tell(f"| {came} | {number} | {kind} | {units} | {how} | {seconds:.0f} |")

    waiting = []
    while came < faults:
        number += 1
        storm = Storm(folder, f"storm{number}", rng)
        try:
            while (
                storm.driver is None or storm.driver.alive or read_status(str(storm.output))["left"]
            ):
                waiting = waiting or list(rng.permutation(kinds))
                if came >= faults or not storm.rage(waiting[:1], log):
                    break
                waiting = waiting[1:]
            storm.finish(calm)
            storm.check_memory()
        finally:
            storm.close()
        tell(f"|  | {number} | | | the bits of the undisturbed run | |")
        shutil.rmtree(storm.output)


def main():
    """Let storms loose and write their log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="*", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--log", type=Path)
    options = parser.parse_args()
    lines = []

    def tell(line):
        lines.append(line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        if options.log:
            options.log.write_text("\n".join(lines) + "\n")

    with tempfile.TemporaryDirectory(prefix="storm") as folder:
        let_loose(Path(folder), options.faults, options.seed, tuple(options.kinds), tell)


if __name__ == "__main__":
    main()
