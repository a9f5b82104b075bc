"""Time and cost of a run, stage by stage, and the units that took longest."""

import pandas as pd

from somray.report.data import ReportData, Row
from somray.report.data.run import plain_rows
from somray.report.drawing.blocks import Block, Details, Gallery, Picture, Section, Text
from somray.report.drawing.table import TableColumn, number, plural, rows_table, table_of
from somray.report.figures.cohort.cost import stage_hours, time_unit

__all__ = ["cost_section"]

MIB = 2.0**20
HOUR = 3600.0
MOST_LONGEST = 10
HEAD = (
    TableColumn("stage", "stage"),
    TableColumn("units", "units", "", "units of work", True),
)
COLUMNS = (
    TableColumn("mean", "mean", "s", "wall time of a unit", True, 1),
    TableColumn("longest", "longest", "s", "wall time of a unit", True, 1),
    TableColumn("peak memory", "peak", "MiB", "largest resident memory of a worker", True, 0),
    TableColumn("tried again", "again", "", "tries beyond the first", True),
    TableColumn("nodes", "nodes", numeric=True),
    TableColumn("device", "device"),
)
LONGEST_COLUMNS = ("stage", "unit", "seconds", "node", "device", "attempts")


def cost_section(data: ReportData) -> Section:
    """Tell what each stage took; a unit of a CPU stage holds one core, so its time is CPU time."""
    timings = data.table("timings")
    if timings.empty:
        text = Text("Nothing to show: no unit of work has been timed yet.")
        return Section("cost", "Time and cost", (text,))
    stages = [_stage(str(name), part) for name, part in timings.groupby("stage", sort=True)]
    hours = {r["stage"]: float(r["hours"]) for r in stages}
    unit, per = time_unit(sum(hours.values()))
    told = (
        f"{plural(len(timings), 'unit')} took {number(sum(hours.values()) * per, 2)} {unit} together. A unit holds one "
        "CPU unless its device says otherwise, so this is about CPU time; units that spread their work "
        "(a fit over a cohort, a student on several workers) count their wait, too."
    )
    markup = stage_hours(hours, "cost")
    picture = Picture(markup, "Time of all units of each stage, added up.")
    whole = TableColumn(
        "in all", lambda r: r["hours"] * per, unit, "wall time of all units added up", True, 2
    )
    table = table_of("What each stage took.", stages, (*HEAD, whole, *COLUMNS))
    longest = timings.sort_values(["seconds", "unit"], ascending=[False, True]).head(MOST_LONGEST)
    rows = plain_rows("timings", longest)
    slowest = rows_table("timings", rows, LONGEST_COLUMNS, f"The {len(rows)} longest units.", "")
    blocks: tuple[Block, ...] = (
        Text(told), Gallery((picture,), "large"), Details("Stage by stage, and the longest units", (table, slowest)),
    )  # fmt: skip
    return Section("cost", "Time and cost", blocks)


def _stage(name: str, part: pd.DataFrame) -> Row:
    seconds = part["seconds"]
    return {
        "stage": name,
        "units": len(part),
        "hours": float(seconds.sum()) / HOUR,
        "mean": float(seconds.mean()),
        "longest": float(seconds.max()),
        "peak": float(part["peak_bytes"].max()) / MIB,
        "again": int((part["attempts"] - 1).clip(lower=0).sum()),
        "nodes": int(part["node"].nunique()),
        "device": ", ".join(sorted(set(part["device"]))),
    }
