"""One protocol of a cohort as a cohort of its own, for a task of a job array (cluster/slurm/somray-array.sbatch).

`python -m jobs.one_protocol FOLDER NUMBER COHORT.yaml [--set a.b=value]...` writes `FOLDER/cohort.yaml` and
`FOLDER/scans.csv`, with absolute paths, and prints the first one's path. The output is a folder of the cohort's
own, named after the protocol, so that no two tasks write to one place.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from somray.commands.launch import load_cohort
from somray.domain.scan import Scan
from somray.errors import ConfigError
from somray.io.cohort.manifest import COLUMNS
from somray.pipeline.cohort import Cohort

__all__ = ["main", "write_protocol"]

USAGE = 2


def write_protocol(cohort: Cohort, number: int, folder: Path) -> Path:
    """Write configuration and manifest of one protocol.

    Args:
        cohort: all protocols.
        number: place of the protocol in the configuration, from 0.
        folder: where the two files go; it exists.

    Returns:
        The configuration's path.

    Raises:
        ConfigError: there are fewer protocols, or a subject has sessions of several: their lesions would not be
            followed from one to the other.
    """
    names = list(cohort.config.protocols)
    if not 0 <= number < len(names):
        raise ConfigError(
            f"there is no protocol {number}: the cohort has {len(names)}, so sbatch takes "
            f"--array=0-{len(names) - 1} ({', '.join(names)})"
        )
    name = names[number]
    own = [scan for scan in cohort.scans if scan.protocol == name]
    if not own:
        raise ConfigError(
            f"no scan of the manifest is of protocol {name!r}; take its number out of --array"
        )
    _refuse_mixed(cohort.scans, own)
    config = cohort.config.model_copy(
        update={
            "scans": "scans.csv",
            "output": f"{cohort.storage.root.rstrip('/')}/{name}",
            "protocols": {name: cohort.config.protocols[name]},
        }
    )
    with (folder / config.scans).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(
            row for scan in own for row in _rows(scan, config.protocols[name].channels)
        )
    path = folder / "cohort.yaml"
    data = config.model_dump(mode="json", exclude_unset=True)
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _refuse_mixed(scans: Sequence[Scan], own: Sequence[Scan]) -> None:
    """Refuse to tear a subject apart.

    Raises:
        ConfigError: names the first such subject.
    """
    subjects = {scan.subject for scan in own}
    for scan in scans:
        if scan.subject in subjects and scan.protocol != own[0].protocol:
            raise ConfigError(
                f"subject {scan.subject} has sessions of {own[0].protocol} and of {scan.protocol}; in runs of their "
                "own its lesions would not be followed from one to the other: run the cohort whole (somray.sbatch)"
            )


def _rows(scan: Scan, channels: Sequence[str]) -> Iterator[dict[str, str]]:
    """Write a scan as rows of a manifest, what belongs to the scan on the first."""
    told = {
        "days": "" if scan.days is None else repr(scan.days),
        "truth": scan.truth or "",
        "anatomy": scan.anatomy or "",
    }
    for channel, path in zip(channels, scan.paths, strict=True):
        if path is not None:
            yield {
                "subject": scan.subject,
                "session": scan.session,
                "protocol": scan.protocol,
                "path": path,
                "channel": channel,
                **told,
            }
            told = {}


def main(argv: list[str]) -> int:
    """Parse, write, print the path; the exit code is as `somray run`'s."""
    parser = argparse.ArgumentParser(prog="python -m jobs.one_protocol", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("number", type=int)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="A.B=VALUE")
    given = parser.parse_args(argv)
    try:
        path = write_protocol(
            load_cohort(given.cohort, tuple(given.set)), given.number, given.folder
        )
    except ConfigError as error:
        sys.stderr.write(f"somray: {error}\n")
        return USAGE
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
