"""The course of disease of every subject of a protocol, and how well its sessions and slices were registered."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.report.data.run import ProtocolData, Row, Rows, records

__all__ = ["DiseaseCourse", "RegistrationHealth", "courses", "registration_health"]

NEW = "new"


@dataclass(frozen=True, eq=False)
class DiseaseCourse:
    """One subject's sessions in order of time, at time index 0.

    Args:
        subject: name.
        rows: of `burden`.
        days: since its first session; None where not all are known.
        new: lesions found new between any two sessions.
    """

    subject: str
    rows: Rows
    days: tuple[float, ...] | None
    new: int

    def values(self, column: str) -> NDArray[np.float64]:
        """Return a column of `burden` of each session (n,), NaN where it is null."""
        return np.array([np.nan if r[column] is None else r[column] for r in self.rows])

    @property
    def response(self) -> str | None:
        """The last session's response, None where there is none."""
        told = self.rows[-1]["response"] if len(self.rows) > 1 else None
        return None if told is None else str(told)

    @property
    def change(self) -> float | None:
        """Change of volume from the first session to the last, as a share of the first.

        None of a single session and of one without lesions throughout; infinite from nothing to something.
        """
        first, last = self.rows[0]["volume_mm3"], self.rows[-1]["volume_mm3"]
        if len(self.rows) < 2 or first == last == 0:
            return None
        return np.inf if first == 0 else float((last - first) / first)


def courses(protocol: ProtocolData) -> list[DiseaseCourse]:
    """Gather the courses of a protocol's subjects that have a burden, by name."""
    burden: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in protocol.rows("burden", t=0):
        burden[str(row["subject"])][str(row["session"])] = row
    evolution = protocol.frame("evolution")
    fresh = evolution[evolution["change"] == NEW]["subject"].value_counts()
    scans: dict[str, Rows] = defaultdict(list)
    for row in protocol.rows("scans"):
        scans[str(row["subject"])].append(row)
    found = []
    for name in sorted(burden):
        own = [s for s in protocol.cohort.in_time(scans[name]) if s["session"] in burden[name]]
        if not own:
            continue
        days = [s["days"] for s in own]
        known = len(set(days)) == len(days) and all(d is not None for d in days)
        when = tuple(float(d) for d in days) if known else None
        rows = [burden[name][s["session"]] for s in own]
        found.append(DiseaseCourse(name, rows, when, int(fresh.get(name, 0))))
    return found


@dataclass(frozen=True)
class RegistrationHealth:
    """How registration went.

    Args:
        counts: (kind, status) to pairs.
        refused: rows of refused or weak pairs of sessions: subject, fixed_session, moving_session, status, reason.
        slices: rows of scans by refused pairs of slices, most first: subject, session, refused, pairs.
    """

    counts: dict[tuple[str, str], int]
    refused: Rows
    slices: Rows


def registration_health(protocol: ProtocolData) -> RegistrationHealth:
    """Count a protocol's pairs by kind and status, and name those that were not registered."""
    wanted = ("subject", "kind", "status", "fixed_session", "moving_session", "reason")
    frame = protocol.cohort.columns("registration", wanted)
    frame = frame[frame["protocol"] == protocol.protocol]
    counts = records(
        frame.groupby(["kind", "status"], observed=True).size().reset_index(name="pairs")
    )
    sessions = frame[(frame["kind"] == "sessions") & (frame["status"] != "ok")]
    sessions = sessions.sort_values(["status", "subject", "fixed_session"], kind="stable")
    refused = records(sessions)
    slices = frame[frame["kind"] == "slices"]
    slices = slices.assign(is_refused=slices["status"] == "refused")
    by_scan = slices.groupby(["subject", "fixed_session"], observed=True)["is_refused"]
    troubled = by_scan.agg(refused="sum", pairs="size")
    troubled = troubled[troubled["refused"] > 0].reset_index()
    troubled = troubled.sort_values(["refused", "subject"], ascending=[False, True], kind="stable")
    rows: Rows = [
        {"subject": r["subject"], "session": r["fixed_session"], "refused": int(r["refused"]),
         "pairs": int(r["pairs"])}
        for r in records(troubled)
    ]  # fmt: skip
    return RegistrationHealth({(r["kind"], r["status"]): r["pairs"] for r in counts}, refused, rows)
