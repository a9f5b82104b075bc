"""The verb `export`: its options, and what it says to a person."""

from typing import Annotated, Any

import typer

from somray.commands.completion import one_of, protocols, sessions, subjects
from somray.commands.console import FAILED, Json, RunFolder, give, out_option, refuse_within
from somray.commands.export.request import FORMATS, LABELS, ExportRequest

__all__ = ["export", "export_text"]

Names = list[str] | None


def export(
    run: RunFolder,
    out: Annotated[str, out_option("Folder (or URL) for the files.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="nifti, nrrd, dicom-seg, rtstruct, nnunet, decathlon; onnx: the students; encoder: the encoders.",
            autocompletion=one_of(*FORMATS),
        ),
    ] = "onnx",
    protocol: Annotated[
        str | None, typer.Option(help="The only one to export.", autocompletion=protocols)
    ] = None,
    subject: Annotated[
        Names, typer.Option(help="Only this one; may be given again.", autocompletion=subjects)
    ] = None,
    session: Annotated[
        Names, typer.Option(help="Only this one; may be given again.", autocompletion=sessions)
    ] = None,
    label: Annotated[
        Names,
        typer.Option(help="som, student or lesions; all of them.", autocompletion=one_of(*LABELS)),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="On its source's grid; the first.")] = None,
    dataset: Annotated[
        int, typer.Option(min=1, max=999, help="Number of the nnU-Net or Decathlon data set.")
    ] = 501,
    ignore: Annotated[
        bool | None,
        typer.Option(
            "--ignore/--no-ignore",
            help="Mark what the run doubts as a label of its own; nnunet does by itself.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand a run's masks, or its students, on to other programs.

    Masks lie on their sources' own grids: OUT/sub-S_ses-T_LABEL.nii.gz (with a .label file of names for
    ITK-SNAP), .nrrd (names for 3D Slicer) or .dcm, one a time point where there are several. dicom-seg and
    rtstruct need a DICOM source and, unlike all else here, NAME ITS PATIENT as the source does: they are
    for the archive that it came from.

    nnunet writes OUT/Dataset501_PROTOCOL, decathlon OUT/Task501_PROTOCOL as MONAI reads it, with images, labels, and
    in README.md and labels.json what these labels are and are not. Doubtful voxels (an object that could not be called,
    map against student, an unsure student) are nnU-Net's ignore label.

    encoder writes OUT/PROTOCOL/encoder.safetensors with a card of what it is, and what loads it in plain PyTorch; also
    as MONAI's ViT or nnU-Net's checkpoint, where it is one.

    Exit code 4 where nothing at all could be written.

    Example: somray export runs/lung --format dicom-seg --label lesions --out seg
    """
    from somray.commands.export import export_run

    refuse_within(out, run)
    found = export_run(
        run,
        ExportRequest(
            form, out, protocol, tuple(subject or ()), tuple(session or ()), tuple(label or ()), channel, dataset,
            ignore,
        ),
    )  # fmt: skip
    give(found, as_json, lambda: export_text(found))
    if not found["files"]:
        raise typer.Exit(FAILED)


def export_text(found: dict[str, Any]) -> str:
    """Say what was written, what was not, and why."""
    lines = [f"wrote {file}" for file in found.get("files", [])]
    for one in [*found.get("left_out", []), *found.get("notes", [])]:
        if isinstance(one, str):
            lines.append(f"left out: {one} has no student")
            continue
        what = " ".join(str(one[key]) for key in ("subject", "session", "label") if one[key])
        lines.append(
            f"left out {what}: {one['reason']}" if "reason" in one else f"{what}: {one['note']}"
        )
    return "\n".join(lines) or "nothing was written"
