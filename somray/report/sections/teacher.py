"""A protocol's teacher on the page: reference slice, what the classes mean, radar plots, nodes, areas."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import TeacherModel
from somray.report.choose import reference_slices
from somray.report.data import ReportData, Rows, SliceKey
from somray.report.drawing.blocks import (
    Block,
    Cell,
    Details,
    Gallery,
    Heading,
    Key,
    KeyEntry,
    Notice,
    Picture,
    Section,
    Table,
    Text,
)
from somray.report.drawing.display import grey, painted
from somray.report.drawing.style import NO_DATA_COLOUR, class_colours
from somray.report.drawing.tiles import TileText, tile
from somray.report.drift import drift_notices
from somray.report.figures.classes import (
    Profile,
    areas_along_z,
    profile_heatmap,
    radar,
    radar_limit,
    short_names,
)
from somray.report.notices import doubts
from somray.report.sections.features import feature_gallery
from somray.report.sections.map import map_pictures
from somray.report.sections.rule import rule_told
from somray.report.sections.slices import windows_of

__all__ = ["areas_picture", "class_key", "profiles_of", "teacher_section"]

MOST_REFERENCES = 3
MOST_NODES_DRAWN = 144
_PROFILE_TEXT = (
    "Profiles are means over a class's pixels on the reference, in standard deviations from the "
    "reference's mean (the dashed ring); all radar plots of a protocol share one scale, the band is ±1 "
    "standard deviation within the class, the faint lines are the other classes."
)


def class_key(teacher: TeacherModel, doubtful: bool = True) -> Key:
    """Tell what the colours of a class map mean; doubtful classes are marked."""
    colours = class_colours(teacher.class_names)
    entries = [
        KeyEntry(name, colours[value], doubtful=doubtful and name in teacher.doubtful)
        for value, name in sorted(teacher.class_names.items())
    ]
    return Key((*entries, KeyEntry("no data", NO_DATA_COLOUR)))


def teacher_section(data: ReportData, protocol: str, prefix: str) -> Section:
    """Build everything about a protocol's teacher."""
    teacher = data.teacher(protocol)
    if teacher is None:
        told = "This protocol has no teacher: none of its scans came far enough to fit one."
        return Section(f"{prefix}-teacher", "Teacher", (Notice(told, "bad"),))
    clusters = data.rows("clusters", protocol=protocol)
    blocks: tuple[Block, ...] = (
        *_fitted_on(teacher),
        *_reference_pictures(data, protocol, teacher),
        *doubts(teacher, teacher.class_names.values()),
        *drift_notices(data.rows("drift", protocol=protocol)),
        _class_table(teacher, clusters),
        *rule_told(data.protocol(protocol)),
        *_profiles(teacher, clusters, prefix),
        *map_pictures(teacher, clusters, prefix),
        *_nodes(teacher, clusters, prefix),
        *_reference_areas(data, protocol, teacher, prefix),
    )
    return Section(f"{prefix}-teacher", "Teacher: the self-organizing map", blocks)


def _fitted_on(teacher: TeacherModel) -> Iterable[Block]:
    if teacher.fitted_on:
        yield Text(f"Fitted on {teacher.fitted_on}.")


def _reference_pictures(data: ReportData, protocol: str, teacher: TeacherModel) -> Iterable[Block]:
    keys, known = reference_slices(data, protocol)
    pictures: list[Picture] = []
    for key in keys[:MOST_REFERENCES]:
        pictures += _reference_pair(data, teacher, key, known)
    if not pictures:
        yield Text("Nothing to show: no slice of this protocol carries a class map yet.")
        return
    yield Gallery(tuple(pictures), "medium")
    yield class_key(teacher)
    yield from feature_gallery(data, teacher, keys[0])
    if len(keys) > MOST_REFERENCES:
        yield Text(f"The first {MOST_REFERENCES} of {len(keys)} reference slices are pictured.")


def _reference_pair(
    data: ReportData, teacher: TeacherModel, key: SliceKey, known: str
) -> list[Picture]:
    """Show a slice's channels beside its class map."""
    scan = data.scan(key.subject, key.session)
    labels = None if scan is None else scan.label("som", key.t, key.z)
    if scan is None or labels is None:
        return []
    frame = scan.frame
    where = f"subject {key.subject}, session {key.session}, slice {key.z}"
    image, pictures = scan.image(key.t, key.z), []
    windows = windows_of(scan, teacher, image[None])
    for number, channel in enumerate(scan.meta.channels):
        window = windows[number][0]
        alt = f"{channel} of {where} in grey values, {window}."
        words = TileText(f"{channel} · z {key.z}", dark=window.inverted)
        markup = tile(grey(image[number], window), frame, alt, words)
        pictures.append(Picture(markup, f"{channel} of {where}: {known}; {window}.", alt))
    colours = class_colours(teacher.class_names)
    shares = ", ".join(
        f"{name} {100 * float(np.mean(labels == value)):.1f} %"
        for value, name in sorted(teacher.class_names.items())
        if (labels == value).any()
    )
    alt = f"Class map of {where}: {shares} of the pixels."
    told = f"Cluster map of the same slice: each pixel in the colour of its class ({shares})."
    markup = tile(painted(labels, colours), frame, alt, TileText("classes"), "classes")
    return [*pictures, Picture(markup, told, alt)]


