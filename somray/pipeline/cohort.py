"""Run a whole cohort: take the run over, walk all protocols, write tables, report and the final mark."""

import asyncio
import functools
import json
import os
import platform
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import yaml

import somray
from somray.config import CohortConfig
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.domain.work import Executor, digest_of
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest
from somray.io.storage import Storage, is_url
from somray.pipeline.chains import ProtocolChain
from somray.pipeline.digests import code_digest
from somray.pipeline.fitting import ProtocolWork
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.intake import Intake
from somray.pipeline.previous import with_previous
from somray.pipeline.record import Record, RunRecord
from somray.pipeline.run_state import Progress
from somray.pipeline.stages import STAGES
from somray.pipeline.units.protocol import Units

__all__ = ["Cohort", "describe_run", "run_cohort", "walk", "write_info"]

_PACKAGES = ("ray", "torch", "zarr", "numpy", "numba", "opencv-python-headless", "pyarrow", "dask")


@dataclass(frozen=True)
class Cohort:
    """A configuration with its manifest, both checked.

    Args:
        config: the resolved configuration.
        scans: of the manifest, in its order.
        storage: where the run lies.
        manifest: absolute path of the manifest.
    """

    config: CohortConfig
    scans: tuple[Scan, ...]
    storage: Storage
    manifest: Path

    @classmethod
    def load(cls, config: CohortConfig, folder: Path) -> "Cohort":
        """Read the manifest; paths are relative to `folder`, where the configuration lies.

        Raises:
            ConfigError: the manifest is wrong, every faulty row is named; the output lies in a scan, or a
                scan in the output.
        """
        manifest = folder / config.scans
        config = with_previous(config, folder)
        scans = load_manifest(manifest, config)
        output = config.output if is_url(config.output) else str(folder / config.output)
        storage = Storage.at(output)
        _refuse_overlap(storage, scans)
        return cls(config, tuple(scans), storage, manifest)


def _refuse_overlap(storage: Storage, scans: Sequence[Scan]) -> None:
    """Refuse a run that would write into its own sources, or clear them away as something old.

    Raises:
        ConfigError: names the first such path.
    """
    if not storage.is_local:
        return
    output = Path(os.path.normpath(storage.root))
    own = output / RunLayout.scans
    for scan in scans:
        for named in (*scan.paths, scan.truth, scan.anatomy):
            if named is None or is_url(named):
                continue
            path = Path(os.path.normpath(named))
            if output.is_relative_to(path):
                raise ConfigError(
                    f"output {output} lies in {path}, which is read; choose another output"
                )
            if path.is_relative_to(own):
                raise ConfigError(
                    f"{path} lies in the output, which is written anew; choose another output"
                )


def run_cohort(
    cohort: Cohort,
    executor: Executor,
    report: Callable[[str], object],
    progress: Progress | None = None,
) -> dict[str, object]:
    """Do what is left of a run.

    Args:
        cohort: what to run.
        executor: where units run.
        report: writes the report of a run at a path or URL; called last.
        progress: told of every stage's counts, at most once a second.

    Returns:
        As `status --json`, with `broken`: units that failed for a reason that lies not in the data.

    Raises:
        StoreError: storage failed, or a later driver took the run over.
    """
    started = time.time()
    storage = cohort.storage
    record = RunRecord(storage, executor, progress)
    with record.driving():
        with record.state.alive():
            describe_run(cohort, record.state.attempt, started)
            asyncio.run(record.state.watched(walk(cohort, record, executor)))
            record.finish(cohort.config.protocols)
            if record.executed or record.dropped or not storage.exists(RunLayout.report_index):
                report(storage.root)
            describe_run(cohort, record.state.attempt, started, finished=time.time())
        told = record.state.write("done")
    return {**told, "broken": record.broken, "executed": record.executed}


def _chain(work: ProtocolWork) -> Awaitable[None]:
    return ProtocolChain(**vars(work)).run()


async def walk(
    cohort: Cohort,
    record: Record,
    executor: Executor,
    job: Callable[[ProtocolWork], Awaitable[None]] = _chain,
) -> None:
    """Go through all that is to be done for a cohort, scan by scan, protocol by protocol.

    Args:
        cohort: what is done.
        record: knows what is done already, and what came of it.
        executor: where the rest is done.
        job: what is done of a protocol; all of it by itself.
    """
    units = {p: Units(cohort.storage.root, p, cohort.config) for p in cohort.config.protocols}
    intake = Intake(record, cohort.scans)
    judged = intake.start(units)
    jobs = []
    for protocol, own in units.items():
        scans = [scan for scan in cohort.scans if scan.protocol == protocol]
        jobs.append(job(ProtocolWork(own, scans, record, executor, intake)))
    await gather_or_cancel(judged, *jobs)


def describe_run(
    cohort: Cohort, attempt: int, started: float, finished: float | None = None
) -> None:
    """Write run.json and the resolved configuration."""
    storage = cohort.storage
    places = {"scans": str(cohort.manifest), "output": storage.root}
    resolved = cohort.config.model_copy(update=places).model_dump(mode="json")
    storage.write_text(
        RunLayout.config, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
    )
    scans = [[s.subject, s.session, s.protocol, s.path] for s in cohort.scans]
    own = {"manifest_digest": digest_of(scans), "attempt": attempt}
    write_info(storage, cohort.config, _PACKAGES, own, (started, finished))


def write_info(
    storage: Storage,
    config: CohortConfig,
    packages: Sequence[str],
    own: Mapping[str, object],
    times: tuple[float, float | None],
) -> None:
    """Write run.json, with the versions of packages.

    `own` is what this kind of run tells besides; `times` are when this driver started, and finished or None, in
    seconds since the epoch.
    """
    started, finished = times
    try:
        first = json.loads(storage.read_text(RunLayout.info)).get("started", started)
    except (FileNotFoundError, ValueError):
        first = started
    versions = {name: _version(name) for name in packages}
    info = {
        "somray": somray.__version__,
        "code_digest": digest_of({stage: code_digest(stage) for stage in STAGES}),
        "config_digest": config.digest(),
        "seed": config.seed,
        "versions": {"python": platform.python_version(), **versions},
        "machine": {
            "node": platform.node(),
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
        },
        **own,
        "started": first,
        "resumed": started,
        "finished": finished,
    }
    storage.write_text(RunLayout.info, json.dumps(info, indent=1))


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
