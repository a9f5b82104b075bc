"""What the labels of a data set are and are not: `labels.json` for programs, `README.md` for people, by dataset.json.

Whoever finds the files later must not take them for a reader's work.
"""

import json
from typing import Any

import pandas as pd

from somray import __version__
from somray.commands.export.dataset import IGNORE, Case, Dataset
from somray.commands.export.doubt import DOUBTS
from somray.io.ome.image import read_meta
from somray.io.run import StoredRun

__all__ = ["describe", "summary"]

OURS = "no person labelled or corrected any voxel"
THEIRS = (
    "they are masks from outside, as given to `somray measure`; what made them is not known here"
)
LIMITS = (
    "agreement of student and map is not accuracy: where both are wrong, so are the labels",
    "figures of a network against these labels say how well it repeats somray, not how well it finds disease",
    "for research; not for diagnosis, treatment or any other clinical use",
)

_WHAT = {
    "lesions": "objects of labels/lesions, every one followed over time, as one class",
    "student": "labels/student, the target by the network that learned from the map",
    "som": "labels/som, every pixel's class by direct transfer of the map's nodes",
}


def summary(run: StoredRun, dataset: Dataset) -> str:
    """Say in a line what the labels are."""
    doubt = f"; {IGNORE} marks what the run itself doubts" if dataset.ignores else ""
    made = "masks from outside" if _is_foreign(run) else "made without a human label"
    limit = "not for clinical use, see README.md"
    return f"labels/{dataset.label} of a run of somray {__version__}, {made}{doubt}; {limit}"


def _is_foreign(run: StoredRun) -> bool:
    return bool(run.info.get("measured"))


def describe(
    run: StoredRun, dataset: Dataset, cases: list[Case], facts: dict[str, Any]
) -> list[str]:  # Any: JSON
    """Write labels.json, README.md and, last, `facts` as dataset.json; return their names."""
    told = _facts(run, dataset, cases)
    texts = {
        "labels.json": json.dumps(told, indent=1, ensure_ascii=False) + "\n",
        "README.md": _readme(dataset, told),
        "dataset.json": json.dumps(facts, indent=1, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        dataset.storage.write_text(f"{dataset.folder}/{name}", text)
    return [f"{dataset.folder}/{name}" for name in texts]


def _facts(run: StoredRun, dataset: Dataset, cases: list[Case]) -> dict[str, Any]:  # Any: JSON
    protocol, info = run.config.protocols[dataset.protocol], run.info
    drift = run.table("drift")
    model = run.model_info(dataset.protocol)
    teacher, foreign = model.get("teacher", {}), _is_foreign(run)
    asked = {reason for case in cases for reason in case.by_reason}
    return {
        "made_by": f"somray {__version__}",
        "protocol": dataset.protocol,
        "label": dataset.label,
        "what": _WHAT[dataset.label],
        "limits": [THEIRS if foreign else OURS, *LIMITS],
        "labels": {name: number for number, name in enumerate(dataset.names)},
        "target": protocol.teacher.target,
        "method": "foreign" if foreign else protocol.segment,
        "ignore": {reason: words for reason, words in DOUBTS.items() if reason in asked},
        "doubtful_classes": dict(teacher.get("doubtful", {})),
        "run": {
            "somray": info.get("somray"),
            "code_digest": info.get("code_digest"),
            "config_digest": info.get("config_digest"),
            "seed": info.get("seed"),
            "teacher": teacher.get("file"),
            "student": model.get("student", {}).get("file"),
        },
        "cases": [_case(case, drift) for case in cases],
    }


def _case(case: Case, drift: pd.DataFrame) -> dict[str, Any]:  # Any: JSON
    scan = case.stored.scan
    own = drift[(drift["subject"] == scan.subject) & (drift["session"] == scan.session)]
    strayed = own[own["status"] != "ok"]
    return {
        "case": case.name,
        "subject": scan.subject,
        "session": scan.session,
        "t": case.t,
        "source_digest": read_meta(case.stored.storage, case.stored.name).source_digest,
        "labelled_fraction": case.target / case.voxels,
        "ignored_fraction": case.ignored / case.voxels,
        "labelled_ignored_fraction": case.target_ignored / case.target if case.target else None,
        "ignored_by_reason": {r: n / case.voxels for r, n in sorted(case.by_reason.items())},
        "drift": None if strayed.empty else str(strayed["reason"].iloc[0]),
    }


def _readme(dataset: Dataset, facts: dict[str, Any]) -> str:  # Any: JSON
    lines = [
        f"# {dataset.folder}: what these labels are",
        "",
        f"Made by {facts['made_by']} from protocol `{dataset.protocol}` of a run: {facts['what']}.",
        "",
        "**What they are not.**",
        *(f"- {line[0].upper()}{line[1:]}." for line in facts["limits"]),
        "",
        "**Labels.** " + ", ".join(f"{n} {name}" for name, n in facts["labels"].items()) + ".",
    ]
    if dataset.ignores:
        lines += [
            "",
            f"**`{IGNORE}`** marks what the run itself doubts; a loss should leave it out, as nnU-Net's does. It is:",
            *(f"- {words};" for words in facts["ignore"].values()),
        ]
    for name, reason in facts["doubtful_classes"].items():
        lines += ["", f"**Class `{name}` is under doubt in all cases:** {reason}."]
    for case in facts["cases"]:
        if case["drift"]:
            lines += [
                "",
                f"**{case['case']}** has drifted from what the map knows: {case['drift']}.",
            ]
    lines += [
        "",
        "| case | labelled | ignored | of what is labelled |",
        "| --- | --- | --- | --- |",
        *(_row(case) for case in facts["cases"]),
        "",
        "`labels.json` says the same to programs, with the digests of run, models and scans.",
    ]
    return "\n".join(lines) + "\n"


def _row(case: dict[str, Any]) -> str:  # Any: JSON
    share = case["labelled_ignored_fraction"]
    of = "" if share is None else f"{share:.1%}"
    return f"| {case['case']} | {case['labelled_fraction']:.3%} | {case['ignored_fraction']:.3%} | {of} |"
