"""Start the main job: the same code for `somray run` on a laptop and `ray job submit` on a cluster."""

import contextlib
import functools
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from somray.commands.progress import ProgressView
from somray.config import load_config
from somray.errors import ConfigError
from somray.io.storage import Storage
from somray.pipeline.bounds.limits import limits
from somray.pipeline.cohort import Cohort, run_cohort
from somray.runtime.logs import log_to_stderr
from somray.runtime.on_ray.places import check_places

__all__ = ["check_output", "load_cohort", "run_job"]

STOPPED = 143  # what a shell calls the end by SIGTERM

_UPLOADS = "runtime_resources/working_dir_files"  # where Ray unpacks a job's working directory


def load_cohort(config: Path, settings: tuple[str, ...] = ()) -> Cohort:
    """Read and check configuration and manifest.

    Raises:
        ConfigError: one of them is wrong.
    """
    file = config.expanduser().absolute()
    return Cohort.load(load_config(file, settings), file.parent)


def check_output(storage: Storage) -> None:
    """See that the run can be written where it shall lie, before anything starts.

    Raises:
        StoreError: it cannot.
    """
    name = f"work/probe-{secrets.token_hex(4)}"
    storage.write_text(name, "can this be written?")
    storage.remove(name)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Turn SIGTERM (`ray job stop`, Slurm, Kubernetes) into an orderly end: the run is marked stopped."""
    before = _on_stop()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _on_stop() -> Any:  # Any: what stood there before
    """Have SIGTERM end this process in an orderly way; Ray puts a handler of its own there when it is joined."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the end itself is not to be broken off
        raise SystemExit(STOPPED)

    return signal.signal(signal.SIGTERM, stop)


def run_job(
    config: Path, address: str | None = None, settings: tuple[str, ...] = (), quiet: bool = False
) -> dict[str, Any]:
    """Run a cohort on a Ray cluster, or on an embedded Ray where there is none.

    Args:
        config: cohort.yaml.
        address: of a running cluster; RAY_ADDRESS where None, else an embedded Ray is started.
        settings: `a.b=value` settings that win over the file.
        quiet: show no progress.

    Returns:
        As `run --json`, with `broken` and `executed`.

    Raises:
        ConfigError: configuration or manifest are wrong; nothing was started.
        PlanError: the cluster is missing or too small.
        StoreError: storage failed.
    """
    cohort = load_cohort(config, settings)
    if cohort.storage.is_local and _UPLOADS in cohort.storage.root:
        raise ConfigError(
            f"output {cohort.storage.root} lies in Ray's copy of the submitted folder and would be lost; "
            "give `output` (and `scans`) as absolute paths or URLs that every node sees"
        )
    address = address or os.environ.get("RAY_ADDRESS") or None
    log_to_stderr()
    check_output(cohort.storage)
    check_places(address)
    from somray.report.pages import write_report
    from somray.runtime.on_ray.executor import RayExecutor
    from somray.runtime.on_ray.session import ray_session

    resources = cohort.config.resources
    with (
        _stoppable(),
        ray_session(address, resources.workers),
        ProgressView(quiet) as progress,
    ):
        _on_stop()
        executor = RayExecutor(
            resources.in_flight,
            resources.attempts,
            limits(resources.unit_minutes),
            60 * resources.wait_minutes if address else 0.0,
        )
        report = functools.partial(write_report, mapper=executor.mapper())
        summary = run_cohort(cohort, executor, report, progress)
    return {**summary, "run": cohort.storage.root}
