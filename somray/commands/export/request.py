"""What a person asks `somray export` for."""

from dataclasses import dataclass

__all__ = ["DATASET", "FORMATS", "LABELS", "ExportRequest"]

FORMATS = ("nifti", "nrrd", "dicom-seg", "rtstruct", "nnunet", "decathlon", "onnx", "encoder")
"""What a run can be exported as."""

LABELS = ("som", "student", "lesions")
"""The masks of a scan that leave a run."""

DATASET = 501  # nnU-Net's number; those below 500 are taken by public data sets


@dataclass(frozen=True)
class ExportRequest:
    """What leaves a run, in a form of `FORMATS`, and the folder or URL it goes to.

    Of what is None or empty all are meant; of `labels` and `ignore` what the form takes and does by itself, of
    `channel` the first one, whose source's grid is used. Further protocols take the data sets' numbers after
    `dataset`.
    """

    form: str
    out: str
    protocol: str | None = None
    subjects: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    channel: str | None = None
    dataset: int = DATASET
    ignore: bool | None = None
