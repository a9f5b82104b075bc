"""A run as people see it: how far it is, and which scans of whom stand."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from somray.api.shown.page import block, table

__all__ = ["run_html", "run_text"]

MOST_SUBJECTS = 40
"""Rows of the table in a notebook; those with something amiss come first."""


def run_text(
    root: str, scans: pd.DataFrame, failures: pd.DataFrame, state: Mapping[str, Any]
) -> str:
    """Return one line: where, how far (by what the driver last wrote), how many, and what was set aside."""
    parts = [f"Run {root}", _progress(state)]
    if not scans.empty:
        aside = int((scans["status"] != "done").sum())
        protocols = ", ".join(sorted(str(name) for name in scans["protocol"].unique()))
        parts.append(
            f"{_count(scans['subject'].nunique(), 'subject')}, {_count(len(scans), 'scan')}"
            f"{f', {aside} set aside' if aside else ''}, {protocols}"
        )
    units = int((failures["stage"] != "ingest").sum()) if not failures.empty else 0
    if units:
        parts.append(f"{_count(units, 'unit')} failed")
    told = "; ".join(part for part in parts[1:] if part)
    return f"{parts[0]}: {told or 'no scan stands yet'}"


def run_html(
    root: str, scans: pd.DataFrame, failures: pd.DataFrame, state: Mapping[str, Any]
) -> str:
    """Return the line and a table of subjects and sessions; arguments as for `run_text`."""
    title = run_text(root, scans, failures, state)
    if scans.empty:
        return block(title, [], ["No scan stands yet."])
    codes = {
        (row["subject"], row["session"]): str(row["code"])
        for row in failures.to_dict("records")
        if row["session"] is not None
    }
    rows, notes = _rows(scans, codes)
    sessions = list(dict.fromkeys(scans["session"]))
    notes += ["run.table(NAME), run.scan(SUBJECT, SESSION), run.aligned(SUBJECT, SESSION)"]
    return block(title, [table(["subject", "protocol", *map(str, sessions)], rows)], notes)


def _rows(
    scans: pd.DataFrame, codes: Mapping[tuple[str, str], str]
) -> tuple[list[list[str]], list[str]]:
    """Return a row for each subject, those with something amiss first, and what is left out."""
    sessions = list(dict.fromkeys(scans["session"]))
    clean: list[list[str]] = []
    amiss: list[list[str]] = []
    for subject, mine in scans.groupby("subject", sort=False):
        told = {row["session"]: _status(row, codes) for row in mine.to_dict("records")}
        protocols = ", ".join(sorted({str(name) for name in mine["protocol"]}))
        row = [str(subject), protocols, *(told.get(session, "") for session in sessions)]
        (clean if (mine["status"] == "done").all() else amiss).append(row)
    rows = amiss + clean
    left = len(rows) - MOST_SUBJECTS
    notes = [f"{MOST_SUBJECTS} of {len(rows)} subjects; run.scans has all."] if left > 0 else []
    return rows[:MOST_SUBJECTS], notes


def _status(row: Mapping[Any, Any], codes: Mapping[tuple[str, str], str]) -> str:
    """Return the status of a scan with its size, or why it was set aside."""
    code = codes.get((row["subject"], row["session"]))
    if row["status"] != "done":
        return f"{row['status']}{f': {code}' if code else ''}"
    sizes = [row[f"shape_{axis}"] for axis in "zyx"]
    shape = "×".join(str(int(size)) for size in sizes if pd.notna(size))
    return f"done, {shape}{f', {code}' if code else ''}"


def _progress(state: Mapping[str, Any]) -> str:
    """Say how far the run is."""
    name, left = state.get("state"), int(state.get("left", 0) or 0)
    if not name:
        return ""
    return f"{name}, {_count(left, 'unit')} left" if left else str(name)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
