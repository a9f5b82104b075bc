"""The verb `dicom-node`: its options, and what it says to a person."""

import os
from pathlib import Path
from typing import Annotated

import typer

from somray.commands.completion import one_of, protocols
from somray.commands.console import DONE, QUARANTINED, Json, RunFolder, give
from somray.errors import ConfigError

__all__ = ["dicom_node"]


def dicom_node(
    run: RunFolder,
    archive: Annotated[
        str, typer.Option(metavar="URL", help="REST of the Orthanc that scans arrive in.")
    ],
    state: Annotated[
        Path, typer.Option(metavar="DIR", help="What the node knows; only its own, made if absent.")
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Protocol that may answer; all if absent.", autocompletion=protocols),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="som, student or finetuned; as the protocol's `segment` if absent.",
            autocompletion=one_of("som", "student", "finetuned"),
        ),
    ] = None,
    sr: Annotated[bool, typer.Option("--sr", help="Send a report of volumes too.")] = False,
    send_to: Annotated[
        str | None,
        typer.Option(metavar="AET@HOST:PORT", help="C-STORE answers to; else into the archive."),
    ] = None,
    stow: Annotated[
        str | None, typer.Option(metavar="URL", help="STOW-RS answers to; else into the archive.")
    ] = None,
    aet: Annotated[str, typer.Option(help="AE title that calls.")] = "SOMRAY",
    password_file: Annotated[
        Path | None,
        typer.Option(help="Password of the archive; else SOMRAY_ARCHIVE_PASSWORD is taken."),
    ] = None,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds without change before a series is whole.")
    ] = 15.0,
    pair_wait: Annotated[
        float, typer.Option(min=0, help="Seconds that CT waits for its PET, and PET for its CT.")
    ] = 300.0,
    poll: Annotated[float, typer.Option(min=0.05, help="Seconds between two looks.")] = 2.0,
    max_mb: Annotated[int, typer.Option(min=1, help="Largest series.")] = 4096,
    backlog: Annotated[
        bool, typer.Option("--backlog", help="At the first start answer what is there already.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is left to do; implies --backlog.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Answer scans that arrive in an archive by DICOM-SEG.

    Example: somray dicom-node runs/lung --archive http://me@pacs:8042 --state node --sr
    """
    from somray.commands.dicom_node.serving import serve_archive
    from somray.commands.dicom_node.settings import ArchivePlaces, NodeSettings

    settings = NodeSettings(
        run=run, protocols=tuple(protocol or ()), method=method, report=sr, settle_seconds=settle,
        pair_seconds=pair_wait, poll_seconds=poll, most_bytes=max_mb << 20, begins_with_all=backlog or once,
        retries_failed=retry, once=once,
    )  # fmt: skip
    places = ArchivePlaces(
        archive, _password(password_file), state, send_to, stow,
        os.environ.get("SOMRAY_STOW_PASSWORD", ""), aet,
    )  # fmt: skip
    found = serve_archive(settings, places)
    give(found, as_json, lambda: ", ".join(f"{n} {word}" for word, n in found["series"].items()))
    return QUARANTINED if found["set_aside"] else DONE


def _password(file: Path | None) -> str:
    if file is None:
        return os.environ.get("SOMRAY_ARCHIVE_PASSWORD", "")
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--password-file {file}: cannot be read") from error
