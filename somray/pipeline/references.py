"""Which scans and slices a protocol's models are fitted on, as its configuration says."""

from collections import Counter
from collections.abc import Sequence

from somray.config import TeacherConfig
from somray.domain.scan import Scan
from somray.pipeline.units.scan_state import ScanState

__all__ = ["chosen_references", "over_subjects"]


def chosen_references(
    config: TeacherConfig, states: Sequence[ScanState]
) -> list[tuple[ScanState, tuple[int, ...] | None]]:
    """Pick the reference among usable scans, which stand in the manifest's order.

    Returns:
        Scans with the slices that are named; None takes every n-th of them (cohort). Empty where no scan that is
        wanted can be used.
    """
    if config.every is not None:
        return [(state, None) for state in states]
    known = {(s.scan.subject, s.scan.session): s for s in states}
    slices: dict[tuple[str, str], list[int]] = {}
    for named in config.named:
        slices.setdefault((named.subject, named.session), []).extend(named.slices)
    return [
        (known[key], tuple(dict.fromkeys(wanted))) for key, wanted in slices.items() if key in known
    ]


def over_subjects(scans: Sequence[Scan]) -> list[Scan]:
    """List scans so that each subject's first session stands before any subject's second."""
    seen: Counter[str] = Counter()
    turns = []
    for place, scan in sorted(enumerate(scans), key=lambda one: (one[1].order, one[0])):
        turns.append((seen[scan.subject], place))
        seen[scan.subject] += 1
    return [scans[place] for _, place in sorted(turns)]
