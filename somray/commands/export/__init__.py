"""`somray export`: a run's masks, students and encoders for other programs."""

from typing import Any

from somray.commands.export.request import FORMATS, ExportRequest
from somray.commands.words import check_word

__all__ = ["FORMATS", "ExportRequest", "export_run"]


def export_run(location: str, request: ExportRequest) -> dict[str, Any]:  # Any: JSON
    """Write a run's masks, or its students (onnx) or pretrained encoders (encoder), as files of another format.

    Returns:
        `format`, `files` (places of what was written), `left_out` and `notes`: for masks, objects with subject,
        session, label and `reason` or `note`; for onnx, `left_out` names the protocols without a student.

    Raises:
        ConfigError: unknown format, protocol, scan, label or channel, or a package is not installed.
        StoreError: the run cannot be read or the folder not be written.
    """
    check_word("--format", request.form, FORMATS)
    if request.form == "onnx":
        from somray.commands.export.onnx import export_students

        return export_students(location, request.out, request.protocol)
    if request.form == "encoder":
        from somray.commands.export.encoder import export_encoders

        return export_encoders(location, request.out, request.protocol)
    if request.form in ("nnunet", "decathlon"):
        from somray.commands.export.dataset import write_datasets
        from somray.commands.export.decathlon import DECATHLON
        from somray.commands.export.nnunet import NNUNET

        return write_datasets(location, request, NNUNET if request.form == "nnunet" else DECATHLON)
    from somray.commands.export.masks import export_masks

    return export_masks(location, request)
