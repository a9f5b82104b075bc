"""The sentences that must stand, word for word the same, wherever what they warn of is shown."""

from collections.abc import Collection

from somray.config import ProtocolConfig
from somray.domain.teacher import TeacherModel
from somray.report.data import Rows
from somray.report.drawing.blocks import Notice
from somray.report.drawing.table import signed

__all__ = ["ANATOMY", "CHANGE", "NOT_ACCURACY", "TRUTH", "doubts", "drift_notices", "lesion_doubts"]

NOT_ACCURACY = Notice(
    "It says how faithfully the student repeats the self-organizing map that taught it, "
    "not how well either of them finds real lesions.",
    "warn",
    "Agreement with the teacher is not accuracy.",
)
TRUTH = Notice(
    "The truth masks named in the manifest were compared with the finished masks; they took no part in "
    "fitting, choosing or tuning anything.",
    "note",
    "Measured against a reference truth.",
)
ANATOMY = Notice(
    "What remains different between two neighbouring slices of one scan, once they are aligned, is "
    "anatomy: the body is not the same a few millimetres further on. It says nothing about change over time.",
    "note",
    "Slice to slice: anatomy.",
)
CHANGE = Notice(
    "What remains different between two sessions of one subject, once they are aligned, is change since "
    "the earlier session, together with noise and whatever the alignment could not undo.",
    "note",
    "Session to session: change.",
)


MOST_DRIFTED = 8  # scans that are named


def doubts(teacher: TeacherModel | None, shown: Collection[str]) -> tuple[Notice, ...]:
    """Return one warning per shown class that must be read with care."""
    if teacher is None:
        return ()
    return tuple(
        Notice(_sentence(reason), "warn", f"Read class “{name}” with care.")
        for name, reason in sorted(teacher.doubtful.items())
        if name in shown
    )


def lesion_doubts(config: ProtocolConfig, teacher: TeacherModel | None) -> tuple[Notice, ...]:
    """Warn of the class that lesions follow; none where a rule finds them whatever the map says."""
    return () if config.objects.rule == "lung" else doubts(teacher, (config.teacher.target,))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def drift_notices(rows: Rows) -> tuple[Notice, ...]:
    """Warn of scans that the teacher may not carry over to, most distant first."""
    drifted = [r for r in rows if r["status"] != "ok"]
    if not drifted:
        return ()
    drifted.sort(key=lambda r: (-r["distance_ratio"], r["subject"], r["session"]))
    told = "; ".join(
        f"{r['subject']} {r['session']}: {r['reason']} (most moved is {r['channel']} "
        f"{r['feature'].replace('_', ' ')}, by {signed(r['shift'], '+.1f')} standard deviations)"
        for r in drifted[:MOST_DRIFTED]
    )
    more = "" if len(drifted) <= MOST_DRIFTED else f"; and {len(drifted) - MOST_DRIFTED} more"
    text = (
        f"{told}{more}. Look at their masks; `teacher.previous` with `refit: true`, or a reference that "
        "holds such scans too, adapts the map while its classes keep their meaning."
    )
    return (Notice(text, "warn", "The teacher may not carry over to these scans."),)
