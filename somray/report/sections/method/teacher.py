"""A protocol's teacher on the page: reference slice, what the classes mean, radar plots, map, nodes, areas."""

from collections.abc import Iterator

import numpy as np

from somray.domain.teacher import TeacherModel
from somray.report.data import ProtocolData, Rows
from somray.report.data.selection import ReferenceSlices, reference_slices
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.classes import (
    Profile,
    doubt_told,
    profiles_of,
    short_names,
)
from somray.report.drawing.style import class_colours
from somray.report.drawing.table import TableColumn, signed, table_of
from somray.report.figures.classes import (
    areas_along_z,
    classes_in,
    has_blank,
    node_heatmap,
    shown_legend,
)
from somray.report.figures.features import feature_pictures
from somray.report.figures.map import map_pictures
from somray.report.figures.outlines import reference_pictures
from somray.report.figures.radar import CROWDED, radar, radar_limit
from somray.report.texts.map_order import order_notices
from somray.report.texts.notices import doubts, drift_notices
from somray.report.texts.object_rule import rule_told

__all__ = ["teacher_section"]

MOST_REFERENCES = 3
MOST_NODES_DRAWN = 144
_PROFILE_TEXT = (
    "Profiles are means over a class's pixels on the reference, in standard deviations from the "
    "reference's mean (the dashed ring); all radar plots of a protocol share one scale, the band is ±1 "
    "standard deviation within the class, the faint lines are the other classes; an open point lies beyond "
    "the scale."
)
_FEATURE_TEXT = (
    "The numbers that the map knows of each pixel, before they are standardised; one grey "
    "scale each, from its 1st to its 99th percentile on this slice."
)


def teacher_section(protocol: ProtocolData, prefix: str) -> Section:
    """Build everything about a protocol's teacher."""
    teacher = protocol.teacher
    if teacher is None:
        told = "This protocol has no teacher: none of its scans came far enough to fit one."
        return Section(f"{prefix}-teacher", "Teacher", (Notice(told, "bad"),))
    clusters, reference = protocol.rows("clusters"), reference_slices(protocol)
    blocks: tuple[Block, ...] = (
        *([Text(f"Fitted on {teacher.fitted_on}.")] if teacher.fitted_on else []),
        *_reference(protocol, teacher, reference),
        *doubts(teacher, teacher.class_names.values()),
        *drift_notices(protocol.rows("drift")),
        _class_table(teacher, clusters),
        *rule_told(protocol.config),
        *_profiles(teacher, clusters, prefix),
        *_map(teacher, clusters, prefix),
        *_nodes(teacher, clusters, prefix),
        *_areas(protocol, teacher, reference, f"{prefix}-areas"),
    )
    return Section(f"{prefix}-teacher", "Teacher: the self-organizing map", blocks)


def _reference(
    protocol: ProtocolData, teacher: TeacherModel, reference: ReferenceSlices
) -> Iterator[Block]:
    """Show the reference slices beside their class maps, and the features of the first."""
    keys = reference.keys[:MOST_REFERENCES]
    scans = [protocol.cohort.scan(key.subject, key.session) for key in keys]
    pictures = [
        picture
        for key, scan in zip(keys, scans, strict=True)
        if scan is not None
        for picture in reference_pictures(scan, teacher, key, reference.told)
    ]
    if not pictures:
        yield Text("Nothing to show: no slice of this protocol carries a class map yet.")
        return
    yield Gallery(tuple(pictures), "medium")
    seen = [
        row
        for key in keys
        for row in protocol.rows("areas", subject=key.subject, session=key.session, t=key.t)
        if row["z"] == key.z
    ]
    yield shown_legend(teacher, classes_in(seen), has_no_data=has_blank(seen))
    if scans[0] is not None:
        features = tuple(feature_pictures(scans[0], teacher, keys[0]))
        title = f"All {len(features)} features of the reference slice"
        yield Details(title, (Text(_FEATURE_TEXT), Gallery(features, "small")))
    if len(reference.keys) > MOST_REFERENCES:
        count = len(reference.keys)
        yield Text(f"The first {MOST_REFERENCES} of {count} reference slices are pictured.")


