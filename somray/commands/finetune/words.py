"""What finetuning says to a person: the table, and what it can say and what it cannot."""

import shlex
from collections.abc import Mapping
from typing import Any

from somray.commands.words import counted
from somray.stages.finetune.folds import FEWEST, PairedDifference

__all__ = ["conclusions", "finetune_text"]

NO_ENCODER = (
    "there is no pretrained encoder, so scratch stands alone: `somray pretrain COHORT.yaml` makes one from the "
    "same scans without a label"
)
SEEN = (
    "the encoder has seen all scans of the run without a label, those that are held out too: what is measured is its "
    "worth within this cohort"
)
_WORTH = {
    "pretrained - scratch": ("pretraining", "starting from scratch"),
    "pretrained - label_free": (
        "the pretrained segmenter",
        "the run's own lesions, which no label taught",
    ),
    "scratch - label_free": (
        "the segmenter from scratch",
        "the run's own lesions, which no label taught",
    ),
}


def conclusions(facts: Mapping[str, Any]) -> list[str]:  # Any: JSON
    """Say what the figures of a protocol (of `finetune_protocols`) can say, and where they are too few."""
    said = []
    if not facts["folds"]:
        said.append(
            "all scans with a truth are of one subject: nothing can be measured on a subject that was not learned "
            "from; the segmenter stands unjudged"
        )
    elif facts["subjects"] < FEWEST:
        said.append(
            f"{facts['subjects']} subjects are too few to tell arms apart: even if one won in all of them, chance "
            f"would do so in more than 5 % of cases; from {FEWEST} subjects on it could be said"
        )
    said.append(NO_ENCODER if facts["encoder"] is None else SEEN)
    for pair, found in facts["differences"].items():
        if facts["encoder"] is not None or pair.startswith("scratch"):
            said.append(_compared(pair, PairedDifference(**found)))
    start, labelled = facts["model"]["start"], counted(facts["model"]["labelled"], "scan")
    why = ", which did better in the folds" if start == "scratch" and facts["encoder"] else ""
    said.append(
        f"kept: a segmenter from {start}{why}, trained on {labelled}; `apply --method finetuned` uses it"
    )
    return said


def _compared(pair: str, found: PairedDifference) -> str:
    """Say how one arm does beside another."""
    one, other = _WORTH[pair]
    interval = f"{100 * found.mean:+.1f} Dice points (95 % interval {100 * found.low:+.1f} to {100 * found.high:+.1f})"
    wins = f"better in {found.better} of {counted(found.subjects, 'subject')}"
    verdict = "which tells them apart" if found.is_told_apart else "which does not tell them apart"
    return f"{one} against {other}: {interval}, {wins}, {verdict}"


def finetune_text(found: Mapping[str, Any], run: str) -> str:  # Any: JSON
    """Show the figures to a person, and say what to do next."""
    lines = []
    for protocol, facts in found["protocols"].items():
        scans, subjects = counted(facts["labelled"], "scan"), counted(facts["subjects"], "subject")
        folds = counted(facts["folds"], "fold")
        lines.append(
            f"{protocol}: {scans} of {subjects} with a truth, {folds}, {facts['steps']} steps"
        )
        lines += _table([row for row in found["rows"] if row["protocol"] == protocol])
        for arm, figures in facts["arms"].items():
            mean, median = figures["mean_dice"], figures["median_dice"]
            lines.append(
                f"  {arm:11} mean Dice {mean:.3f}, median {median:.3f}, {counted(figures['scans'], 'scan')}"
            )
        lines += [f"  - {sentence}" for sentence in facts["says"]]
    lines += [f"note: {note}" for note in found["notes"]]
    if found["protocols"]:
        lines.append(f"next: somray report {shlex.quote(run)}; its method page shows the folds")
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> list[str]:  # Any: JSON
    """Lay out Dice by scan and arm."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    scans: dict[tuple[int, str], dict[str, float | None]] = {}
    for row in rows:
        name = f"{row['subject']} {row['session']}"
        scans.setdefault((row["fold"], name), {})[row["arm"]] = row["dice"]
    if not scans:
        return []
    wide = max(len(name) for _, name in scans)
    lines = [f"  {'held out':{wide}}  fold  " + "  ".join(f"{arm:>10}" for arm in arms)]
    for (fold, name), dice in sorted(scans.items()):
        figures = ("" if dice.get(arm) is None else f"{dice[arm]:.3f}" for arm in arms)
        lines.append(f"  {name:{wide}}  {fold:4}  " + "  ".join(f"{text:>10}" for text in figures))
    return lines
