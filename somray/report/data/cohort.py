"""What each subject of a cohort amounts to, gathered table by table so that time follows rows, not subjects × rows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from somray.report.data.run import ReportData, Row, Rows, records

__all__ = ["CONCERNS", "Concern", "SubjectFacts", "subject_facts"]

CONCERNS = (
    "failed", "refused", "drifted", "changes", "objects", "weak", "slices", "assumed",
)  # fmt: skip
"""Kinds of concern, the gravest first."""


@dataclass(frozen=True)
class Concern:
    """Why a subject deserves a look.

    Args:
        kind: one of `CONCERNS`.
        count: how many scans, pairs, changes or objects it is about.
        where: codes, sessions or pairs of them that it is about.
    """

    kind: str
    count: int
    where: tuple[str, ...] = ()


@dataclass(frozen=True)
class SubjectFacts:
    """One subject in short.

    Args:
        name: of the subject.
        protocols: of its scans, by name.
        done: scans that are done.
        scans: scans of the manifest.
        lesions: identities over all sessions; None while no scan is done.
        first_ml: volume of all lesions at the first done session, over all protocols; None likewise.
        last_ml: the same at the last.
        changes: kind of change to how often it was found.
        failures: scans and units that could not be done.
        concerns: the gravest first.
    """

    name: str
    protocols: tuple[str, ...]
    done: int
    scans: int
    lesions: int | None
    first_ml: float | None
    last_ml: float | None
    changes: Mapping[str, int]
    failures: int
    concerns: tuple[Concern, ...]

    @property
    def gravity(self) -> tuple[int, int, str]:
        """What subjects are sorted by, the worst first: gravest concern, how much of it, name."""
        if not self.concerns:
            return len(CONCERNS), 0, self.name
        worst = self.concerns[0]
        return CONCERNS.index(worst.kind), -worst.count, self.name


def subject_facts(data: ReportData) -> list[SubjectFacts]:
    """Sum up all subjects of the manifest, or those whose rows were read, by name."""
    scans: dict[str, Rows] = defaultdict(list)
    for row in data.rows("scans"):
        scans[str(row["subject"])].append(row)
    found = _Gathered(data, frozenset(scans))
    return [_facts(data, name, scans[name], found) for name in sorted(scans)]


class _Gathered:
    """What is known of all subjects beside their scans."""

    def __init__(self, data: ReportData, names: frozenset[str]) -> None:
        lesions = data.columns("lesions", ("subject", "session", "t", "lesion_id", "volume_mm3"))
        lesions = lesions[lesions["t"] == 0]
        self.volumes = lesions.groupby(["subject", "protocol", "session"], observed=True)[
            "volume_mm3"
        ].sum()
        self.volumes_ml = {key: float(v) / 1000 for key, v in self.volumes.items()}
        ids = lesions[["subject", "protocol", "lesion_id"]].drop_duplicates()
        self.lesions = {str(k): int(n) for k, n in ids["subject"].value_counts().items()}
        evolution = data.columns("evolution", ("subject", "change", "doubt"))
        self.changes = _counts(evolution.dropna(subset=["change"]), "change")
        failures = data.rows("failures")
        self.failures = _by_subject(failures)
        self.concerns: dict[str, list[Concern]] = defaultdict(list)
        for subject, concern in (
            *_failed(failures), *_unaligned(data), *_drifted(data), *_changes(evolution),
            *_objects(data), *_slices(data), *_assumed(data),
        ):  # fmt: skip
            if subject in names:
                self.concerns[subject].append(concern)


def _facts(data: ReportData, name: str, scans: Rows, found: _Gathered) -> SubjectFacts:
    protocols = sorted({str(r["protocol"]) for r in scans})
    ends = {0: 0.0, -1: 0.0}
    done_count = 0
    for protocol in protocols:
        own = data.in_time([r for r in scans if r["protocol"] == protocol])
        done = [r for r in own if r["status"] == "done"]
        done_count += len(done)
        for end in ends if done else ():
            ends[end] += found.volumes_ml.get((name, protocol, done[end]["session"]), 0.0)
    concerns = sorted(found.concerns[name], key=lambda c: (CONCERNS.index(c.kind), -c.count))
    return SubjectFacts(
        name=name,
        protocols=tuple(protocols),
        done=done_count,
        scans=len(scans),
        lesions=found.lesions.get(name, 0) if done_count else None,
        first_ml=ends[0] if done_count else None,
        last_ml=ends[-1] if done_count else None,
        changes=found.changes.get(name, {}),
        failures=len(found.failures[name]),
        concerns=tuple(concerns),
    )


def _counts(frame: pd.DataFrame, column: str) -> dict[str, dict[str, int]]:
    """Count the values of a column for each subject."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    grouped = frame.groupby(["subject", column], observed=True).size()
    for row in records(grouped.reset_index(name="count")):
        counts[row["subject"]][row[column]] = row["count"]
    return counts


def _by_subject(rows: Iterable[Row]) -> dict[str, Rows]:
    groups: dict[str, Rows] = defaultdict(list)
    for row in rows:
        if row["subject"] is not None:  # what failed may be a protocol's
            groups[str(row["subject"])].append(row)
    return groups


Found = Iterable[tuple[str, Concern]]


def _failed(failures: Rows) -> Found:
    for subject, rows in _by_subject(failures).items():
        yield subject, Concern("failed", len(rows), tuple(sorted({r["code"] for r in rows})))


def _unaligned(data: ReportData) -> Found:
    """Find pairs of sessions that were refused, or that are weak."""
    wanted = ("subject", "kind", "status", "fixed_session", "moving_session")
    frame = data.columns("registration", wanted)
    pairs = frame[(frame["kind"] == "sessions") & (frame["status"] != "ok")]
    for kind, status in (("refused", "refused"), ("weak", "weak")):
        rows = records(pairs[pairs["status"] == status])
        for subject, own in _by_subject(rows).items():
            where = tuple(f"{r['fixed_session']} → {r['moving_session']}" for r in own)
            yield subject, Concern(kind, len(own), where)


def _drifted(data: ReportData) -> Found:
    frame = data.columns("drift", ("subject", "session", "status"))
    for subject, own in _by_subject(records(frame[frame["status"] != "ok"])).items():
        yield subject, Concern("drifted", len(own), tuple(str(r["session"]) for r in own))


def _changes(evolution: pd.DataFrame) -> Found:
    for subject, kinds in _counts(evolution.dropna(subset=["doubt"]), "doubt").items():
        yield subject, Concern("changes", sum(kinds.values()), tuple(sorted(kinds)))


def _objects(data: ReportData) -> Found:
    frame = data.columns("objects", ("subject", "t", "called"))
    doubted = frame[(frame["t"] == 0) & (frame["called"] == "doubt")]
    for subject, count in doubted["subject"].value_counts().items():
        yield str(subject), Concern("objects", int(count))


def _slices(data: ReportData) -> Found:
    frame = data.columns("registration", ("subject", "kind", "status"))
    refused = frame[(frame["kind"] == "slices") & (frame["status"] == "refused")]
    for subject, count in refused["subject"].value_counts().items():
        yield str(subject), Concern("slices", int(count))


def _assumed(data: ReportData) -> Found:
    """Find scans whose files left out what figures rest on."""
    for subject, rows in _by_subject(data.rows("scans")).items():
        codes = [c for r in rows for c in str(r["repairs"] or "").split(",") if "assumed" in c]
        if codes:
            yield subject, Concern("assumed", len(codes), tuple(sorted({c.strip() for c in codes})))
