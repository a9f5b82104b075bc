"""Lesions as a population: sizes, porosity along the axes, form, direction, distances.

For materials, and wherever there are more lesions than can be shown one by one.
"""

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
import pandas as pd

from somray.kernels.lesions.ellipsoid import LEAST_ELONGATION, equivalent_diameter
from somray.kernels.lesions.sizes import size_percentile
from somray.report.data import Particles, Row, SubjectData, SubjectLesions
from somray.report.drawing.blocks import Block, Gallery, Picture, Section, Table, Text
from somray.report.drawing.scales import LengthUnit, length_unit
from somray.report.drawing.table import TableColumn, number, plural, table_of
from somray.report.figures.forms import direction_map, sphericity_by_size
from somray.report.figures.outlines import lesion_pictures
from somray.report.figures.particles import (
    changes_by_size,
    nearest_distances,
    porosity_along_axes,
    size_distribution,
)

__all__ = ["particles_section"]

TITLE = "Sizes, form and place of all lesions"
FROM = 60  # lesions of a patient from which they are shown as a population too
MOST_SESSIONS = 6  # drawn: the first and the latest
MOST_MAPS = 2  # sessions whose form and directions are pictured: the first and the last
PERCENTS = (10, 50, 90)
MOST_LARGEST, MOST_SAMPLED = 4, 4  # lesions pictured one by one

Kept = TypeVar("Kept")


def particles_section(
    subject: SubjectData, lesions: SubjectLesions, prefix: str
) -> tuple[Section, ...]:
    """Show a subject's lesions as a population; nothing of a patient who has few."""
    porosity = subject.frame("porosity", t=0)
    is_material = subject.config.modality == "XCT"
    if not (is_material or lesions.identities > FROM):
        return ()
    sessions = {str(s["session"]): lesions.particles(s["session"]) for s in subject.done}
    anchor = f"{prefix}-particles"
    if not any(len(found) for found in sessions.values()):
        return (Section(anchor, TITLE, (Text("Nothing to show: no lesion was found."),)),)
    is_assumed = any("spacing_assumed" in (s["repairs"] or "") for s in subject.scans)
    unit = length_unit(np.concatenate([p.diameter_mm for p in sessions.values()]), is_assumed)
    blocks = (
        _summary(sessions, porosity, unit),
        *_distribution(sessions, unit, prefix),
        *_porosity(_few(sessions), porosity, is_assumed, prefix),
        *_forms(sessions, unit, prefix),
        *_changes(lesions, unit, prefix),
        *_pictured(subject, lesions),
    )
    return (Section(anchor, TITLE, blocks),)


def _few(sessions: Mapping[str, Kept], most: int = MOST_SESSIONS) -> dict[str, Kept]:
    """Keep the first session and the latest."""
    names = list(sessions)
    kept = names if len(names) <= most else [names[0], *names[len(names) - most + 1 :]]
    return {name: sessions[name] for name in kept}


def _summary(sessions: Mapping[str, Particles], porosity: pd.DataFrame, unit: LengthUnit) -> Table:
    """Tell each session's number, percentiles of size by number and by volume, porosity and rim."""

    def line(session: str, found: Particles) -> Row:
        rows = porosity[(porosity["session"] == session) & (porosity["axis"] == "z")]
        row: Row = {"session": session, "lesions": len(found)}
        for percent in PERCENTS if len(found) else ():
            for kind, weights in (("n", np.ones(len(found))), ("v", found.volume_mm3)):
                size = size_percentile(found.diameter_mm, weights, percent)
                row[f"{kind}{percent}"] = size * unit.per_mm
        for key, within in (("whole", "voxels"), ("sample", "sample_voxels")):
            total = float(rows[within].sum())
            row[key] = 100 * float(rows["lesion_voxels"].sum()) / total if total else None
        touching = np.count_nonzero(found.touches_border)
        return {**row, "border": int(touching)}

    meaning = "diameter of a ball of its volume, up to which {} % of {} lie"
    columns = [
        TableColumn("session", "session"),
        TableColumn("lesions", "lesions", numeric=True),
        *(
            TableColumn(f"D{p} by {by}", f"{kind}{p}", unit.name, meaning.format(p, of), True, optional=True)
            for kind, by, of in (("n", "number", "the lesions"), ("v", "volume", "their volume"))
            for p in PERCENTS
        ),
        TableColumn("share of the volume", "whole", "%", "voxels in lesions / all voxels", True, 3, optional=True),
        TableColumn("share of the sample", "sample", "%", "voxels in lesions / voxels that the map calls "
                    "neither no data nor background, lesions among them", True, 3, optional=True),
        TableColumn("at the border", "border", "", "lesions against a face of the volume: part may be missing", True),
    ]  # fmt: skip
    told = "Lesions of every session: how many, how large, what share they fill."
    return table_of(told, [line(s, found) for s, found in sessions.items()], columns)


