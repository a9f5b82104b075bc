"""The warning that a teacher may not carry over to a scan; it stands wherever such a scan is shown."""

from somray.report.data import Row, Rows
from somray.report.drawing.blocks import Notice

__all__ = ["drift_notices"]

MOST_NAMED = 8


def drift_notices(rows: Rows) -> tuple[Notice, ...]:
    """Warn of scans that the teacher may not carry over to, most distant first."""
    drifted = [r for r in rows if r["status"] != "ok"]
    if not drifted:
        return ()
    drifted.sort(key=lambda r: (-r["distance_ratio"], r["subject"], r["session"]))
    told = "; ".join(_one(r) for r in drifted[:MOST_NAMED])
    more = "" if len(drifted) <= MOST_NAMED else f"; and {len(drifted) - MOST_NAMED} more"
    text = (
        f"{told}{more}. Look at their masks; `teacher.previous` with `refit: true`, or a reference that "
        "holds such scans too, adapts the map while its classes keep their meaning."
    )
    return (Notice(text, "warn", "The teacher may not carry over to these scans."),)


def _one(row: Row) -> str:
    shift = f"{row['shift']:+.1f}".replace("-", "−")
    return (
        f"{row['subject']} {row['session']}: {row['reason']} (most moved is {row['channel']} "
        f"{row['feature'].replace('_', ' ')}, by {shift} standard deviations)"
    )
