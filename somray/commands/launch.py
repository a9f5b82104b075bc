"""Start the main job: the same code for `somray run` on a laptop and `ray job submit` on a cluster."""

import functools
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from somray.commands.console import INTERRUPTED, say
from somray.commands.ending import StoppedError
from somray.commands.progress.planning import Planning
from somray.commands.progress.view import ProgressView
from somray.commands.stopping import CODES, on_stop, stoppable
from somray.commands.words import counted, ended_units
from somray.config import CohortConfig, ResourcesConfig, load_config
from somray.domain.run import RunLayout
from somray.domain.work import Executor
from somray.errors import ConfigError, PlanError, StoreError
from somray.io.cohort.doubts import doubts_of
from somray.io.drivers import is_alive
from somray.io.status import count_scans, read_state, write_forecast
from somray.io.storage import Storage
from somray.pipeline.bounds.limits import limits
from somray.pipeline.cohort import Cohort, run_cohort
from somray.pipeline.run_state import Progress
from somray.pipeline.units.scan_state import scan_name
from somray.runtime.facts import code_cache
from somray.runtime.logs import log_to_stderr
from somray.runtime.on_ray.places import check_places

__all__ = ["check_output", "load_cohort", "ray_executor", "refuse_missing_gpu", "refuse_others", "run_job"]  # fmt: skip

LATER = "stopped; what is done stays done, and the same command goes on from there"

Part = Callable[[Cohort, Executor, Progress], dict[str, Any]]  # Any: JSON
"""What is done of a run: gets the cohort, where units run, and what is told of every stage's counts."""
_UPLOADS = "runtime_resources/working_dir_files"  # where Ray unpacks a job's working directory


def load_cohort(config: Path, settings: tuple[str, ...] = ()) -> Cohort:
    """Read and check configuration and manifest.

    Raises:
        ConfigError: one of them is wrong.
    """
    file = config.expanduser().absolute()
    loaded = load_config(file, settings)
    _refuse_unsent(file.parent / loaded.scans)
    cohort = Cohort.load(loaded, file.parent)
    _refuse_place(cohort.storage, file)
    return cohort


def _refuse_unsent(manifest: Path) -> None:
    """Say why a manifest is not in Ray's copy of the submitted folder.

    Raises:
        ConfigError: it is not.
    """
    if _UPLOADS in str(manifest) and not manifest.exists():
        raise ConfigError(
            f"the manifest {manifest.name} was not sent with the job: Ray leaves out what .gitignore and .rayignore "
            "name; export RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1 before `ray job submit`, or use `somray submit`"
        )


def _refuse_place(storage: Storage, file: Path) -> None:
    """Refuse an output in which the run's own cohort.yaml would take the place of the person's.

    Raises:
        ConfigError: it would, or the output is a file.
    """
    if not storage.is_local:
        return
    output = Path(storage.root)
    if output.is_file():
        raise ConfigError(f"output {output} is a file; name a folder, which need not exist")
    own = output / RunLayout.config
    if own.exists() and own.samefile(file) and not (output / RunLayout.info).exists():
        raise ConfigError(
            f"output {output} is the folder of the configuration, whose {RunLayout.config} the run would write over; "
            "name a folder within, such as `output: run`"
        )


def check_output(storage: Storage) -> None:
    """See that the run can be written where it shall lie, before anything starts.

    Raises:
        StoreError: it cannot.
    """
    name = RunLayout.probe(secrets.token_hex(4))
    try:
        storage.write_text(name, "can this be written?")
        storage.remove(name)
    except StoreError as error:
        why = (
            f": {cause.strerror or cause}" if isinstance(cause := error.__cause__, OSError) else ""
        )
        raise StoreError(
            f"output {storage.uri()} cannot be written{why}; correct `output` in the configuration, or say "
            "--set output=PLACE"
        ) from error


