"""What is handed to a cluster for a cohort: only configuration and manifest.

Scans and results stay where every node sees them. What would be looked for in the copy that Ray unpacks is refused
before anything is sent.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from somray.commands.launch import load_cohort
from somray.config.places import expand
from somray.domain.work import digest_of
from somray.errors import ConfigError
from somray.io.cohort.manifest import COLUMNS
from somray.io.cohort.sheet import read_sheet
from somray.io.storage import is_url
from somray.pipeline.cohort import Cohort

__all__ = ["ray_line", "request"]

MOST_NAMED = 5
_PLACES = ("path", "truth", "anatomy")
_SPECIAL, _ESCAPED = re.compile(r"([\\*?\[\]#! ])"), r"\\\1"


def request(config: Path, settings: tuple[str, ...], *, shared: bool) -> dict[str, Any]:
    """Say what to hand over.

    `shared` tells whether every node sees the file where it lies.

    Returns:
        `name` of the job, `command` (words), `environment` of Ray.

    Raises:
        ConfigError: the cohort is wrong, or names places that the nodes would look for in the copy.
    """
    cohort = load_cohort(config, settings)
    file = config.expanduser().absolute()
    if not shared:
        _refuse_relative(cohort, file)
    options = [word for one in settings for word in ("--set", one)]
    command = ["python", "-m", "jobs.run_cohort", str(file) if shared else file.name, *options]
    text = file.read_bytes().decode(errors="replace").replace("\r\n", "\n")
    content = (text, cohort.manifest.read_bytes().hex(), settings)
    environment = (
        {} if shared else {"working_dir": str(file.parent), "excludes": _all_but(cohort, file)}
    )
    name = f"somray-{digest_of(cohort.storage.root, content)[:12]}"
    return {"name": name, "command": command, "environment": environment}


def _all_but(cohort: Cohort, file: Path) -> list[str]:
    """Leave out of the copy all that is neither configuration nor manifest, in the language of .gitignore.

    Ray asks for the folder itself too, as ".".
    """
    kept = [Path(file.name)]
    manifest = Path(os.path.normpath(cohort.manifest))
    if manifest.is_relative_to(file.parent):
        kept.append(manifest.relative_to(file.parent))
    folders = [up for one in kept for up in reversed(one.parents) if up.name]
    return [
        "/**",
        "!.",
        *(f"!/{_SPECIAL.sub(_ESCAPED, one.as_posix())}" for one in (*folders, *kept)),
    ]


def _refuse_relative(cohort: Cohort, file: Path) -> None:
    """Refuse places that would lie in the copy of the folder that the cluster unpacks and throws away.

    Raises:
        ConfigError: names them.
    """
    found = list(_relative(cohort, file))
    if found:
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise ConfigError(
            f"{'; '.join(found[:MOST_NAMED])}{more}: only {file.name} and the manifest are sent, so the nodes would "
            "not find these; write absolute paths or URLs that every node sees, or add --shared where the folder "
            f"{file.parent} itself is seen by all"
        )


def _relative(cohort: Cohort, file: Path) -> Iterator[str]:
    output = cohort.config.output
    if _is_relative(output, file.parent):
        yield f"output {output}"
    scans = cohort.config.scans
    if not Path(scans).is_absolute() and os.path.normpath(scans).startswith(".."):
        yield f"scans {scans}"
    sheet = read_sheet(cohort.manifest, tuple(COLUMNS))
    for number, cells in sheet.rows:
        for column in _PLACES:
            if (text := cells.get(column, "")) and _is_relative(text, cohort.manifest.parent):
                yield f"{column} {text} (row {number} of {cohort.manifest.name})"


def _is_relative(text: str, folder: Path) -> bool:
    return not is_url(text) and not Path(expand(text, folder, "")).is_absolute()


def ray_line(address: str, made: dict[str, Any]) -> str:
    """Write the line of Ray's own that hands the same job over, though git may be told to ignore a manifest."""
    words = ["ray", "job", "submit", "--address", address, "--submission-id", made["name"]]
    environment = dict(made["environment"])
    if folder := environment.pop("working_dir", None):
        if (Path(folder) / ".gitignore").exists():
            words = ["env", "RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1", *words]
        words += ["--working-dir", folder, "--runtime-env-json", json.dumps(environment)]
    return shlex.join([*words, "--", *made["command"]])
