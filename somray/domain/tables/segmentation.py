"""Rows about masks: slices, areas and planes, agreement and convergence of rounds, training, truth."""

from typing import Annotated, ClassVar

from somray.domain.tables.columns import (
    Column,
    Fraction,
    Row,
    Session,
    Subject,
    TimeIndex,
    column,
    row,
)

__all__ = [
    "AgreementRow",
    "AreaRow",
    "ConvergenceRow",
    "PorosityRow",
    "SliceRow",
    "TrainingRow",
    "TruthRow",
]

SliceIndex = Annotated[int, Column("", "slice index within the scan, from 0")]
Method = Annotated[
    str,
    Column(
        "",
        "som (direct transfer) or student: those masks raw; lesions: the objects of labels/lesions; foreign: a mask "
        "from outside, as given",
    ),
]
Ref = Annotated[
    str, Column("", "what it is measured against: som_teacher, ground_truth, previous_round")
]
Iou = Annotated[float | None, Column("1", "intersection over union; null when both are empty")]
Dice = Annotated[float | None, Column("1", "Dice overlap; null when both are empty")]
Precision = Annotated[float | None, Column("1", "precision; null when nothing was predicted")]
Recall = Annotated[float | None, Column("1", "recall; null when the reference is empty")]
Round = Annotated[int, Column("", "training round, from 1")]
Stage = Annotated[str, Column("", "slices trained on: A, A+B, A+B+C, …")]


@row
class SliceRow(Row):
    """One row per slice and method."""

    table: ClassVar[str] = "slices"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "method", "t", "z")
    subject: Subject
    session: Session
    method: Method
    t: TimeIndex
    z: SliceIndex
    target_area_mm2: float = column("mm²", "area of the target class")
    target_fraction: float = column("1", "share of the slice's pixels in the target class")
    confidence: float | None = column(
        "1", "mean confidence of the target's pixels, 0 to 1; null without target"
    )


@row
class AreaRow(Row):
    """One row per slice and class of labels/som."""

    table: ClassVar[str] = "areas"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "z", "class_name")
    subject: Subject
    session: Session
    t: TimeIndex
    z: SliceIndex
    class_name: str = column("", "class")
    area_mm2: float = column("mm²", "area it covers, 0 where it covers nothing")
    fraction: Fraction


@row
class PorosityRow(Row):
    """One row per plane across z, y and x of a material's scan: how much of it the lesions fill.

    Materials alone (`XCT`): a share of a picture's frame says nothing of a patient.
    """

    table: ClassVar[str] = "porosity"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "axis", "index")
    subject: Subject
    session: Session
    t: TimeIndex
    axis: str = column("", "z, y or x: the axis of the volume that the plane lies across")
    index: int = column("", "the plane's index along that axis, from 0")
    position_mm: float = column("mm", "along that axis, from the centre of the first plane")
    voxels: int = column("", "voxels of the plane")
    lesion_voxels: int = column("", "those in any lesion (pores, inclusions)")
    fraction: float = column("1", "lesion_voxels / voxels: of the whole plane")
    sample_voxels: int | None = column(
        "",
        "voxels that labels/som calls neither no data nor background, and all in a lesion; null where "
        "the map finds no background in the scan, so that sample and volume are one",
    )
    sample_fraction: float | None = column(
        "1", "lesion_voxels / sample_voxels: of the sample alone; null where it has none"
    )


@row
class AgreementRow(Row):
    """One row per slice and round: student against teacher, which is not accuracy."""

    table: ClassVar[str] = "agreement"
    sort_by: ClassVar[tuple[str, ...]] = ("round", "subject", "session", "t", "z")
    subject: Subject
    session: Session
    round: Round
    stage: Stage
    t: TimeIndex
    z: SliceIndex
    role: str = column("", "train, pseudo or held_out, in this round")
    ref: Ref
    iou: Iou
    dice: Dice
    accuracy: float = column("1", "share of pixels where both agree")
    precision: Precision
    recall: Recall
    target_fraction: float | None = column(
        "1", "share of the pixels that count which the student calls target", default=None
    )
    confidence: float | None = column(
        "1",
        "mean |2p - 1| of calibrated p over the student's target; null where it has none",
        default=None,
    )


