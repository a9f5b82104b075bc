"""Measure a finished run on foreign masks: decide whose each mask is, walk all protocols, write tables and report."""

import asyncio
import json
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import somray
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.work import Executor, digest_of
from somray.errors import ConfigError
from somray.io.ledger import Entry, Ledger
from somray.io.storage import Storage, is_url
from somray.pipeline.digests import code_digest
from somray.pipeline.gather import gather_or_cancel, owned
from somray.pipeline.intake import Intake
from somray.pipeline.measure.chain import MeasuredChain
from somray.pipeline.measure.given import GivenFile, Unplaced, given_files
from somray.pipeline.measure.matching import Grids, MatchedMask, match
from somray.pipeline.measure.request import MeasureRequest
from somray.pipeline.measure.source import MeasuredRun
from somray.pipeline.record import RunRecord
from somray.pipeline.run_state import Progress
from somray.pipeline.stages import STAGES
from somray.pipeline.units.protocol import Units
from somray.stages.foreign.carry import carry_way

__all__ = ["Measurement", "measure_run", "plan_measure"]

WATCH_SECONDS = 0.5
_SUFFIX = "-measured"
_PACKAGES = ("zarr", "numpy", "numba", "pyarrow", "nibabel", "pydicom")


@dataclass(frozen=True)
class Measurement:
    """What will be measured, decided before anything is written.

    Args:
        request: as it was asked for.
        source: the run that has the images.
        storage: the new run.
        matched: every complete scan of the run with its mask or the reason why it has none.
        unplaced: masks that are no scan's.
    """

    request: MeasureRequest
    source: MeasuredRun
    storage: Storage
    matched: Mapping[Scan, MatchedMask]
    unplaced: tuple[Unplaced, ...] = field(default=())

    @property
    def drawn_by(self) -> str:
        """What drew the masks, in words: as given, else the names of what was given."""
        named = (Path(text).expanduser().absolute().name for text in self.request.masks)
        return self.request.source or ", ".join(dict.fromkeys(named))

    @property
    def identity(self) -> dict[str, Any]:  # Any: JSON
        """What another measurement in the same folder must share, or it would take this one's place."""
        labels = self.request.labels
        return {
            "run": self.source.root,
            "masks": [str(Path(text).expanduser().absolute()) for text in self.request.masks],
            "labels": [*labels.numbers, *labels.names],
            "as": "instances" if self.request.instances else "connected parts",
        }

    def told(self) -> dict[str, Any]:  # Any: JSON
        """Say which mask is whose, which scans have none, which masks are no scan's."""
        pairs, left_out = [], []
        for scan, mask in self.matched.items():
            who = {"subject": scan.subject, "session": scan.session}
            if mask.refusal is None:
                pairs.append({**who, "masks": [part.path for part in mask.parts]})
            else:
                code, message = mask.refusal
                left_out.append({**who, "mask": None, "code": code, "message": message})
        left_out += [
            {"subject": None, "session": None, "mask": m.path, "code": m.code, "message": m.message}
            for m in self.unplaced
        ]
        return {"pairs": pairs, "left_out": left_out, "notes": list(self.source.notes)}


def plan_measure(request: MeasureRequest) -> Measurement:
    """Decide whose each mask is, by names and headers; nothing is written.

    Raises:
        ConfigError: the run is not finished, the place of the new one is not free, or no mask fits any scan.
        StoreError: there is no run.
    """
    source = MeasuredRun.open(request.run)
    storage = Storage.at(request.out or f"{source.root}{_SUFFIX}")
    _refuse_place(storage, source, request)
    files, unplaced = given_files(request.masks, source.scans)
    by_scan: dict[Scan, list[GivenFile]] = {}
    for file in files:
        by_scan.setdefault(file.named.scans[0], []).append(file)
    grids = Grids(source.metas)
    matched = {
        scan: match(scan, by_scan.get(scan, ()), request.labels, grids) for scan in source.scans
    }
    plan = Measurement(request, source, storage, matched, tuple(unplaced))
    if all(mask.refusal is not None for mask in matched.values()):
        raise ConfigError(_nothing_fits(plan, files))
    _refuse_another(plan)
    return plan


def _nothing_fits(plan: Measurement, files: Sequence[GivenFile]) -> str:
    """Say why there is nothing to measure, and how masks may be named."""
    told = plan.told()["left_out"]
    wrong = [one for one in told if one["code"] != "missing" or one["mask"]] if files else told[-3:]
    scan = plan.source.scans[0]
    example = f"sub-{scan.subject}_ses-{scan.session}.nii.gz"
    reasons = "\n".join(f"  {one['message']}" for one in (wrong or told)[:5])
    return (
        f"no mask fits a scan of {plan.source.root}; name masks as {example}, put them into sub-S/ses-T/, or give a "
        f"table with the columns subject, session, path:\n{reasons}"
    )


