"""The verb `submit`: a cohort to a cluster by Ray's Jobs API, and the line of Ray's own that does the same."""

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from somray.commands.console import DONE, FAILED, Json, give, say
from somray.errors import ConfigError

__all__ = ["submit"]

CODES = (0, 2, 3, 4)
"""Of a run; what else a job ends with (no somray there, killed, stopped) is a failure."""


def submit(
    config: Annotated[Path, typer.Argument(metavar="COHORT.yaml")],
    address: Annotated[str, typer.Option(help="The cluster's dashboard, http://HEAD:8265.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Overrule one setting.")
    ] = None,
    shared: Annotated[
        bool,
        typer.Option(
            help="Send nothing: COHORT.yaml lies on a path that every node sees as this machine does."
        ),
    ] = False,
    follow: Annotated[bool, typer.Option(help="Show what the job says until it ends.")] = True,
    as_json: Json = False,
) -> None:
    """Hand a cohort to a Ray cluster.

    Prints the equal `ray job submit` line. The folder's cohort.yaml and manifest are sent, nothing else: paths in them
    must be absolute or URLs that every node sees. A run that is under way already is not started twice. Ends with the
    run's own exit code; Ctrl-C leaves the job running. The token is taken from RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH.

    Example: somray submit study/cohort.yaml --address http://127.0.0.1:8265
    """
    from somray.commands.submission import ray_line, request

    _check_address(address)
    made = request(config, tuple(settings or ()), shared=shared)
    line = ray_line(address, made)
    say(line)
    from somray.runtime.on_ray.jobs import Jobs

    jobs = Jobs(address)
    job = jobs.submit(made["name"], made["command"], made["environment"])
    say(f"job {job.name}: {'submitted' if job.is_new else 'is under way already'}")
    code = DONE
    if follow:
        code = _followed(jobs, job.name, address)
    found = {"job": job.name, "address": address, "command": line, "state": jobs.state(job.name)}
    give(found, as_json, lambda: f"job {job.name}: {found['state']}")
    raise typer.Exit(code)


def _check_address(address: str) -> None:
    """Refuse what is no address, which Ray itself tells in many lines.

    Raises:
        ConfigError: it is none.
    """
    if not re.fullmatch(r"(https?|ray)://\S+|[^\s:/]+:[0-9]+|auto", address):
        raise ConfigError(f"--address {address!r}: write the dashboard's address, http://HEAD:8265")


def _followed(jobs: Any, name: str, address: str) -> int:  # Any: `runtime.on_ray.jobs.Jobs`
    """Show a job's words on stderr; return its exit code."""
    try:
        code = jobs.follow(name, sys.stderr.write)
    except KeyboardInterrupt:
        say(f"job {name} goes on; to stop it: ray job stop --address {shlex.quote(address)} {name}")
        return DONE
    return code if code in CODES else FAILED