def _class_table(teacher: TeacherModel, clusters: Rows) -> Table:
    colours = class_colours(teacher.class_names)
    shares = {r["class_name"]: r["share_fraction"] for r in clusters if r["kind"] == "class"}
    lines = []
    for value, name in sorted(teacher.class_names.items()):
        nodes = np.flatnonzero(teacher.node_classes == value).tolist()
        share, doubt = shares.get(name), teacher.doubtful.get(name)
        nothing = None if nodes else "no node of the map is like this"
        lines.append({
            "class": Cell(name, swatch=colours[value]),
            "nodes": Cell(", ".join(map(str, nodes)) or "none", "" if nodes else "muted"),
            "share": None if share is None else f"{100 * share:.1f}",
            "reason": teacher.reasons.get(name, nothing),
            "doubt": None if doubt is None else Cell(doubt, "warn"),
        })  # fmt: skip
    columns = (
        TableColumn("class", "class"),
        TableColumn("nodes", "nodes", "", "numbers of its nodes, row-major over the map"),
        TableColumn("share", "share", "%", "share of the reference's pixels", True),
        TableColumn("why it is called so", "reason"),
        TableColumn("doubt", "doubt"),
    )
    return table_of("What each class means, and the rule that named it.", lines, columns)


def _profiles(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterator[Block]:
    """Draw one radar per class that covers anything, all on one scale."""
    profiles = [p for p in profiles_of(clusters, teacher, "class") if p.is_known]
    if not profiles:
        yield Text("Nothing to show: the clusters table holds no class profile of this protocol.")
        return
    labels, limit, pictures = short_names(teacher), radar_limit(profiles), []
    for number, profile in enumerate(profiles):
        others = [p for p in profiles if p is not profile]
        markup = radar(profile, others, labels, limit, f"{prefix}-radar{number}")
        name, share = profile.name + doubt_told(teacher, profile.name), 100 * profile.share
        told = f"Class {name}: {share:.1f} % of the reference, {_peaks(profile, labels)}."
        pictures.append(Picture(markup, told))
    yield Text(_PROFILE_TEXT)
    yield Gallery(tuple(pictures), "chart" if len(labels) > CROWDED else "medium")


def _peaks(profile: Profile, labels: list[str]) -> str:
    """Name the two features that set a class apart most."""
    strength = np.nan_to_num(np.abs(profile.mean))
    first = np.argsort(-strength, kind="stable")[:2]
    told = " and ".join(f"{labels[i]} ({signed(profile.mean[i], '+.1f')})" for i in first)
    return f"set apart most by {told}"


def _map(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterator[Block]:
    """Draw the map and tell its size, form, errors and groups."""
    yield Gallery(tuple(map_pictures(teacher, clusters, prefix)), "medium")
    book = teacher.codebook
    yield from order_notices(book)
    rows, columns = book.grid
    told = f"{rows} × {columns} nodes, {book.topology}{', a torus' if book.wraps else ''}."
    if book.quantization_error is not None and book.topographic_error is not None:
        told += (
            f" Quantization error {book.quantization_error:.3f} (mean distance of a pixel to its "
            f"node, in weighted standard deviations), topographic error {book.topographic_error:.3f} "
            "(share of pixels whose two nearest nodes are not neighbours)."
        )
    yield Text(told)
    members: dict[int, set[int]] = {}
    for row in clusters:
        if row["kind"] == "node" and row["group"] is not None:
            members.setdefault(row["group"], set()).add(row["node"])
    groups = [", ".join(str(n) for n in sorted(nodes)) for _, nodes in sorted(members.items())]
    if groups:
        yield Text(
            f"Alike nodes form {len(groups)} groups (Ward), darkest first: {'; '.join(groups)}."
        )


def _nodes(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterator[Block]:
    nodes = profiles_of(clusters, teacher, "node")
    if not nodes:
        yield Text("Nothing to show: the clusters table holds no node.")
    elif len(nodes) > MOST_NODES_DRAWN:
        yield Text(
            "The nodes' profiles stand in the clusters table; they are too many to draw here."
        )
    else:
        heat = node_heatmap(nodes, short_names(teacher), f"{prefix}-heat")
        told = "Profile of every node, sorted by class; orange lies above the reference's mean, purple below."
        yield Details("Profiles of all nodes", (Gallery((Picture(heat, told),), "large"),))


def _areas(
    protocol: ProtocolData, teacher: TeacherModel, reference: ReferenceSlices, name: str
) -> Iterator[Block]:
    for key in reference.keys[:1]:
        rows = protocol.rows("areas", subject=key.subject, session=key.session, t=key.t)
        where = f"subject {key.subject}, session {key.session} (the reference scan)"
        picture = areas_along_z(rows, teacher, where, name)
        if picture is not None:
            yield Gallery((picture,), "chart")
            yield shown_legend(teacher, classes_in(rows))
