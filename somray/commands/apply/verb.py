"""The verb `apply`: its options, and what it says to a person."""

from pathlib import Path
from typing import Annotated

import typer

from somray.commands.completion import one_of, protocols
from somray.commands.console import FAILED, Json, RunFolder, give, out_option, refuse_within, say
from somray.commands.export.verb import export_text

__all__ = ["apply"]


def apply(
    run: RunFolder,
    scan: Annotated[
        str, typer.Argument(metavar="SCAN", help="File, folder or fsspec URL of one scan.")
    ],
    protocol: Annotated[
        str,
        typer.Option(help="Protocol of the run whose model is applied.", autocompletion=protocols),
    ],
    out: Annotated[Path, out_option("Folder for the masks.")],
    method: Annotated[
        str,
        typer.Option(
            help="som (direct transfer), student, or finetuned (what `finetune` made).",
            autocompletion=one_of("som", "student", "finetuned"),
        ),
    ] = "som",
    channel: Annotated[
        list[str] | None, typer.Option(help="Source of each further channel, in order.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Write the mask as nifti, nrrd, dicom-seg or rtstruct too.",
            autocompletion=one_of("nifti", "nrrd", "dicom-seg", "rtstruct"),
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Apply a fitted model to a new scan.

    Exit code 4 where the mask could not be written in the format that was asked for; it stands in the OME-Zarr then.

    Example: somray apply runs/lung scan.nii.gz --protocol chest-ct --out masks --format nifti
    """
    from somray.commands.apply.model import apply_model
    from somray.domain.repairs import REPAIRS

    refuse_within(out, run)
    found = apply_model(run, protocol, [scan, *(channel or [])], out, method, form)
    for code in found["repairs"]:
        say(f"note: {code}: {REPAIRS[code]}")
    for doubt in found["doubts"]:
        say(f"warning: {doubt}")
    told = found["drift"] or {}
    if told.get("status") == "drifted":
        say(f"warning: the teacher may not carry over: {told['reason']}")
    more = f"\n{export_text(found)}" if "files" in found else ""
    areas = found["target_area_mm2"]
    where = f"{found['target']} in {sum(area > 0 for area in areas)} of {len(areas)} slices"
    give(
        found, as_json, lambda: f"wrote labels/{found['method']} in {found['scan']}: {where}{more}"
    )
    if form is not None and not found["files"]:
        raise typer.Exit(FAILED)
