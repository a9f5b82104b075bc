"""Rows about the teacher: what its nodes and classes look like, on the reference and on every other scan."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, column, row

__all__ = ["ClusterRow", "DriftRow", "ProfileRow"]


@row
class ClusterRow(Row):
    """One row per node or class, and feature."""

    table: ClassVar[str] = "clusters"
    sort_by: ClassVar[tuple[str, ...]] = ("kind", "node", "class_name", "channel", "feature")
    kind: str = column("", "node or class")
    node: int | None = column("", "node number, row-major over the grid; null for classes")
    class_name: str = column("", "class (of the node)")
    share_fraction: float = column("1", "share of the reference's pixels")
    channel: str = column("", "channel")
    feature: str = column("", "feature")
    mean: float | None = column("std", "mean over its pixels, standardised on the reference")
    std: float | None = column("std", "standard deviation over its pixels, standardised")
    doubtful: str | None = column(
        "", "why the class must be read with care; null where it need not", default=None
    )
    group: int | None = column(
        "",
        "group of alike nodes (Ward), from 0, darkest first; null for classes, unused nodes",
        default=None,
    )


@row
class ProfileRow(Row):
    """One row per scan, class of labels/som and feature: the class's signature in that session."""

    table: ClassVar[str] = "profiles"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "class_name", "channel", "feature")
    subject: Subject
    session: Session
    class_name: str = column("", "class of labels/som")
    share_fraction: float = column("1", "share of the scan's pixels with data")
    channel: str = column("", "channel")
    feature: str = column("", "feature")
    mean: float | None = column(
        "std", "mean over the class's pixels, standardised on the reference; null without any"
    )
    std: float | None = column("std", "standard deviation over the class's pixels, standardised")


@row
class DriftRow(Row):
    """One row per scan: how well the centroids carry over to it."""

    table: ClassVar[str] = "drift"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session")
    subject: Subject
    session: Session
    status: str = column("", "ok or drifted")
    distance_ratio: float = column(
        "1", "mean distance of a pixel to its nearest node, to that on the reference"
    )
    far_fraction: float = column(
        "1", "share of pixels further from all nodes than 99 % of the reference's"
    )
    channel: str = column("", "channel of the feature that moved most")
    feature: str = column("", "feature that moved most")
    shift: float = column(
        "std", "by how much its mean moved, in the reference's standard deviations"
    )
    sharpness: float | None = column(
        "1", "strength of fine structure against edges, to the reference's; the least channel"
    )
    reason: str | None = column("", "why it counts as drifted; null when ok")
