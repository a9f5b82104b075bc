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
    """What leaves a run, and where it goes.

    Args:
        form: a name of `FORMATS`.
        out: folder, or URL of one.
        protocol: the only one; all where None.
        subjects: the only ones; all where empty.
        sessions: the only ones; all where empty.
        labels: the only ones; what the format takes by itself where empty.
        channel: the channel whose source's grid is used; the first where None.
        dataset: number of the first data set (nnunet, decathlon); further protocols take the next ones.
        ignore: whether doubtful voxels of a data set are marked as such; what the form does by itself where None.
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