@row
class ConvergenceRow(Row):
    """One row per round of a protocol's student."""

    table: ClassVar[str] = "convergence"
    sort_by: ClassVar[tuple[str, ...]] = ("round",)
    round: Round
    stage: Stage
    mean_iou: float | None = column(
        "1", "mean IoU with the teacher over the slices of the last round"
    )
    delta_iou: float | None = column("1", "change since the round before; null in round 1")
    converged: bool = column("", "whether the change fell under the tolerance")
    copy_forward_iou: float | None = column(
        "1", "baseline: the teacher's mask of A copied to every slice"
    )
    control_iou: float | None = column(
        "1",
        "control: equal compute on A alone; null in round 1 and in the cohort's round, which has none",
    )
    collapse: str | None = column(
        "",
        "why this round's student was dropped for an earlier one's; null where it stands",
        default=None,
    )
    taught_dice: float | None = column(
        "1",
        "Dice of the cohort's student with what taught it, over images of the cohort; null in other rounds",
        default=None,
    )
    doubt: str | None = column(
        "",
        "why agreement says nothing of this round's student; null where there is no such doubt",
        default=None,
    )


@row
class TrainingRow(Row):
    """One row per round and epoch."""

    table: ClassVar[str] = "training"
    sort_by: ClassVar[tuple[str, ...]] = ("round", "epoch")
    round: Round
    epoch: int = column("", "epoch within the round, from 1")
    loss: float = column("1", "mean training loss of the epoch")
    learning_rate: float = column("1", "learning rate at the epoch's end")
    seconds: float = column("s", "time of the epoch; measured, differs between runs")


@row
class TruthRow(Row):
    """One row per scan, label of the truth mask, and method, at t 0; label 0: the union of all labels.

    A mask does not tell labels apart. Beside one label, what belongs to the others is left out: their
    voxels, and predicted parts that touch others only. What touches no label is false in every row.
    """

    table: ClassVar[str] = "truth"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "label", "method")
    subject: Subject
    session: Session
    method: str = column(
        "",
        "som (direct transfer), student: those masks raw; lesions: the objects of labels/lesions; "
        "som_lesions: beside a student, the objects by direct transfer alone",
    )
    label: int = column(
        "", "label of the truth mask, the others left out; 0: the union of all labels"
    )
    ref: Ref
    dice: Dice
    iou: Iou
    precision: Precision
    recall: Recall
    hd95_mm: float | None = column("mm", "95th percentile of surface distances, both ways")
    lesions_true: int = column("", "connected parts (26-connected) of the truth")
    lesions_found: int = column("", "of them touched by the prediction, by one voxel or more")
    false_positive_ml: float = column("ml", "predicted volume outside the truth")
    false_negative_ml: float = column("ml", "true volume that was not predicted")
    lesions_predicted: int = column("", "connected parts (26-connected) of the prediction")
    lesion_recall: float | None = column(
        "1", "lesions_found / lesions_true; null when there is no true part"
    )
    lesion_precision: float | None = column(
        "1", "share of predicted parts touching the truth; null when nothing was predicted"
    )
    surface_dice_2mm: float | None = column(
        "1", "share of both surfaces within 2 mm of the other; null when both are empty"
    )
    false_positive_lesions_ml: float = column(
        "ml", "volume of whole predicted parts that touch no truth"
    )
    false_negative_lesions_ml: float = column(
        "ml", "volume of whole true parts that the prediction does not touch"
    )
    true_ml: float | None = column(
        "ml",
        "volume of the truth, of this label; null in runs that did not tell it yet",
        default=None,
    )
