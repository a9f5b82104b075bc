"""Train segmenters on the scans with a truth, fold by fold, then the one that is kept; what is done stays done.

A fold is an entry of the run's ledger, named by all that decides it: killed and started again, only what is left is
trained.
"""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from somray import __version__
from somray.domain.work import digest_of
from somray.errors import ConfigError, DataError
from somray.io.models import write_segmenter
from somray.io.run import StoredRun
from somray.io.status import read_status
from somray.io.tables import row_to_plain
from somray.pipeline.finetune.cohort import labelled_scans, recipe_of, scan_digest
from somray.pipeline.finetune.request import FinetuneRequest
from somray.pipeline.finetune.work import FinetuneWork
from somray.pipeline.units.kept import FINETUNE, SEGMENTER
from somray.stages.finetune.fold import FoldItem, Recipe, run_fold, trained
from somray.stages.finetune.folds import split_subjects, training_scans
from somray.stages.finetune.labelled import LabelledScan, truth_of
from somray.stages.finetune.verdict import arm_to_keep, summary_of

__all__ = ["finetune_protocols"]

FINAL = SEGMENTER[1]
"""Name of the unit that leaves the segmenter, and of its part of the model."""

PlainRows = list[dict[str, Any]]  # Any: JSON
Say = Callable[[str], None]
"""Tells a person what is begun."""


def finetune_protocols(
    run: StoredRun, asked: Sequence[str], request: FinetuneRequest, say: Say
) -> dict[str, Any]:  # Any: JSON
    """Train and judge segmenters of protocols of a run; `say` hears what is begun.

    Returns:
        `protocols`: by name `labelled` scans, their `subjects`, `folds`, `steps`, `device`, `encoder` (what it was
        asked for, null without), `arms`, `differences`, `model`; `rows` of the table; `notes`.

    Raises:
        ConfigError: no scan has a truth, the run is under way, or there is no such device.
        DataError: there is nothing to learn from.
        StoreError: the run cannot be read or written.
    """
    if read_status(run.root)["state"] == "running":
        raise ConfigError(f"{run.root}: the run is under way; finetune when it has finished")
    scans = labelled_scans(run)
    if not any(scans[protocol] for protocol in asked):
        raise ConfigError(
            f"{run.root}: no finished scan of {', '.join(asked)} has a truth; name label masks in the column "
            "`truth` of the manifest and run again; `somray propose` says which scans to label first"
        )
    told, rows, notes = {}, PlainRows(), list[str]()
    device = _device_of(request.device)
    for protocol in asked:
        usable = _usable(scans[protocol], notes)
        if usable:
            recipe = recipe_of(run, protocol, request, usable, device)
            told[protocol], found = _Finetuning(run, protocol, usable, recipe, say).of(request)
            rows += found
        else:
            notes.append(f"{protocol}: no scan has a truth that can be used")
    return {"protocols": told, "rows": rows, "notes": notes}


def _device_of(asked: str) -> str:
    """Return "cpu" or "cuda" for a word of `request.DEVICES`, and let a GPU give the same bits twice.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if asked == "cpu":
        return asked
    from somray.kernels.student.predict import device_for  # torch: only here

    found = device_for(gpu=True)
    if found == "cuda":  # as Ray Train's workers have it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    elif asked == "cuda":
        raise ConfigError(
            "--device cuda: torch sees no GPU here; leave it out, or see `somray doctor`"
        )
    return found


def _usable(scans: Sequence[LabelledScan], notes: list[str]) -> list[LabelledScan]:
    """Return the scans whose truth can be read; the others are noted."""
    found = []
    for scan in scans:
        try:
            with closing(truth_of(scan)):
                found.append(scan)
        except DataError as error:
            notes.append(f"{scan.name} is left out: {error}")
    return found


class _Finetuning:
    """One protocol's: what is left of it is trained."""

    def __init__(
        self, run: StoredRun, protocol: str, scans: list[LabelledScan], recipe: Recipe, say: Say
    ) -> None:
        self._run, self._protocol, self._scans, self._recipe = run, protocol, scans, recipe
        self._say, self._work = say, FinetuneWork(run, protocol)
        encoder = run.model_info(protocol).get("encoder", {}).get("file")  # holds its digest
        pixels = [scan_digest(run, scan) for scan in scans]
        self._basis = digest_of(__version__, replace(recipe, encoder=None), encoder, pixels)

    def of(self, request: FinetuneRequest) -> tuple[dict[str, Any], PlainRows]:  # Any: JSON
        """Return what is told of the protocol, and its rows."""
        recipe, scans = self._recipe, self._scans
        folds, rows = _folds(scans, request), PlainRows()
        for fold in folds:
            rows += self._fold_rows(fold)
        summary = summary_of(rows, request.seed)
        arm = arm_to_keep(recipe.arms, summary)
        numbers = training_scans([_key(one) for one in scans], (), request.most, (request.seed, 0))
        self._keep(arm, [scans[n] for n in numbers])
        self._work.finish({FINAL, *(_unit(fold) for fold in folds)})
        facts = {
            "labelled": len(scans),
            "subjects": len({scan.place.subject for scan in scans}),
            "folds": len(folds),
            "steps": recipe.steps,
            "device": recipe.device,
            "encoder": None if recipe.encoder is None else recipe.encoder.target,
            **asdict(summary),
            "model": {"start": arm, "labelled": len(numbers)},
        }
        return facts, [{"protocol": self._protocol, **row} for row in rows]

    def _keep(self, arm: str, learned: list[LabelledScan]) -> None:
        """Leave the segmenter that learned from all."""
        names = [scan.name for scan in learned]
        digest = digest_of(self._basis, arm, names)
        if self._work.done(FINAL, digest) is None or FINAL not in self._run.model_info(
            self._protocol
        ):
            self._say(f"{self._protocol}: the segmenter that is kept, from {arm}")
            model = trained(learned, self._recipe, arm, 0)
            write_segmenter(self._run.storage, self._protocol, model)
            self._work.put(FINAL, digest, names, {})

    def _fold_rows(self, fold: FoldItem) -> PlainRows:
        """Return the rows of a fold, as they were kept or anew."""
        training, held_out = (
            [scan.name for scan in part] for part in (fold.training, fold.held_out)
        )
        digest = digest_of(self._basis, fold.number, training, held_out)
        entry = self._work.done(_unit(fold), digest)
        if entry is None:
            scans = "1 scan" if len(training) == 1 else f"{len(training)} scans"
            self._say(f"{self._protocol}: {_unit(fold)}, learning from {scans}")
            result = run_fold(fold, self._recipe, time.perf_counter)
            rows = {table: [row_to_plain(one) for one in own] for table, own in result.rows.items()}
            entry = self._work.put(_unit(fold), digest, [*training, *held_out], rows)
        return [dict(row) for row in entry.rows.get(FINETUNE, ())]


def _folds(scans: Sequence[LabelledScan], request: FinetuneRequest) -> list[FoldItem]:
    """Part the scans: no subject is on both sides of a fold."""
    keys, found = [_key(scan) for scan in scans], []
    parts = split_subjects([subject for subject, _ in keys], request.folds, request.seed)
    for number, subjects in enumerate(parts, start=1):
        training = training_scans(keys, subjects, request.most, (request.seed, number))
        held_out = tuple(scan for scan in scans if scan.place.subject in subjects)
        found.append(FoldItem(number, tuple(scans[n] for n in training), held_out))
    return found


def _key(scan: LabelledScan) -> tuple[str, str]:
    return scan.place.subject, scan.place.session


def _unit(fold: FoldItem) -> str:
    return f"fold{fold.number}"