def _refuse_place(storage: Storage, source: MeasuredRun, request: MeasureRequest) -> None:
    """Refuse to write over, into or around the run, or around the masks.

    Raises:
        ConfigError: says which.
    """
    out, run = (
        root if is_url(root) else os.path.realpath(root) for root in (storage.root, source.root)
    )
    if out == run or out.startswith(f"{run}/") or run.startswith(f"{out}/"):
        raise ConfigError(
            f"--out {storage.root}: overlaps the run {source.root}; choose a folder beside it"
        )
    for text in request.masks:
        mask = os.path.realpath(Path(text).expanduser())
        if mask == out or mask.startswith(f"{out}/"):
            raise ConfigError(
                f"--out {storage.root}: holds the masks {text}; choose another folder"
            )


def _refuse_another(plan: Measurement) -> None:
    """Refuse a folder that holds something else, another measurement too.

    Raises:
        ConfigError: says what is there.
    """
    if not plan.storage.names(""):
        return
    there = plan.storage.root
    try:
        before = json.loads(plan.storage.read_text(RunLayout.info)).get("measured", {})
    except (FileNotFoundError, ValueError):
        raise ConfigError(f"--out {there}: is not empty; choose another folder") from None
    if not before:
        raise ConfigError(f"--out {there}: holds a run of its own; choose another folder")
    for key, value in plan.identity.items():
        if before.get(key) != value:
            raise ConfigError(
                f"--out {there}: holds another measurement ({key}: {before.get(key)}, now {value}); choose another "
                "folder, or remove that one"
            )


def measure_run(
    plan: Measurement,
    executor: Executor,
    report: Callable[[str], object],
    progress: Progress | None = None,
) -> dict[str, Any]:  # Any: JSON
    """Do what is left of a measurement.

    Args:
        plan: what to measure.
        executor: where units run.
        report: writes the report of a run at a path or URL; called last.
        progress: told of every stage's counts, at most once a second.

    Returns:
        As `status --json`, with `pairs`, `left_out` and `notes` as `Measurement.told` says, `run`, `measured`, and
        `broken`: units that failed for a reason that lies not in the data.

    Raises:
        StoreError: storage failed, or a later driver took the run over.
    """
    started, storage = time.time(), plan.storage
    storage.write_bytes(RunLayout.config, plan.source.stored.storage.read_bytes(RunLayout.config))
    _describe(plan, started)
    record = RunRecord(storage, executor, progress)
    try:
        record.state.begin()
        with record.state.alive():
            asyncio.run(_walk_watched(plan, record, executor))
            record.finish(plan.source.config.protocols)
            _describe(plan, started, finished=time.time())
            if record.executed or record.dropped or not storage.exists(RunLayout.report_index):
                report(storage.root)
        told = record.state.write("done")
    except BaseException:
        executor.close()
        record.close()
        record.state.give_up()  # last: another driver may wait for it
        raise
    finally:
        record.close()
    places = {"run": storage.root, "measured": plan.source.root}
    return {
        **told,
        **_outcome(plan),
        **places,
        "broken": record.broken,
        "executed": record.executed,
    }


async def _walk_watched(plan: Measurement, record: RunRecord, executor: Executor) -> None:
    """Walk, and stop as soon as this driver must."""

    async def watch() -> None:
        while record.state.fault is None:
            await asyncio.sleep(WATCH_SECONDS)
        raise record.state.fault

    watching = asyncio.create_task(watch())
    walking = asyncio.create_task(_walk(plan, record, executor))
    async with owned() as tasks:
        tasks.extend((watching, walking))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await (walking if walking.done() else watching)
        watching.cancel()


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
    try:
        first = json.loads(storage.read_text(RunLayout.info)).get("started", started)
    except (FileNotFoundError, ValueError):
        first = started
    told = _outcome(plan) if finished else plan.told()
    info = {
        "somray": somray.__version__,
        "measured": {
            "source": plan.drawn_by,
            **plan.identity,
            "run_digest": source.digest(),
            "masks_digest": _masks_digest(plan) if finished else None,
            "scans": len(told["pairs"]),
            "left_out": len(told["left_out"]),
            "images": carry_way(source.root, storage.root),
            "notes": told["notes"],
        },
        "code_digest": digest_of({stage: code_digest(stage) for stage in STAGES}),
        "config_digest": source.config.digest(),
        "seed": source.config.seed,
        "versions": {"python": platform.python_version(), **_versions()},
        "machine": {"node": platform.node(), "system": platform.platform()},
        "started": first,
        "resumed": started,
        "finished": finished,
    }
    storage.write_text(RunLayout.info, json.dumps(info, indent=1))


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in _PACKAGES}


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
