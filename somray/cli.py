"""The commands: one line for each verb, and how a command ends. What a verb does stands in `commands/`.

A verb is a function in a module that imports nothing heavy: what it needs it imports when it is called, so that help
and completion answer at once.
"""

import io
import sys
from typing import Annotated, Any

import typer

from somray import __version__
from somray.commands.apply.verb import apply
from somray.commands.console import flush, open_streams
from somray.commands.dicom_node.verb import dicom_node
from somray.commands.doctor.verb import doctor
from somray.commands.ending import ended
from somray.commands.export.verb import export
from somray.commands.finetune.verb import finetune
from somray.commands.measure.verb import measure
from somray.commands.phantom.verb import phantom
from somray.commands.pretrain.verb import pretrain
from somray.commands.propose.verb import propose
from somray.commands.serve.verb import serve
from somray.commands.submit import submit
from somray.commands.verbs import check, demo, init, report, run, status
from somray.commands.view.verb import view
from somray.errors import ConfigError

__all__ = ["app", "main"]

app = typer.Typer(
    name="somray",
    help="Find evolving lesions and defects in cohorts of scans without a single label.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        sys.stdout.write(f"{__version__}\n")
        raise typer.Exit


app.command()(demo)
app.command()(init)
app.command()(check)
app.command()(run)
app.command()(pretrain)
app.command()(status)
app.command()(report)
app.command()(apply)
app.command()(export)
app.command()(measure)
app.command()(propose)
app.command()(finetune)
app.command()(view)
app.command()(serve)
app.command()(phantom)
app.command()(submit)
app.command()(doctor)
app.command()(dicom_node)


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = sys.argv[1:] if argv is None else argv
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter gets its number
            stream.reconfigure(errors="backslashreplace")
    return ended(lambda: _called(list(words)), "--json" in words)


def _called(words: list[str]) -> Any:  # Any: what typer returns
    """Call the verb that is meant.

    Raises:
        ConfigError: an empty word; as a path it would be the folder that one stands in.
    """
    if "" in words:
        before = " ".join(words[: words.index("")])
        raise ConfigError(f"nothing stands after `somray {before}`; is a variable not set?")
    return app(args=words, prog_name="somray", standalone_mode=False)


def script() -> None:
    """Run as the console script `somray`."""
    open_streams()
    code = main()
    flush()
    sys.exit(code)


if __name__ == "__main__":
    script()
