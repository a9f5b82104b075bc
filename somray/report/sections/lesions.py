"""A subject's lesions of one protocol: volumes over time, the match graph, every change and measure."""

from collections.abc import Iterable

from somray.report.data import ReportData, Row, Rows
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.listing import listing
from somray.report.figures.flow import DOUBTS, lesion_flow
from somray.report.figures.lesions import CHANGES, TimeAxis, lesion_volumes
from somray.report.notices import doubts

__all__ = ["is_4d", "lesions_section"]

LESION_COLUMNS = (
    "session", "t", "lesion_id", "volume_mm3", "longest_axis_mm", "axial_axis_mm", "axial_perpendicular_mm",
    "suv_peak", "tlg_ml", "mean_intensity", "max_intensity", "min_intensity", "std_intensity",
    "centroid_x_mm", "centroid_y_mm", "centroid_z_mm",
)  # fmt: skip
WHERE_KNOWN = ("axial_axis_mm", "axial_perpendicular_mm", "suv_peak", "tlg_ml")
"""Columns that are left out where no lesion has them: another modality, or a run of an earlier version."""
EVOLUTION_COLUMNS = (
    "from_session", "to_session", "lesion_id", "change", "volume_from_mm3", "volume_to_mm3",
    "volume_change_fraction", "displacement_mm", "linked_ids", "registered",
    "doubt", "surround_ncc",
)  # fmt: skip
LINK_COLUMNS = (
    "from_session", "to_session", "from_id", "to_id", "by", "shared_mm3", "shared_fraction",
    "distance_mm", "carried",
)  # fmt: skip


def lesions_section(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    """Show a subject's lesions of one protocol: volumes, the match graph, changes, measures.

    Args:
        data: of the run.
        scans: of the subject and protocol, in order of time.
        protocol: its name.
        prefix: of the section's anchors.
    """
    subject = scans[0]["subject"]
    lesions = data.rows("lesions", protocol=protocol, subject=subject)
    evolution = data.rows("evolution", protocol=protocol, subject=subject)
    target = data.protocol(protocol).teacher.target
    method = data.protocol(protocol).segment
    blocks: list[Block] = [*doubts(data.teacher(protocol), (target,))]
    drawn = "student" if method == "student" else "direct transfer of the SOM"
    objects = data.rows("objects", protocol=protocol, subject=subject)
    what = (
        "the objects that were called lesion"
        if objects
        else f"the connected parts of the target class “{target}” as the {drawn} outlines it"
    )
    blocks.append(Text(f"Lesions are {what}; one id is one lesion over all sessions."))
    if any(is_4d(s) for s in scans):
        blocks.append(Text("4D scans are compared over sessions at time index 0."))
    if data.is_unfinished:
        blocks.append(Notice("Lesions that are not yet followed are missing here.", "warn",
                             "The run is not finished."))  # fmt: skip
    links = data.rows("links", protocol=protocol, subject=subject)
    blocks += _over_time(scans, (lesions, evolution, links), prefix)
    order = {s["session"]: place for place, s in enumerate(scans)}
    evolution = sorted(evolution, key=lambda r: (r["lesion_id"], order.get(r["to_session"], 0)))
    lesions = sorted(lesions, key=lambda r: (r["lesion_id"], order.get(r["session"], 0), r["t"]))
    told = "Change of every lesion between consecutive sessions."
    why = "there is only one session, or no lesion was found in any."
    blocks.append(listing("evolution", evolution, EVOLUTION_COLUMNS, (told, why)))
    told = "Links between lesions of two sessions; an identity passes along those that carry it."
    graph = listing("links", links, LINK_COLUMNS, (told, "no lesion was found again."))
    blocks.append(Details("The match graph, link by link", (graph,)))
    told = "Every lesion in every session (centroids in patient LPS coordinates)."
    columns = [
        c for c in LESION_COLUMNS
        if c not in WHERE_KNOWN or any(r.get(c) is not None for r in lesions)
    ]  # fmt: skip
    blocks.append(listing("lesions", lesions, columns, (told, "no lesion was found.")))
    return Section(f"{prefix}-lesions", "Lesions over time", tuple(blocks))


def _over_time(scans: list[Row], tables: tuple[Rows, Rows, Rows], prefix: str) -> Iterable[Block]:
    lesions, evolution, links = tables
    done = [s for s in scans if s["status"] == "done"]
    first = [r for r in lesions if r["t"] == 0]
    if len(done) < 2:
        yield Text("Nothing to show over time: this subject has fewer than two done sessions here.")
        return
    if not first:
        yield Text("Nothing to show over time: no lesion was found in any session.")
        return
    time = TimeAxis.of(done)
    markup = lesion_volumes(first, evolution, time, f"{prefix}-volumes")
    told = (
        "Volume of every lesion by session, one line per lesion id; marks tell the kind of change found "
        "at that session, dotted lines lead to or from “not there”."
    )
    yield Gallery((Picture(markup, told, "Lesion volumes over time."),), "large")
    flow, left_out = lesion_flow((first, evolution, links), time.sessions, f"{prefix}-flow")
    told = (
        "Every lesion in every session, the radius as of a sphere of its volume, one row per lesion id; lines "
        "join what is the same tissue, thicker where more of it is shared."
    )
    if left_out:
        told += f" The {left_out} smallest are not drawn."
    yield Gallery((Picture(flow, told, "How lesions go on, merge and fall apart."),), "large")
    yield from _doubtful(evolution)
    yield Details("What the kinds of change mean", (_kinds(evolution),))


def _doubtful(evolution: Rows) -> Iterable[Block]:
    """Say which changes are in doubt, and why; nothing where none is."""
    found = [(kind, sum(r["doubt"] == kind for r in evolution)) for kind in DOUBTS]
    told = "; ".join(f"{count} because {DOUBTS[kind]}" for kind, count in found if count)
    if told:
        lead = f"{sum(count for _, count in found)} changes are in doubt."
        yield Notice(f"{told}. Such a lesion is called neither new nor resolved.", "warn", lead)


def _kinds(evolution: Rows) -> Table:
    heads = (Heading("change"), Heading("meaning"), Heading("found", "", "times", True))
    body = tuple(
        (Cell(kind), Cell(meaning), Cell(str(sum(r["change"] == kind for r in evolution))))
        for kind, (_, meaning) in CHANGES.items()
    )
    return Table("Kinds of change between consecutive sessions.", heads, body, "")


def is_4d(scan: Row) -> bool:
    """Tell whether a row of `scans` has several time points."""
    return (scan["shape_t"] or 1) > 1
