"""The demo: a synthetic longitudinal CT cohort with known truth, run from files to report."""

from pathlib import Path
from typing import Any

import pandas as pd

from somray.commands.launch import run_job
from somray.commands.words import check_word, duration
from somray.domain.run import RunLayout
from somray.io.run import open_run
from somray.phantom.files.write import write_phantom

__all__ = ["run_demo"]

SIZES = {
    "small": (2, 3, (24, 128, 128)),
    "medium": (4, 3, (48, 192, 192)),
    "large": (10, 4, (64, 256, 256)),
}
"""Subjects, sessions, shape (z, y, x)."""


def run_demo(out: Path, size: str, quiet: bool = False) -> dict[str, Any]:
    """Make the cohort (unless it is there), run it, and sum up.

    Raises:
        ConfigError: the size is unknown.
    """
    check_word("--size", size, SIZES, "expected one of")
    subjects, sessions, shape = SIZES[size]
    cohort = out / "cohort.yaml"
    if not cohort.exists():
        write_phantom(
            out, subjects=subjects, sessions=sessions, shape=shape,
            modality="ct", format="dicom", seed=0,
        )  # fmt: skip
    summary = run_job(cohort, settings=(), quiet=quiet)
    figures = _figures(summary["run"])
    took = f"done in {duration(summary['seconds'])}: {summary['scans_done']} scans of {subjects} subjects"
    return {**summary, **figures, "text": f"{took}\n{_text(figures)}"}


def _figures(location: str) -> dict[str, Any]:
    run = open_run(location)
    agreement, truth = run.table("agreement"), run.table("truth")
    last = agreement[agreement["round"] == agreement["round"].max()]
    changes = run.table("evolution")["change"].value_counts()
    return {
        "agreement": {
            "ref": "som_teacher",
            "mean_dice": _mean(last["dice"]),
            "mean_iou": _mean(last["iou"]),
        },
        "truth": {
            str(method): {"mean_dice": _mean(rows["dice"]), "mean_recall": _mean(rows["recall"])}
            for method, rows in truth[truth["label"] == 0].groupby("method")  # 0: all labels
        },
        "evolution": {str(change): int(n) for change, n in changes.items()},
        "report": run.storage.uri(RunLayout.report_index),
    }


def _mean(values: "pd.Series[float]") -> float | None:
    known = values.dropna()
    return float(known.mean()) if len(known) else None


def _text(figures: dict[str, Any]) -> str:
    """Say it in words; a figure that does not exist is said to be missing."""

    def shown(value: float | None) -> str:
        return "none" if value is None else f"{value:.3f}"

    agreement = figures["agreement"]
    lines = [
        "Agreement of the student with its teacher (this is not accuracy): "
        f"Dice {shown(agreement['mean_dice'])}, IoU {shown(agreement['mean_iou'])}",
        "Against the phantom's known truth:",
    ]
    lines += [
        f"  {method}: Dice {shown(score['mean_dice'])}, recall {shown(score['mean_recall'])}"
        for method, score in sorted(figures["truth"].items())
    ]
    changes = ", ".join(f"{n} {change}" for change, n in sorted(figures["evolution"].items()))
    lines += [f"Lesions through time: {changes or 'no change'}", f"Report: {figures['report']}"]
    lines.append("next: open the report; for scans of your own: somray init FOLDER --out study")
    return "\n".join(lines)
