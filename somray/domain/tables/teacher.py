"""Rows about the teacher: what its nodes and classes look like, on the reference and on every other scan."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import Column, Row, Session, Subject

__all__ = ["ClusterRow", "DriftRow", "ProfileRow"]


@dataclass(frozen=True)
class ClusterRow(Row):
    """One row per node or class, and feature."""

    table: ClassVar[str] = "clusters"
    sort_by: ClassVar[tuple[str, ...]] = ("kind", "node", "class_name", "channel", "feature")
    kind: Annotated[str, Column("", "node or class")]
    node: Annotated[
        int | None, Column("", "node number, row-major over the grid; null for classes")
    ]
    class_name: Annotated[str, Column("", "class (of the node)")]
    share_fraction: Annotated[float, Column("1", "share of the reference's pixels")]
    channel: Annotated[str, Column("", "channel")]
    feature: Annotated[str, Column("", "feature")]
    mean: Annotated[
        float | None, Column("std", "mean over its pixels, standardised on the reference")
    ]
    std: Annotated[float | None, Column("std", "standard deviation over its pixels, standardised")]
    doubtful: Annotated[
        str | None, Column("", "why the class must be read with care; null where it need not")
    ] = None
    group: Annotated[
        int | None,
        Column(
            "", "group of alike nodes (Ward), from 0, darkest first; null for classes, unused nodes"
        ),
    ] = None


@dataclass(frozen=True)
class ProfileRow(Row):
    """One row per scan, class of labels/som and feature: the class's signature in that session."""

    table: ClassVar[str] = "profiles"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "class_name", "channel", "feature")
    subject: Subject
    session: Session
    class_name: Annotated[str, Column("", "class of labels/som")]
    share_fraction: Annotated[float, Column("1", "share of the scan's pixels with data")]
    channel: Annotated[str, Column("", "channel")]
    feature: Annotated[str, Column("", "feature")]
    mean: Annotated[
        float | None,
        Column(
            "std", "mean over the class's pixels, standardised on the reference; null without any"
        ),
    ]
    std: Annotated[
        float | None, Column("std", "standard deviation over the class's pixels, standardised")
    ]


@dataclass(frozen=True)
class DriftRow(Row):
    """One row per scan: how well the centroids carry over to it."""

    table: ClassVar[str] = "drift"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session")
    subject: Subject
    session: Session
    status: Annotated[str, Column("", "ok or drifted")]
    distance_ratio: Annotated[
        float, Column("1", "mean distance of a pixel to its nearest node, to that on the reference")
    ]
    far_fraction: Annotated[
        float, Column("1", "share of pixels further from all nodes than 99 % of the reference's")
    ]
    channel: Annotated[str, Column("", "channel of the feature that moved most")]
    feature: Annotated[str, Column("", "feature that moved most")]
    shift: Annotated[
        float, Column("std", "by how much its mean moved, in the reference's standard deviations")
    ]
    sharpness: Annotated[
        float | None,
        Column(
            "1", "strength of fine structure against edges, to the reference's; the least channel"
        ),
    ]
    reason: Annotated[str | None, Column("", "why it counts as drifted; null when ok")]