def refuse_others(cohort: Cohort) -> None:
    """Refuse an output that holds another cohort: what the manifest does not name is removed at the end of a run.

    Raises:
        ConfigError: it does; no scan of it is this cohort's.
    """
    storage = cohort.storage
    own = {RunLayout.group(scan_name(scan)) for scan in cohort.scans}
    found = [name for name in storage.names(RunLayout.scans) if name.startswith("sub-")]
    if found and not own & set(found):
        raise ConfigError(
            f"output {storage.uri()} holds another cohort's {len(found)} scans ({found[0].partition('.')[0]} …), none "
            "of which stands in this manifest, and they would be removed; choose another output (--set output=PLACE), "
            "or remove that folder"
        )


def refuse_missing_gpu(config: CohortConfig, gpus: float) -> None:
    """Refuse to begin on an embedded Ray, which cannot grow, what would end in hours, when the first mask is due.

    Raises:
        PlanError: a student shall segment on a GPU, and there is none.
    """
    asked = config.resources.segment_gpus
    by_student = [name for name, one in config.protocols.items() if one.segment == "student"]
    if asked and not gpus and by_student:
        raise PlanError(
            f"resources.segment_gpus: {asked:g} asks for a GPU ({', '.join(by_student)}), and Ray finds none on this "
            "machine; leave it out to segment on the CPU, or look with `nvidia-smi` and `somray doctor`"
        )


def _tell_of_other(storage: Storage) -> None:
    """Say that another driver is, or seems to be, at work on the same output: this one will wait for it."""
    state = read_state(storage)
    if is_alive(state) is not False:
        say(
            f"somray: another run works here, or did until a moment ago (process {state.get('pid')} on "
            f"{state.get('host')}); it is asked to stop, and this one begins when it has, within three minutes"
        )


def _tell_of_compiling() -> None:
    """Say where code that is compiled once cannot be kept."""
    cache = code_cache()
    if cache["fault"]:
        say(
            f"note: compiled code cannot be kept in {cache['folder']} ({cache['fault']}), so every worker compiles it "
            "anew; make room there, or export NUMBA_CACHE_DIR=/another/place"
        )


def _check_address(address: str | None) -> None:
    """Refuse the addresses of the dashboard and of Ray's client where the head's is meant.

    Raises:
        PlanError: it is one of them.
    """
    if address is not None and address.startswith(("http://", "https://")):
        raise PlanError(
            f"{address} is the address of a dashboard: hand the cohort over with `somray submit COHORT.yaml --address "
            f"{address}`, or give the head's address, HEAD:6379"
        )
    if address is not None and address.startswith("ray://"):
        raise PlanError(
            f"{address} is the address of Ray's client, through which a run cannot follow its cluster: give the head's "
            "(HEAD:6379) on one of its nodes, or hand the cohort over with `somray submit COHORT.yaml --address "
            "http://HEAD:8265`"
        )


def run_job(
    config: Path,
    address: str | None = None,
    settings: tuple[str, ...] = (),
    quiet: bool = False,
    part: Part | None = None,
) -> dict[str, Any]:
    """Run a cohort on a Ray cluster, or on an embedded Ray where there is none.

    `part` is what is done in the place of a whole run, such as the pretraining alone; no report is made then. Where
    no address is given that of RAY_ADDRESS is taken, else an embedded Ray started.

    Returns:
        As `run --json`, with `broken` and `executed`.

    Raises:
        ConfigError: configuration or manifest are wrong; nothing was started.
        PlanError: the cluster is missing or too small.
        StoreError: storage failed.
        StoppedError: by Ctrl-C, SIGTERM or SIGHUP; what is done stays done.
    """
    try:
        address = (address or os.environ.get("RAY_ADDRESS", "")).strip()
        embedded = address in ("", "local")  # as Ray itself calls it
        return _run(config, None if embedded else address, settings, quiet, part)
    except KeyboardInterrupt:
        raise StoppedError(LATER, INTERRUPTED) from None
    except SystemExit as stop:
        if not isinstance(stop.code, int) or stop.code not in CODES.values():
            raise
        raise StoppedError(LATER, stop.code) from None


