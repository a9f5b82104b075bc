"""Why a subject deserves a look, in words; what "worst first" means."""

from somray.report.data.cohort import CONCERNS, Concern
from somray.report.drawing.blocks import Cell
from somray.report.drawing.changes import DOUBTS
from somray.report.drawing.table import plural

__all__ = ["DRIFT_REMEDY", "ORDER_TOLD", "attention", "concern_told"]

MOST_TOLD = 4
MOST_PLACES = 3
_TONES = {"failed": "bad", "refused": "bad", "drifted": "warn", "changes": "warn"}
DRIFT_REMEDY = (
    "Look at their masks; `teacher.previous` with `refit: true`, or a reference that holds such scans too, adapts "
    "the map while its classes keep their meaning."
)
ORDER_TOLD = (
    "Worst first: what failed; then sessions that could not be aligned; scans that the teacher may not carry "
    "over to; changes of lesions in doubt; objects in doubt; weak alignments of sessions; slices that could "
    "not be aligned with their neighbours; spacing or position that was assumed. Among equals, more of it "
    "first, then by name."
)


def concern_told(concern: Concern) -> str:
    """Say in a few words what a concern is."""
    count, where = concern.count, _places(concern.where)
    told = {
        "failed": f"{count} failed: {where}",
        "refused": f"{plural(count, 'session pair')} not aligned: {where}",
        "drifted": f"teacher may not carry over: {where}",
        "changes": f"{plural(count, 'change')} in doubt: {_places(_reasons(concern), '; ')}",
        "objects": f"{plural(count, 'object')} in doubt",
        "weak": f"weakly aligned: {where}",
        "slices": f"{plural(count, 'slice pair')} not aligned",
        "assumed": f"{where.replace('_', ' ')}",
    }
    return told[concern.kind]


def _reasons(concern: Concern) -> tuple[str, ...]:
    return tuple(DOUBTS.get(code, code) for code in concern.where)


def _places(where: tuple[str, ...], between: str = ", ") -> str:
    more = f" and {len(where) - MOST_PLACES} more" if len(where) > MOST_PLACES else ""
    return between.join(where[:MOST_PLACES]) + more


def attention(concerns: tuple[Concern, ...]) -> Cell:
    """Make the cell that tells a subject's concerns; it sorts the gravest first."""
    if not concerns:
        return Cell("nothing", "muted", sort=float(len(CONCERNS)))
    worst = concerns[0]
    order = CONCERNS.index(worst.kind) + 1 / (1 + worst.count)
    told = "; ".join(concern_told(c) for c in concerns[:MOST_TOLD])
    if len(concerns) > MOST_TOLD:
        told += f"; and {len(concerns) - MOST_TOLD} more"
    return Cell(told, _TONES.get(worst.kind, ""), sort=round(order, 5))