def _class_table(teacher: TeacherModel, clusters: Rows) -> Table:
    colours = class_colours(teacher.class_names)
    shares = {r["class_name"]: r["share_fraction"] for r in clusters if r["kind"] == "class"}
    heads = (
        Heading("class"), Heading("nodes", "", "numbers of its nodes, row-major over the map"),
        Heading("share", "%", "share of the reference's pixels", True),
        Heading("why it is called so"), Heading("doubt"),
    )  # fmt: skip
    body = []
    for value, name in sorted(teacher.class_names.items()):
        nodes = np.flatnonzero(teacher.node_classes == value)
        share = shares.get(name)
        body.append((
            Cell(name, swatch=colours[value]),
            Cell(", ".join(str(n) for n in nodes) or "none", "" if len(nodes) else "muted"),
            Cell("–" if share is None else f"{100 * share:.1f}"),
            Cell(teacher.reasons.get(name, "–" if len(nodes) else "no node of the map is like this")),
            Cell(teacher.doubtful.get(name, "–"), "warn" if name in teacher.doubtful else "muted"),
        ))  # fmt: skip
    return Table("What each class means, and the rule that named it.", heads, tuple(body), "")


def profiles_of(rows: Rows, teacher: TeacherModel, kind: str) -> list[Profile]:
    """Gather the clusters table's rows of one kind into profiles, in class and node order."""
    order = [(c, f) for c in teacher.channels for f in teacher.features]
    colours = class_colours(teacher.class_names)
    values = {name: value for value, name in teacher.class_names.items()}
    groups: dict[tuple[int, int, str], Rows] = {}
    for row in rows:
        if row["kind"] == kind and row["class_name"] in values:
            key = (values[row["class_name"]], -1 if row["node"] is None else row["node"])
            groups.setdefault((*key, row["class_name"]), []).append(row)
    profiles = []
    for (value, node, class_name), part in sorted(groups.items()):
        found = {(r["channel"], r["feature"]): r for r in part}
        mean, std = (
            np.array([_value(found.get(key), column) for key in order])
            for column in ("mean", "std")
        )
        name = class_name if node < 0 else f"node {node} {class_name}"
        profiles.append(Profile(name, colours[value], mean, std, part[0]["share_fraction"]))
    return profiles


def _value(row: dict[str, float | None] | None, column: str) -> float:
    value = None if row is None else row[column]
    return float("nan") if value is None else float(value)


def _profiles(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterable[Block]:
    """Draw one radar per class that covers anything, all on one scale."""
    profiles = [p for p in profiles_of(clusters, teacher, "class") if np.isfinite(p.mean).any()]
    if not profiles:
        yield Text("Nothing to show: the clusters table holds no class profile of this protocol.")
        return
    labels = short_names([(c, f) for c in teacher.channels for f in teacher.features])
    limit = radar_limit(profiles)
    pictures = []
    for number, profile in enumerate(profiles):
        others = [p for p in profiles if p is not profile]
        markup = radar(profile, others, labels, limit, f"{prefix}-radar{number}")
        doubt = " (doubtful, see above)" if profile.name in teacher.doubtful else ""
        told = f"Class {profile.name}{doubt}: {100 * profile.share:.1f} % of the reference, {_peaks(profile, labels)}."
        pictures.append(Picture(markup, told, f"Radar plot of class {profile.name}."))
    yield Text(_PROFILE_TEXT)
    yield Gallery(tuple(pictures), "medium")


def _peaks(profile: Profile, labels: list[str]) -> str:
    """Name the two features that set a class apart most."""
    strength = np.nan_to_num(np.abs(profile.mean))
    first = np.argsort(-strength, kind="stable")[:2]
    told = " and ".join(f"{labels[i]} ({profile.mean[i]:+.1f})".replace("-", "−") for i in first)
    return f"set apart most by {told}"


def _nodes(teacher: TeacherModel, clusters: Rows, prefix: str) -> Iterable[Block]:
    labels = short_names([(c, f) for c in teacher.channels for f in teacher.features])
    nodes = profiles_of(clusters, teacher, "node")
    if not nodes or len(nodes) > MOST_NODES_DRAWN:
        yield Text("The nodes' profiles stand in the clusters table; they are too many to draw here."
                   if nodes else "Nothing to show: the clusters table holds no node.")  # fmt: skip
        return
    heat = profile_heatmap(nodes, labels, "nodes", f"{prefix}-heat")
    told = "Profile of every node, sorted by class; orange lies above the reference's mean, purple below."
    picture = Picture(heat, told, "Heat map of nodes by features.")
    yield Details("Profiles of all nodes", (Gallery((picture,), "large"),))


def areas_picture(rows: Rows, teacher: TeacherModel, where: str, name: str) -> Picture | None:
    """Draw the share of each class along z for one scan and time point; None without rows."""
    count = max((r["z"] for r in rows), default=-1) + 1
    if count == 0:
        return None
    fractions: dict[str, NDArray[np.float64]] = {}
    for _, class_name in sorted(teacher.class_names.items()):
        part = [r for r in rows if r["class_name"] == class_name]
        if part:
            fractions[class_name] = np.full(count, np.nan)
            fractions[class_name][[r["z"] for r in part]] = [r["fraction"] for r in part]
    colours = {n: c for v, c in class_colours(teacher.class_names).items()
               for n in (teacher.class_names[v],)}  # fmt: skip
    markup = areas_along_z(fractions, colours, name)
    told = f"Share of every slice that each class of the direct transfer covers, {where}."
    return Picture(markup, told, "Stacked areas of classes along z.")


def _reference_areas(
    data: ReportData, protocol: str, teacher: TeacherModel, prefix: str
) -> Iterable[Block]:
    keys, _ = reference_slices(data, protocol)
    if not keys:
        return
    key = keys[0]
    rows = data.rows("areas", protocol=protocol, subject=key.subject, session=key.session, t=key.t)
    where = f"subject {key.subject}, session {key.session} (the reference scan)"
    picture = areas_picture(rows, teacher, where, f"{prefix}-areas")
    if picture is not None:
        yield Gallery((picture,), "chart")
        yield class_key(teacher)
