"""The verb `phantom`: its options, and what it says to a person."""

from pathlib import Path
from typing import Annotated

import typer

from somray.commands.completion import one_of
from somray.commands.console import Json, give, out_option
from somray.errors import ConfigError

__all__ = ["parse_shape", "phantom"]


def phantom(
    out: Annotated[Path, out_option("Folder to write to.")],
    subjects: Annotated[int, typer.Option(min=1)] = 3,
    sessions: Annotated[int, typer.Option(min=1)] = 3,
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="Z,Y,X", help="32,128,128 (trunk), 240,128,128 (body), 32,160,160 (head)."
        ),
    ] = None,
    modality: Annotated[
        str | None,
        typer.Option(
            help="trunk: ct (default), petct, xct; body: petct (default), pet; head: mr.",
            autocompletion=one_of("ct", "petct", "xct", "pet", "mr"),
        ),
    ] = None,
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="dicom (neither xct nor mr) or nifti.",
            autocompletion=one_of("dicom", "nifti"),
        ),
    ] = None,
    region: Annotated[
        str,
        typer.Option(
            help="trunk, body (vertex to thigh) or head.",
            autocompletion=one_of("trunk", "body", "head"),
        ),
    ] = "trunk",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Write a synthetic cohort with known truth as real input files.

    Example: somray phantom --out /tmp/cohort --modality petct
    """
    from somray.phantom.files.write import write_phantom

    write_phantom(
        out, subjects=subjects, sessions=sessions, shape=None if shape is None else parse_shape(shape),
        modality=modality, format=file_format, seed=seed, region=region,
    )  # fmt: skip
    found = {"cohort": str(out / "cohort.yaml"), "scans": subjects * sessions}
    give(
        found, as_json, lambda: f"wrote {found['scans']} scans; next: somray run {found['cohort']}"
    )


def parse_shape(text: str) -> tuple[int, int, int]:
    """Read Z,Y,X.

    Raises:
        ConfigError: it is not three positive whole numbers.
    """
    try:
        z, y, x = (int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--shape {text!r}: expected Z,Y,X such as 32,128,128") from None
    return z, y, x
