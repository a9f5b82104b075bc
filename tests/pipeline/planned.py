"""What `check` planned beside what a run did."""

from dataclasses import replace

from somray.io.ledger import Ledger
from somray.io.run import open_run
from somray.pipeline.plan import make_plan
from somray.pipeline.run_state import REPORT


def planned_units(cohort):
    """Count the units of each stage as `check --json` does, and as pixels then had it.

    Only pixels tell two things (`STAGES`): that a scan is no good, which is then planned as if the manifest had
    not named it, and that sessions contradict each other, so that further pairs are asked.
    """
    failures = open_run(cohort.storage.root).table("failures").query("stage == 'ingest'")
    foreseen = {(q["subject"], q["session"]) for q in make_plan(cohort).quarantine}
    condemned = set(zip(failures.subject, failures.session, strict=True)) - foreseen
    good = [s for s in cohort.scans if (s.subject, s.session) not in condemned]
    stages = make_plan(replace(cohort, scans=tuple(good))).as_json()["stages"]
    units = {stage["stage"]: stage["units"] for stage in stages}
    units["ingest"] += len(condemned)
    units["register"] += sum(
        len(entry.value.get("pairs", ()))
        for entry in Ledger(cohort.storage).entries()
        if entry.name.endswith("+bridges")
    )
    return units


def executed_units(summary):
    """Count the units of each stage that a run stands for."""
    stages = [one for one in summary["stages"] if one["stage"] != REPORT]
    return {one["stage"]: one["done"] + one["failed"] for one in stages}
