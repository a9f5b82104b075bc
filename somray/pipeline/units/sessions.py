"""Units of the sessions of one subject, and their walk: pairs, further pairs in doubt, the whole group."""

from collections.abc import Sequence

from somray.domain.work import Unit
from somray.io.ledger import Entry
from somray.kernels.registration.space.group import first_pairs
from somray.pipeline.gather import gather_or_cancel
from somray.pipeline.record import Record
from somray.pipeline.units.protocol import Units
from somray.pipeline.units.scan_state import ScanState, subject_name
from somray.stages.registration import align_sessions, register_sessions

__all__ = ["align_sessions_of", "align_unit", "bridge_unit", "session_pair"]

SLICE_PAIRS = (
    100  # one pair of sessions takes as long as so many pairs of slices, whatever their size
)

Key = tuple[int, int]
Motions = list[tuple[float, ...] | None]


def session_pair(units: Units, fixed: ScanState, moving: ScanState) -> Unit:
    """Register two sessions of a subject."""
    settings = units.config.registration
    item = register_sessions.SessionPairItem(fixed.place, moving.place, settings, units.cohort.seed)
    needs = register_sessions.needs_sessions([fixed.shape, moving.shape], settings)
    name = f"{moving.name}+sessions+{fixed.scan.session}"
    sources = [fixed.source_digest, moving.source_digest]
    inputs = [sources, settings.model_dump(mode="json", exclude={"pairs"}), units.cohort.seed]
    return units.unit("register", name, item, needs, inputs, of=moving.scan, work=SLICE_PAIRS)


def bridge_unit(
    units: Units, states: Sequence[ScanState], pairs: Sequence[align_sessions.PairFinding]
) -> Unit:
    """Ask which further pairs of sessions are worth registering."""
    return _group_unit(units, "bridges", states, pairs)


def align_unit(
    units: Units, states: Sequence[ScanState], pairs: Sequence[align_sessions.PairFinding]
) -> Unit:
    """Bring all sessions of a subject to the first."""
    return _group_unit(units, "align", states, pairs)


def _group_unit(
    units: Units, name: str, states: Sequence[ScanState],
    pairs: Sequence[align_sessions.PairFinding],
) -> Unit:  # fmt: skip
    item = align_sessions.GroupItem(tuple(s.place for s in states), tuple(pairs))
    subject = states[0].scan.subject
    sessions = [[s.name, s.source_digest] for s in states]  # rows name them
    name, inputs = f"{subject_name(subject)}+{name}", [sessions, item.pairs]
    return units.unit("register", name, item, align_sessions.NEEDS, inputs, of=subject)


async def align_sessions_of(record: Record, units: Units, states: Sequence[ScanState]) -> Motions:
    """Register a subject's sessions, in time order, with each other; return each one's 4×4 to the first.

    Row-major LPS mm; None where refused.
    """
    found = await _registered(record, units, states, first_pairs(len(states)))
    if len(states) > 2:
        asked = await record.do(align_sessions.run_bridges, bridge_unit(units, states, found))
        further = [(a, b) for a, b in asked.value.get("pairs", [])]
        found += await _registered(record, units, states, further)
    entry = await record.do(align_sessions.run_align, align_unit(units, states, found))
    told = entry.value.get("to_first", [None] * len(states))
    return [None if matrix is None else tuple(matrix) for matrix in told]


async def _registered(
    record: Record, units: Units, states: Sequence[ScanState], keys: Sequence[Key]
) -> list[align_sessions.PairFinding]:
    entries = await gather_or_cancel(
        *(
            record.do(register_sessions.run_sessions, session_pair(units, states[a], states[b]))
            for a, b in keys
        )
    )
    return [_finding(key, entry) for key, entry in zip(keys, entries, strict=True)]


def _finding(key: Key, entry: Entry) -> align_sessions.PairFinding:
    """Take a pair's word; a unit that failed says nothing."""
    matrix = entry.value.get("matrix")
    status = str(entry.value.get("status", "refused"))
    return align_sessions.PairFinding(*key, None if matrix is None else tuple(matrix), status)
