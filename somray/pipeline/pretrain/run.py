"""Pretrain every protocol of a cohort and do nothing else; a run of the same configuration goes on from there."""

import asyncio
import time
from typing import Any

from somray.config import PretrainConfig
from somray.domain.work import Executor
from somray.io.models import read_model_info
from somray.pipeline.cohort import Cohort, describe_run, walk
from somray.pipeline.fitting import Fitting, ProtocolWork
from somray.pipeline.pretrain.encoder import pretrain_encoder
from somray.pipeline.record import RunRecord
from somray.pipeline.run_state import Progress

__all__ = ["pretrain_cohort"]


def pretrain_cohort(
    cohort: Cohort, executor: Executor, progress: Progress | None = None
) -> dict[str, Any]:  # Any: JSON
    """Do what is left of a cohort's pretraining: take scans in, fit teachers, write shards, train encoders.

    A protocol without `pretrain` gets the defaults.

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
            asyncio.run(record.state.watched(walk(cohort, record, executor, _pretrain)))
        protocols = cohort.config.protocols.values()
        awaited = any(p.starts_pretrained and p.segment == "student" for p in protocols)
        told = record.finish_part(awaited=awaited)
        if told["state"] != "done":
            describe_run(cohort, record.state.attempt, started)
    encoders = {p: read_model_info(storage, p).get("encoder") for p in cohort.config.protocols}
    counts = {"broken": record.broken, "executed": record.executed}
    return {**told, **counts, "encoders": encoders}


async def _pretrain(work: ProtocolWork) -> None:
    fitted = await Fitting(**vars(work)).teacher()
    await work.executor.release(work.units.protocol)
    if fitted is not None:
        await pretrain_encoder(work, fitted, work.units.config.pretraining or PretrainConfig())
