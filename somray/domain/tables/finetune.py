"""Rows about a segmenter that learns from the few scans with a truth, judged on scans that it has not seen."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, column, row

__all__ = ["FinetuneRow"]


@row
class FinetuneRow(Row):
    """One row per scan with a truth and arm, at t 0, by segmenters that saw no scan of its subject.

    Written by `somray finetune` alone; the union of the truth's labels is what is learned.
    """

    table: ClassVar[str] = "finetune"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "arm")
    subject: Subject
    session: Session
    fold: int = column("", "which subjects were held out together, from 1")
    arm: str = column(
        "",
        "pretrained: started from the protocol's encoder; scratch: from drawn weights, all else equal; "
        "label_free: labels/lesions, which no label taught",
    )
    labelled: int = column("", "scans with a truth that it was trained on")
    dice: float | None = column("1", "Dice overlap; null when both are empty")
    iou: float | None = column("1", "intersection over union; null when both are empty")
    precision: float | None = column("1", "precision; null when nothing was predicted")
    recall: float | None = column("1", "recall; null when the truth is empty")
    seconds: float | None = column(
        "s", "time of its fold's training; measured, differs between runs; null without"
    )
