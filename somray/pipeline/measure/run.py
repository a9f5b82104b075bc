"""Measure a finished run on foreign masks: walk all protocols, write tables and report, say what was measured."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from somray.domain.run import RunLayout
from somray.domain.work import Executor, digest_of
from somray.io.ledger import Entry, Ledger
from somray.pipeline.cohort import write_info
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.intake import Intake
from somray.pipeline.measure.chain import MeasuredChain
from somray.pipeline.measure.planned import Measurement
from somray.pipeline.record import RunRecord
from somray.pipeline.run_state import Progress
from somray.pipeline.units.protocol import Units
from somray.stages.foreign.carry import carry_way

__all__ = ["measure_run"]

_PACKAGES = ("zarr", "numpy", "numba", "pyarrow", "nibabel", "pydicom")


def measure_run(
    plan: Measurement,
    executor: Executor,
    report: Callable[[str], object],
    progress: Progress | None = None,
) -> dict[str, Any]:  # Any: JSON
    """Do what is left of a measurement; see `cohort.run_cohort`.

    Returns:
        As `status --json`, with `pairs`, `left_out` and `notes` as `Measurement.told` says, `run`, `measured`, and
        `broken`: units that failed for a reason that lies not in the data.

    Raises:
        StoreError: storage failed, or a later driver took the run over.
    """
    started, storage = time.time(), plan.storage
    _describe(
        plan, started
    )  # first: it tells a folder that was begun from one that is somebody else's
    storage.write_bytes(RunLayout.config, plan.source.stored.storage.read_bytes(RunLayout.config))
    record = RunRecord(storage, executor, progress)
    with record.driving():
        with record.state.alive():
            asyncio.run(record.state.watched(_walk(plan, record, executor)))
            record.finish(plan.source.config.protocols)
            _describe(plan, started, finished=time.time())
            if record.executed or record.dropped or not storage.exists(RunLayout.report_index):
                report(storage.root)
        told = record.state.write("done")
    places = {"run": storage.root, "measured": plan.source.root}
    return {
        **told,
        **_outcome(plan),
        **places,
        "broken": record.broken,
        "executed": record.executed,
    }


async def _walk(plan: Measurement, record: RunRecord, executor: Executor) -> None:
    source = plan.source
    scans = [*source.scans, *source.set_aside]
    # Direct transfer's own rules apply to masks without a student: nothing is compared with one.
    protocols = {
        name: protocol.model_copy(update={"segment": "som"})
        for name, protocol in source.config.protocols.items()
    }
    config = source.config.model_copy(update={"protocols": protocols})
    chains = [
        MeasuredChain(
            units=Units(plan.storage.root, name, config),
            scans=[scan for scan in scans if scan.protocol == name],
            record=record,
            executor=executor,
            intake=Intake(record, ()),
            source=source,
            matched=plan.matched,
            numbered=plan.request.instances,
        ).run()
        for name in protocols
    ]
    await gather_or_cancel(*chains)


def _describe(plan: Measurement, started: float, finished: float | None = None) -> None:
    """Write run.json."""
    storage, source = plan.storage, plan.source
    told = _outcome(plan) if finished else plan.told()
    measured = {
        "source": plan.drawn_by,
        **plan.identity,
        "run_digest": source.digest(),
        "masks_digest": _masks_digest(plan) if finished else None,
        "scans": len(told["pairs"]),
        "left_out": len(told["left_out"]),
        "images": carry_way(source.root, storage.root),
        "notes": told["notes"],
    }
    own = {"measured": measured}
    write_info(storage, source.config, _PACKAGES, own, (started, finished))


def _taken(plan: Measurement) -> dict[str, Entry]:
    """Read how taking each scan ended, by the scan's name."""
    ledger = Ledger(plan.storage)
    return {
        name: entry
        for stage, protocol, name in ledger.units()
        if stage == "ingest" and (entry := ledger.read(stage, protocol, name)) is not None
    }


def _masks_digest(plan: Measurement) -> str:
    """Name the voxels of all masks as they lie on the scans' grids, whatever files they came in."""
    taken = _taken(plan).items()
    return digest_of(sorted([name, e.value["mask_digest"]] for name, e in taken if e.ok))


def _outcome(plan: Measurement) -> dict[str, Any]:  # Any: JSON
    """Say what `Measurement.told` does once masks have been read: what reading them told, and which could not be."""
    told, taken = plan.told(), _taken(plan)
    pairs = []
    for pair in told["pairs"]:
        who = {key: pair[key] for key in ("subject", "session")}
        entry = taken[f"sub-{pair['subject']}_ses-{pair['session']}"]
        if entry.ok:
            facts = {key: entry.value[key] for key in ("voxels", "resampled", "inside_fraction")}
            pairs.append({**pair, **facts})
        else:
            why = {"code": entry.code, "message": entry.message}
            told["left_out"].append({**who, "mask": pair["masks"][0], **why})
    return {**told, "pairs": pairs}
