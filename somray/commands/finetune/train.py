"""Train segmenters on the scans with a truth, fold by fold, then the one that is kept; what is done stays done.

A fold is an entry of the run's ledger, named by all that decides it: killed and started again, only what is left is
trained.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from somray import __version__
from somray.commands.console import say
from somray.commands.finetune.cohort import (
    asked_protocols,
    labelled_scans,
    recipe_of,
    scan_digest,
)
from somray.commands.finetune.request import FinetuneRequest
from somray.commands.finetune.words import conclusions
from somray.commands.finetune.work import FinetuneWork
from somray.commands.words import counted
from somray.domain.work import digest_of
from somray.errors import ConfigError, DataError
from somray.io.models import write_segmenter
from somray.io.run import StoredRun, open_run
from somray.io.status import read_status
from somray.io.tables import row_to_plain
from somray.pipeline.pretrain.finetuned import FINETUNE, SEGMENTER
from somray.stages.finetune.fold import FoldItem, Recipe, run_fold, trained
from somray.stages.finetune.folds import split_subjects, training_scans
from somray.stages.finetune.labelled import LabelledScan, truth_of
from somray.stages.finetune.verdict import arm_to_keep, summary_of

__all__ = ["finetune_run"]

FINAL = SEGMENTER[1]
"""Name of the unit that leaves the segmenter, and of its part of the model."""

PlainRows = list[dict[str, Any]]  # Any: JSON


def finetune_run(location: str, request: FinetuneRequest) -> dict[str, Any]:  # Any: JSON
    """Train and judge segmenters of a run.

    Returns:
        `protocols`: by name `labelled` scans, their `subjects`, `folds`, `steps`, `encoder` (what it was asked for,
        null without), `arms`, `differences`, `model`, and `says`: sentences for people; `rows` of the table; `notes`.

    Raises:
        ConfigError: unknown protocol, no scan with a truth, or the run is under way.
        DataError: there is nothing to learn from.
        StoreError: the run cannot be read or written.
    """
    run = open_run(location)
    if read_status(location)["state"] == "running":
        raise ConfigError(f"{run.root}: the run is under way; finetune when it has finished")
    asked, scans = asked_protocols(run, request), labelled_scans(run)
    if not any(scans[protocol] for protocol in asked):
        raise ConfigError(
            f"{run.root}: no finished scan of {', '.join(asked)} has a truth; name label masks in the column "
            "`truth` of the manifest and run again; `somray propose` says which scans to label first"
        )
    told, rows, notes = {}, PlainRows(), list[str]()
    for protocol in asked:
        usable = _usable(scans[protocol], notes)
        if usable:
            told[protocol], found = _finetuned(run, protocol, usable, request)
            rows += found
        else:
            notes.append(f"{protocol}: no scan has a truth that can be used")
    return {"protocols": told, "rows": rows, "notes": notes}


def _usable(scans: Sequence[LabelledScan], notes: list[str]) -> list[LabelledScan]:
    """Return the scans whose truth can be read; the others are noted."""
    found = []
    for scan in scans:
        try:
            truth_of(scan)
        except DataError as error:
            notes.append(f"{scan.name} is left out: {error}")
            continue
        found.append(scan)
    return found


def _finetuned(
    run: StoredRun, protocol: str, scans: list[LabelledScan], request: FinetuneRequest
) -> tuple[dict[str, Any], PlainRows]:  # Any: JSON
    """Train what is left of one protocol; return what is told of it, and its rows."""
    recipe, work = recipe_of(run, protocol, request, scans), FinetuneWork(run, protocol)
    encoder = run.model_info(protocol).get("encoder", {}).get("file")  # holds its digest
    pixels = [scan_digest(run, scan) for scan in scans]
    basis = digest_of(__version__, replace(recipe, encoder=None), encoder, pixels)
    folds, rows = _folds(scans, request), PlainRows()
    for fold in folds:
        rows += _fold_rows(fold, recipe, work, basis)
    summary = summary_of(rows, request.seed)
    arm = arm_to_keep(recipe.arms, summary)
    numbers = training_scans([_key(scan) for scan in scans], (), request.most, (request.seed, 0))
    learned = [scans[n] for n in numbers]
    names = [scan.name for scan in learned]
    digest = digest_of(basis, arm, names)
    if work.done(FINAL, digest) is None or FINAL not in run.model_info(protocol):
        say(f"somray: {protocol}: the segmenter that is kept, from {arm}")
        write_segmenter(run.storage, protocol, trained(learned, recipe, arm, 0))
        work.put(FINAL, digest, names, {})
    work.finish({FINAL, *(_unit(fold) for fold in folds)})
    facts = {
        "labelled": len(scans),
        "subjects": len({scan.place.subject for scan in scans}),
        "folds": len(folds),
        "steps": recipe.steps,
        "encoder": None if recipe.encoder is None else recipe.encoder.target,
        **asdict(summary),
        "model": {"start": arm, "labelled": len(learned)},
    }
    facts["says"] = conclusions(facts, summary)
    return facts, [{"protocol": protocol, **row} for row in rows]


def _fold_rows(fold: FoldItem, recipe: Recipe, work: FinetuneWork, basis: str) -> PlainRows:
    """Return the rows of a fold, as they were kept or anew."""
    training, held_out = ([scan.name for scan in part] for part in (fold.training, fold.held_out))
    digest = digest_of(basis, fold.number, training, held_out)
    entry = work.done(_unit(fold), digest)
    if entry is None:
        scans = counted(len(training), "scan")
        say(f"somray: {work.protocol}: {_unit(fold)}, learning from {scans}")
        result = run_fold(fold, recipe, time.perf_counter)
        rows = {table: [row_to_plain(row) for row in own] for table, own in result.rows.items()}
        entry = work.put(_unit(fold), digest, [*training, *held_out], rows)
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
