"""A cluster that is down to one CPU still gets through: whoever holds it waits for nobody who needs it."""

import asyncio
import heapq
import itertools

from somray.commands.launch import load_cohort
from somray.pipeline.cohort import walk
from somray.pipeline.plan import CountingExecutor, PlannedRecord, RunPlan


class OneCpu(CountingExecutor):
    """Has one CPU, as a cluster that lost all nodes but one; an actor has it from its first unit until its release.

    Actors are served before all others: Ray promises no order, and the last ingests may come after a teacher.
    """

    def __init__(self, plan):
        super().__init__(plan)
        self.is_free, self.waiting, self.order = True, [], itertools.count()
        self.actors, self.released = set(), 0

    async def submit(self, function, unit, shared=None, actor=None):
        if actor not in self.actors:
            turn = asyncio.get_running_loop().create_future()
            heapq.heappush(self.waiting, (actor is None, next(self.order), turn))
            self._serve()
            await turn
        if actor is not None:
            self.actors.add(actor)
        await asyncio.sleep(0)
        outcome = await super().submit(function, unit, shared, actor)
        if actor is None:
            self._leave()
        return outcome

    async def release(self, actor):
        if actor in self.actors:
            self.actors.remove(actor)
            self.released += 1
            self._leave()

    def _leave(self):
        self.is_free = True
        self._serve()

    def _serve(self):
        if self.is_free and self.waiting:
            self.is_free = False
            heapq.heappop(self.waiting)[-1].set_result(None)


def test_a_protocol_holds_no_cpu_while_it_waits_for_the_scans_that_teach(cohort_folder):
    cohort = load_cohort(cohort_folder / "cohort.yaml", ())
    plan = RunPlan(len(cohort.scans))
    executor = OneCpu(plan)
    work = walk(cohort, PlannedRecord(cohort, plan, executor), executor)
    asyncio.run(asyncio.wait_for(work, 60))
    assert plan.stages["student"].units == 1
    assert executor.released == 2  # while it waited, and at its end