def _check(cohort: Cohort, address: str | None) -> None:
    """See that a run can begin, before Ray is imported."""
    storage = cohort.storage
    if storage.is_local and _UPLOADS in storage.root:
        raise ConfigError(
            f"output {storage.root} lies in Ray's copy of the submitted folder and would be lost; "
            "give `output` (and `scans`) as absolute paths or URLs that every node sees"
        )
    for place in (os.getcwd(), storage.root):
        if (shown := place.encode(errors="replace").decode()) != place:
            raise ConfigError(
                f"{shown}: has a name that is not UTF-8 (shown with ?), which Ray cannot work with; rename it, start "
                "elsewhere, or set LC_ALL=C.UTF-8 where the terminal's language is at fault"
            )
    if storage.root.startswith("memory://"):
        raise ConfigError(
            f"output {storage.root} lies in the memory of each process alone, where the others do not see it; name a "
            "folder, or a URL that all see"
        )
    log_to_stderr()
    check_output(storage)
    refuse_others(cohort)
    _check_address(address)
    check_places(address)


def _hold_against(cohort: Cohort, planning: Planning) -> None:
    """Hold what a run needs against an embedded Ray, which cannot grow.

    Raises:
        PlanError: this machine lacks what the run needs; nothing was begun.
    """
    from somray.runtime.on_ray.capacity import Capacity

    offered = Capacity.now()
    refuse_missing_gpu(cohort.config, offered.gpus)
    begun = cohort.storage.exists(RunLayout.info)  # what is large may be done already
    if offered.nodes and not begun:
        planning.refuse(offered.node_memory)


def ray_executor(resources: ResourcesConfig, address: str | None) -> Executor:
    """Return what runs units on the Ray that is joined; only one that others can join waits for nodes."""
    from somray.runtime.on_ray.executor import RayExecutor

    wait_seconds = 60 * resources.wait_minutes if address else 0.0
    time_limits = limits(resources.unit_minutes)
    return RayExecutor(resources.in_flight, resources.attempts, time_limits, wait_seconds)


def _run(
    config: Path, address: str | None, settings: tuple[str, ...], quiet: bool, part: Part | None
) -> dict[str, Any]:
    cohort = load_cohort(config, settings)
    storage = cohort.storage
    _check(cohort, address)
    from somray.report.pages import write_report
    from somray.runtime.on_ray.session import ray_session

    resources = cohort.config.resources
    if not quiet:
        say(
            f"somray: {counted(len(cohort.scans), 'scan')}, results in {storage.uri()}; Ctrl-C loses nothing"
        )
        for doubt in doubts_of(cohort.scans):
            say(f"note: {doubt}")
        _tell_of_compiling()
        _tell_of_other(storage)
    before = {s["stage"]: ended_units(s) for s in read_state(storage).get("stages", ())}
    planning = Planning(cohort)
    if part is None:
        planning.begin()  # while Ray starts
    with stoppable(), ray_session(address, resources.workers):
        on_stop()
        executor = ray_executor(resources, address)
        if part is not None:
            with ProgressView(quiet, before) as progress:
                summary = part(cohort, executor, progress)
        else:
            if address is None:
                _hold_against(cohort, planning)
            report = functools.partial(write_report, mapper=executor.mapper())
            keep = functools.partial(write_forecast, storage)
            with ProgressView(quiet, before, lambda: planning.plan, keep) as progress:
                summary = run_cohort(cohort, executor, report, progress)
    seconds = {"run": storage.root, "seconds": round(progress.seconds, 1)}
    if part is not None:
        return {**summary, **seconds}
    report_at = storage.uri(RunLayout.report_index)
    return {**summary, **count_scans(storage.root), "report": report_at, **seconds}
