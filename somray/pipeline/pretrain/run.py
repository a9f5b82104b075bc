"""Pretrain every protocol of a cohort and do nothing else; a run of the same configuration goes on from there."""

import asyncio
import time
from typing import Any

from somray.config import PretrainConfig
from somray.domain.work import Executor
from somray.io.models import read_model_info
from somray.pipeline.cohort import Cohort, describe_run
from somray.pipeline.fitting import Fitting
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.intake import Intake
from somray.pipeline.pretrain.encoder import pretrain_encoder
from somray.pipeline.record import Record, RunRecord
from somray.pipeline.run_state import Progress
from somray.pipeline.units.protocol import Units

__all__ = ["pretrain_cohort"]


def pretrain_cohort(
    cohort: Cohort, executor: Executor, progress: Progress | None = None
) -> dict[str, Any]:  # Any: JSON
    """Do what is left of a cohort's pretraining: take scans in, fit teachers, write shards, train encoders.

    Args:
        cohort: what to pretrain on; a protocol without `pretrain` gets the defaults.
        executor: where units run.
        progress: told of every stage's counts, at most once a second.

    Returns:
        As `status --json`, with `broken`: units that failed for a reason that lies not in the data, and `encoders`:
        by protocol what its encoder is, null where there is none.

    Raises:
        StoreError: storage failed, or a later driver took the run over.
    """
    started, storage = time.time(), cohort.storage
    record = RunRecord(storage, executor, progress)
    with record.driving():
        with record.state.alive():
            if not record.state.was_done:
                describe_run(cohort, record.state.attempt, started)
            asyncio.run(record.state.watched(_walk(cohort, record, executor)))
        protocols = cohort.config.protocols.values()
        awaited = any(p.starts_pretrained and p.segment == "student" for p in protocols)
        told = record.finish_part(awaited=awaited)
        if told["state"] != "done":
            describe_run(cohort, record.state.attempt, started)
    encoders = {p: read_model_info(storage, p).get("encoder") for p in cohort.config.protocols}
    counts = {"broken": record.broken, "executed": record.executed}
    return {**told, **counts, "encoders": encoders}


async def _walk(cohort: Cohort, record: Record, executor: Executor) -> None:
    units = {p: Units(cohort.storage.root, p, cohort.config) for p in cohort.config.protocols}
    intake = Intake(record, cohort.scans)
    judged = intake.start(units)
    protocols = (
        _pretrain(
            Fitting(one, [s for s in cohort.scans if s.protocol == name], record, executor, intake)
        )
        for name, one in units.items()
    )
    await gather_or_cancel(judged, *protocols)


async def _pretrain(fitting: Fitting) -> None:
    fitted = await fitting.teacher()
    await fitting.executor.release(fitting.units.protocol)
    if fitted is not None:
        config = fitting.units.config.pretraining or PretrainConfig()
        await pretrain_encoder(fitting, fitted, config)
