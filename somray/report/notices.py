"""The sentences that must stand, word for word the same, wherever what they warn of is shown."""

from collections.abc import Collection

from somray.domain.teacher import TeacherModel
from somray.report.drawing.blocks import Notice

__all__ = [
    "ANATOMY",
    "CHANGE",
    "NOT_ACCURACY",
    "TRUTH",
    "doubts",
]

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


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "!", "?")) else ".")


def doubts(teacher: TeacherModel | None, shown: Collection[str]) -> tuple[Notice, ...]:
    """Return one warning per shown class that must be read with care."""
    if teacher is None:
        return ()
    return tuple(
        Notice(_sentence(reason), "warn", f"Read class “{name}” with care.")
        for name, reason in sorted(teacher.doubtful.items())
        if name in shown
    )
