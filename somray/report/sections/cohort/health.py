"""How registration went over a protocol: pairs that are ok, weak, refused, and which were refused."""

from collections.abc import Iterator, Mapping

from somray.report.data import ProtocolData, Row
from somray.report.data.courses import RegistrationHealth, registration_health
from somray.report.drawing.blocks import Block, Cell, Details, Notice, Section, Text
from somray.report.drawing.table import TableColumn, fact, plural, subject_column, table_of

__all__ = ["health_section"]

MOST_ROWS = 50
STATES = ("ok", "weak", "refused")
_KINDS = {"sessions": "sessions to each other", "slices": "slices to their neighbours"}
_TONES = {"weak": "warn", "refused": "bad"}


def health_section(protocol: ProtocolData, prefix: str, hrefs: Mapping[str, str]) -> Section:
    """Count a protocol's registered pairs by their state, and name those that were refused."""
    health = registration_health(protocol)
    if not health.counts:
        told = "Nothing to show: no pair of slices or sessions was registered in this protocol."
        return Section(f"{prefix}-health", "Registration", (Text(told),))
    blocks = (_counts(health), *_sessions(health, hrefs), *_slices(health, hrefs))
    return Section(f"{prefix}-health", "Registration", blocks)


def _counts(health: RegistrationHealth) -> Block:
    lines: list[Row] = []
    for kind, name in _KINDS.items():
        counts = {state: health.counts.get((kind, state), 0) for state in STATES}
        total = sum(counts.values())
        if total:
            shares = {s: Cell(f"{fact(n)} ({100 * n / total:.1f} %)", _TONES.get(s, "") if n else "muted",
                              sort=float(n)) for s, n in counts.items()}  # fmt: skip
            lines.append({"kind": name, "pairs": total, **shares})
    columns = (
        TableColumn("what was aligned", "kind"),
        TableColumn("pairs", "pairs", numeric=True),
        *(TableColumn(state, state, numeric=True) for state in STATES),
    )
    told = "Pairs by how registration went; a refused pair is never used, a weak one is used and marked."
    return table_of(told, lines, columns)


def _sessions(health: RegistrationHealth, hrefs: Mapping[str, str]) -> Iterator[Block]:
    rows = health.refused
    refused = [r for r in rows if r["status"] == "refused"]
    if refused:
        text = "Changes between these sessions are left open; look at the subjects' pages."
        yield Notice(
            text, "bad", f"{plural(len(refused), 'pair')} of sessions could not be aligned."
        )
    if rows:
        columns = (
            subject_column(hrefs),
            TableColumn("earlier", "fixed_session"),
            TableColumn("later", "moving_session"),
            TableColumn("state", lambda r: Cell(r["status"], _TONES.get(r["status"], ""))),
            TableColumn("reason", "reason"),
        )
        shown = sorted(rows, key=lambda r: STATES.index(r["status"]), reverse=True)
        yield table_of("Pairs of sessions that are not ok.", shown[:MOST_ROWS], columns)
        if len(rows) > MOST_ROWS:
            yield Text(f"And {len(rows) - MOST_ROWS} more, in tables/registration.")


def _slices(health: RegistrationHealth, hrefs: Mapping[str, str]) -> Iterator[Block]:
    rows = health.slices
    if not rows:
        return
    columns = (
        subject_column(hrefs),
        TableColumn("session", "session"),
        TableColumn("refused", "refused", "", "pairs of neighbouring slices", True),
        TableColumn("pairs", "pairs", "", "of the scan", True),
        TableColumn("share", lambda r: 100 * r["refused"] / r["pairs"], "%", "", True, 1),
    )
    told = "Scans with slices that could not be aligned with their neighbours."
    more = [Text(f"And {len(rows) - MOST_ROWS} more, in tables/registration.")]
    inner = (table_of(told, rows[:MOST_ROWS], columns), *(more if len(rows) > MOST_ROWS else ()))
    yield Details(f"{plural(len(rows), 'scan')} with refused pairs of slices", inner)
