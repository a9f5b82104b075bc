"""What needs no student is done while it is trained."""

import asyncio

from somray.commands.launch import load_cohort
from somray.pipeline.cohort import walk
from somray.pipeline.plan import CountingExecutor, PlannedRecord, RunPlan

REST = 2000  # turns of the loop after which everybody waits for the student


class Training(CountingExecutor):
    """Ends the training when everything else has come to rest, and notes what was done by then."""

    def __init__(self, plan):
        super().__init__(plan)
        self.names, self.meanwhile = [], None

    async def submit(self, function, unit, shared=None, actor=None):
        if unit.stage == "student":
            for _ in range(REST):
                await asyncio.sleep(0)
            self.meanwhile = list(self.names)
        self.names.append((unit.stage, unit.name))
        return await super().submit(function, unit, shared, actor)


def test_direct_transfer_is_judged_while_the_student_is_trained(cohort_folder):
    cohort = load_cohort(cohort_folder / "cohort.yaml", ())
    plan = RunPlan(len(cohort.scans))
    executor = Training(plan)
    asyncio.run(walk(cohort, PlannedRecord(cohort, plan, executor), executor))
    judged = {name.partition("+")[0] for stage, name in executor.names if stage == "truth"}
    assert len(judged) == 4
    early = {stage: set() for stage, _ in executor.names}
    for stage, name in executor.meanwhile:
        early[stage].add(name)
    assert early["truth"] == {f"{scan}+som" for scan in judged}
    assert early["objects"] == {f"{scan}+objects_som" for scan in judged}
    assert len(early["register"]) == plan.stages["register"].units
    assert not early["segment"]
