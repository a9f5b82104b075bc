"""One fold: both arms are trained on the same scans, in the same steps, and judged on subjects they have not seen."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from somray.domain.encoder import EncoderModel
from somray.domain.segmenter import SegmenterModel
from somray.domain.tables import FinetuneRow
from somray.domain.work import Result
from somray.errors import DataError, ShapeError
from somray.io.ome.image import labels_complete
from somray.io.storage import Storage
from somray.kernels.student.shape import Network
from somray.kernels.student.training.patches import Example
from somray.stages.finetune.judge import figures, labelled_as, segmented
from somray.stages.finetune.labelled import LabelledScan, examples_of, truth_of
from somray.stages.pretrain.images import EncoderView

__all__ = ["ARMS", "LABEL_FREE", "FoldItem", "Recipe", "run_fold", "trained"]

ARMS = ("pretrained", "scratch")
"""What a segmenter starts from."""
LABEL_FREE = "label_free"
"""The run's own lesions, beside them."""
GROUP = "lesions"


@dataclass(frozen=True)
class Recipe:
    """How every segmenter of a protocol is trained.

    Args:
        view: how scans are looked at.
        network: numbers and names that build it.
        channels: names of the image channels.
        target: name of the class.
        steps: optimizer steps.
        threads: CPU threads; part of what fixes the bits.
        seed: of the head, of weights from scratch and of every draw.
        most_values: that the slices of one scan may take.
        encoder: what the arm `pretrained` starts from; None where there is none.
        device: where torch trains and segments, "cpu" or "cuda"; part of what fixes the bits.
    """

    view: EncoderView
    network: Network
    channels: tuple[str, ...]
    target: str
    steps: int
    threads: int
    seed: int
    most_values: int
    encoder: EncoderModel | None = None
    device: str = "cpu"

    @property
    def arms(self) -> tuple[str, ...]:
        """What can be started from."""
        return ARMS if self.encoder is not None else ARMS[1:]


@dataclass(frozen=True)
class FoldItem:
    """One fold.

    Args:
        number: from 1.
        training: scans that are learned from.
        held_out: scans of other subjects, that are judged.
    """

    number: int
    training: tuple[LabelledScan, ...]
    held_out: tuple[LabelledScan, ...]


Clock = Callable[[], float]
"""Seconds since any moment."""


def trained(scans: Sequence[LabelledScan], recipe: Recipe, arm: str, seed: int) -> SegmenterModel:
    """Train a segmenter on scans with a truth.

    Args:
        scans: what is learned from.
        recipe: how.
        arm: what it starts from, of `ARMS`.
        seed: added to the recipe's.

    Raises:
        DataError: a truth cannot be read, or there is nothing to learn from.
    """
    return _fitted(_examples(scans, recipe), recipe, arm, seed, len(scans))


def run_fold(item: FoldItem, recipe: Recipe, clock: Clock) -> Result:
    """Train all arms of a fold, and judge them and the run's own lesions on who is held out.

    Returns:
        Rows of `finetune`.

    Raises:
        DataError: a truth cannot be read, or there is nothing to learn from.
    """
    examples = _examples(item.training, recipe)
    models, seconds = {}, {}
    for arm in recipe.arms:
        began = clock()
        models[arm] = _fitted(examples, recipe, arm, item.number, len(item.training))
        seconds[arm] = clock() - began
    rows: list[FinetuneRow] = []
    for scan in item.held_out:
        place = scan.place
        with closing(truth_of(scan)) as truth:
            if labels_complete(Storage.at(place.root), place.name, GROUP):
                rows.append(_row(item, scan, LABEL_FREE, figures(labelled_as(place, GROUP), truth)))
            for arm, model in models.items():
                pieces = segmented(place, model, threads=recipe.threads, device=recipe.device)
                rows.append(_row(item, scan, arm, figures(pieces, truth), seconds[arm]))
    return Result(rows={"finetune": rows})


def _row(
    item: FoldItem,
    scan: LabelledScan,
    arm: str,
    found: Mapping[str, float | None],
    seconds: float | None = None,
) -> FinetuneRow:
    return FinetuneRow(
        subject=scan.place.subject,
        session=scan.place.session,
        fold=item.number,
        arm=arm,
        labelled=0 if arm == LABEL_FREE else len(item.training),
        dice=found["dice"],
        iou=found["iou"],
        precision=found["precision"],
        recall=found["recall"],
        seconds=seconds,
    )


def _examples(scans: Sequence[LabelledScan], recipe: Recipe) -> list[Example]:
    found: list[Example] = []
    for scan in scans:
        with closing(truth_of(scan)) as truth:
            found += examples_of(scan, truth, recipe.view, recipe.most_values)
    return found


def _fitted(
    examples: list[Example], recipe: Recipe, arm: str, seed: int, scans: int
) -> SegmenterModel:
    from somray.kernels.pretrain.segmenter import (  # torch: only here
        SegmenterSpec,
        alone_on,
        train_segmenter,
    )

    spec = SegmenterSpec(
        network=recipe.network,
        channels=recipe.channels,
        kinds=recipe.view.kinds,
        windows=recipe.view.windows,
        steps=recipe.steps,
        target=recipe.target,
        spacing_mm=recipe.view.spacing_mm,
        threads=recipe.threads,
        seed=1000 * recipe.seed + seed,
    )
    start = recipe.encoder if arm == "pretrained" else None
    try:
        model = train_segmenter(examples, spec, start, alone_on(recipe.device))
    except ShapeError as error:
        raise DataError("not_fittable", f"finetune: {error}") from error
    return replace(model, history={**model.history, "scans": scans, "arm": arm})
