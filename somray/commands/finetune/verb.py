"""The verb `finetune`: its options."""

from typing import Annotated

import typer

from somray.commands.completion import one_of, protocols
from somray.commands.console import FAILED, Json, RunFolder, give, say
from somray.commands.words import asked_protocols, check_word

__all__ = ["finetune"]


def finetune(
    run: RunFolder,
    protocol: Annotated[
        str | None, typer.Option(help="The only one.", autocompletion=protocols)
    ] = None,
    n: Annotated[
        int | None, typer.Option("--n", min=1, help="Scans that each training gets; all by itself.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of every training.")] = 300,
    folds: Annotated[
        int,
        typer.Option(min=2, help="Parts in which subjects are held out; no more than subjects."),
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, draws and folds.")] = 0,
    device: Annotated[
        str,
        typer.Option(
            help="auto (a GPU where there is one), cpu or cuda.",
            autocompletion=one_of("auto", "cpu", "cuda"),
        ),
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Train a segmenter on the few scans that have a truth, and say what that is worth.

    It starts from the protocol's pretrained encoder, where there is one, and once more from scratch, in the same steps
    on the same patches. Subjects are held out in turn, and every scan is judged by segmenters that saw none of its
    subject's sessions; the run's own lesions, which no label taught, stand beside them. Where subjects are too few to
    say anything, it says so. The segmenter that is kept learns from all of them: apply it with --method finetuned.
    Killed and started again, it does only what is left.

    Example: somray finetune runs/lung --steps 600
    """
    from somray.commands.finetune.words import conclusions, finetune_text
    from somray.io.run import open_run
    from somray.pipeline.finetune.request import DEVICES, FinetuneRequest
    from somray.pipeline.finetune.train import finetune_protocols

    check_word("--device", device, DEVICES)
    opened, request = open_run(run), FinetuneRequest(n, steps, folds, seed, device)
    asked = asked_protocols(opened.config.protocols, protocol)
    found = finetune_protocols(opened, asked, request, lambda text: say(f"somray: {text}"))
    for facts in found["protocols"].values():
        facts["says"] = conclusions(facts)
    give(found, as_json, lambda: finetune_text(found, run))
    if not found["protocols"]:
        raise typer.Exit(FAILED)
