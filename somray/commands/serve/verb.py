"""The verb `serve`: its options, and what it says to a person."""

from pathlib import Path
from typing import Annotated, Any

import typer

from somray.commands.completion import protocols as known_protocols
from somray.commands.console import Json, RunFolder

__all__ = ["serve"]


def serve(
    run: RunFolder,
    protocol: Annotated[
        list[str] | None,
        typer.Option(help="Protocols that are served; all.", autocompletion=known_protocols),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen at; others than loopback need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    replicas: Annotated[
        int, typer.Option(min=1, max=1000, help="Processes for each protocol.")
    ] = 1,
    gpus: Annotated[
        float, typer.Option(min=0, help="Of each replica, for students; a fraction shares one.")
    ] = 0.0,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of each replica.", show_default="the CPUs, shared"),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File of the token that requests carry; else SOMRAY_SERVE_TOKEN."),
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate, for https.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PREFIX",
            help="Folder or URL prefix below which scans may be asked about by name.",
        ),
    ] = None,
    max_mb: Annotated[int, typer.Option(min=1, help="MiB of one request.")] = 512,
    max_voxels: Annotated[int, typer.Option(min=1, help="Of one scan, all channels.")] = 1 << 28,
    waiting: Annotated[int, typer.Option(min=0, help="Slices that wait at most.")] = 32,
    address: Annotated[
        str | None, typer.Option(help="Of a running Ray cluster; RAY_ADDRESS where left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Answer about slices and scans over HTTP, until Ctrl-C or SIGTERM, with what a run fitted.

    Slices are posted to /v1/protocols/P/slices, scans to /v1/protocols/P/scans, slices of a running acquisition go
    through the websocket /v1/protocols/P/stream; /docs describes all of it. For research, not for clinical use.

    Example: somray serve runs/lung --protocol chest-ct --allow /data/scans
    """
    from somray.commands.serve.launch import ServeRequest, serve_run
    from somray.commands.serve.settings import Limits

    request = ServeRequest(
        run=run,
        protocols=tuple(protocol or ()),
        host=host,
        port=port,
        replicas=replicas,
        gpus=gpus,
        threads=threads,
        token_file=token_file,
        certificate=(tls_cert, tls_key),
        allow=tuple(allow or ()),
        limits=Limits(max_mb=max_mb, max_voxels=max_voxels, waiting=waiting),
        address=address,
    )
    serve_run(request, as_json)


def ready_text(found: dict[str, Any]) -> str:  # Any: JSON
    """Say where the service is."""
    names = ", ".join(one["protocol"] for one in found["protocols"])
    return (
        f"somray: serves {names} at {found['url']} ({found['url']}/docs); Ctrl-C ends it\n"
        "for research, not for clinical use"
    )
