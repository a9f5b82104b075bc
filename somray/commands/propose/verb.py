"""The verb `propose`: its options."""

from typing import Annotated, Any

import typer

from somray.commands.completion import one_of, protocols
from somray.commands.console import Json, RunFolder, give
from somray.errors import ConfigError

__all__ = ["propose"]


def _csv_file(context: typer.Context, out: Any) -> Any:  # Any: text or None
    """Refuse what is no CSV file, before anything is read.

    Raises:
        ConfigError: its name ends otherwise.
    """
    if not context.resilient_parsing and out is not None and not str(out).endswith(".csv"):
        raise ConfigError(f"--out {out}: name a file that ends in .csv")
    return out


def propose(
    run: RunFolder,
    n: Annotated[int, typer.Option("--n", min=1, help="How many, of each protocol.")] = 5,
    what: Annotated[
        str, typer.Option(help="scans or slices.", autocompletion=one_of("scans", "slices"))
    ] = "scans",
    protocol: Annotated[
        str | None, typer.Option(help="The only one.", autocompletion=protocols)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice by chance.")] = 0,
    every: Annotated[
        bool, typer.Option("--all", help="Among scans that have a truth already, too.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", help="A .csv file for the table.", callback=_csv_file),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which scans or slices a reader should label first, and why.

    By what the run knows of its own doubts: where map and student disagree, where the student is unsure, scans that
    drift from what the map knows, pixels in nodes that are rare in the cohort, objects that could not be called. Each
    is ranked over the cohort, and the ranks are averaged. Every subject has its turn before one comes again, and
    slices keep 20 mm apart. A choice by chance stands in the same table, so that the two can be compared. Scans that
    have a truth are left out.

    Example: somray propose runs/lung --n 5 --what slices --out first.csv
    """
    from somray.commands.propose.choice import propose_first
    from somray.commands.propose.request import ProposeRequest
    from somray.commands.propose.words import proposed_text

    found = propose_first(run, ProposeRequest(what, n, protocol, seed, every, out))
    give(found, as_json, lambda: proposed_text(found))