def _distribution(
    sessions: Mapping[str, Particles], unit: LengthUnit, prefix: str
) -> Iterator[Block]:
    few = _few(sessions)
    markup = size_distribution(few, unit, f"{prefix}-sizes")
    count = sum(len(p) for p in few.values())
    told = (
        f"All {count:,} lesions".replace(",", "\u202f")
        + f" of {plural(len(few), 'session')} by equivalent diameter, the diameter of a ball of the same volume: "
        "how many, and what share of their volume, fall into each class. Dotted lines: D50."
    )
    if len(few) < len(sessions):
        told += f" {plural(len(sessions) - len(few), 'session')} between them not drawn."
    yield Gallery((Picture(markup, told),), "large")


def _porosity(
    sessions: Mapping[str, Particles], porosity: pd.DataFrame, is_assumed: bool, prefix: str
) -> Iterator[Block]:
    """Draw the share along each axis, of the sample where every session knows it, else of the whole volume."""
    rows = {s: porosity[porosity["session"] == s] for s in sessions}
    rows = {s: part for s, part in rows.items() if len(part)}
    if not rows:
        return
    is_known = all(part["sample_voxels"].notna().all() for part in rows.values())
    within = "sample_voxels" if is_known else "voxels"
    lengths = [float(part["position_mm"].max()) for part in rows.values()]
    unit = length_unit(np.array(lengths) / 10, is_assumed)
    markup = porosity_along_axes(rows, within, unit, f"{prefix}-porosity")
    what = (
        "the sample (what the map calls neither no data nor background, and every lesion)"
        if is_known
        else "the whole volume (the map finds no background in every session, so sample and volume are one)"
    )
    told = (
        f"Share of each plane across z, y and x that lesions fill, of {what}. Every plane stands in the table "
        "porosity, for the whole volume and for the sample."
    )
    yield Gallery((Picture(markup, told),), "large")


def _forms(sessions: Mapping[str, Particles], unit: LengthUnit, prefix: str) -> Iterator[Block]:
    """Map sphericity and directions of the first and the last session, and draw distances of all."""
    pictures: list[Picture] = []
    for place, (session, found) in enumerate(_few(sessions, MOST_MAPS).items()):
        where = f"session {session}"
        markup = sphericity_by_size(found, unit, where, f"{prefix}-form{place}")
        if markup is not None:
            known = int(np.isfinite(found.sphericity).sum())
            told = (
                f"Sphericity (1 for a ball) against size, {where}: {known} of {len(found)} lesions; small "
                "ones are coarse."
            )
            pictures.append(Picture(markup, told))
        markup = direction_map(found, where, f"{prefix}-direction{place}")
        if markup is not None:
            pictures.append(Picture(markup, _directions_told(found, where)))
    distances = nearest_distances(_few(sessions), unit, f"{prefix}-nearest")
    if distances is not None:
        told = "Distance of each lesion to the nearest other one of its session, from voxel centre to voxel centre."
        pictures.append(Picture(distances, told))
    if pictures:
        yield Gallery(tuple(pictures), "chart")


def _directions_told(found: Particles, where: str) -> str:
    known = np.isfinite(found.direction).all(axis=1)
    share = 100 * found.volume_mm3[known].sum() / max(found.volume_mm3.sum(), 1e-300)
    return (
        f"Where long axes point, {where}, weighted by volume: equal-area net seen along z, z in the middle, rings 30°, "
        f"60° and 90° from it. {int(known.sum())} of {len(found)} lesions ({number(float(share))} % of the volume) "
        f"have a long axis; the others are longer than wide by less than {LEAST_ELONGATION:g}."
    )


def _pictured(subject: SubjectData, lesions: SubjectLesions) -> Iterator[Block]:
    """Show the largest lesions of the last session that has any, and a sample of the others, one by one."""
    for scan in reversed(subject.done):
        session = str(scan["session"])
        rows = lesions.sample(session, MOST_LARGEST, MOST_SAMPLED)
        pixels = subject.scan(session)
        if not rows or pixels is None:
            continue
        pictures = lesion_pictures(pixels, rows, f"session {session}")
        largest, count = min(MOST_LARGEST, len(rows)), len(lesions.particles(session))
        told = (
            f"{len(rows)} of the {plural(count, 'lesion')} of session {session} in the slices through their "
            f"centroids, each solid among its broken neighbours: the {largest} largest, then others down to the small."
        )
        yield Gallery(tuple(pictures), "small", told)
        return


def _changes(lesions: SubjectLesions, unit: LengthUnit, prefix: str) -> Iterator[Block]:
    """Draw what became of lesions by size, all pairs of sessions together."""
    rows = lesions.evolution
    if not len(rows):
        return
    volume = rows["volume_from_mm3"].fillna(rows["volume_to_mm3"]).to_numpy(dtype=np.float64)
    known = volume > 0
    kinds = rows["change"].fillna("").to_numpy(dtype=object)
    markup = changes_by_size(
        equivalent_diameter(volume[known]), kinds[known], unit, f"{prefix}-kinds"
    )
    told = (
        f"What became of lesions between consecutive sessions, by size: {int(known.sum())} of {len(rows)} rows of "
        "evolution. Numbers above the bars: lesions in the class."
    )
    yield Gallery((Picture(markup, told),), "large")
