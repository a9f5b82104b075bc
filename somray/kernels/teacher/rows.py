"""A fitted teacher as rows of the `clusters` table: nodes first, then classes."""

from dataclasses import replace

import numpy as np

from somray.domain.tables import ClusterRow
from somray.domain.teacher import TeacherModel
from somray.kernels.classes.groups import group_nodes
from somray.kernels.classes.profiles import GroupSums, NodeProfile
from somray.kernels.classes.told import sums_by_class

__all__ = ["cluster_rows"]


def cluster_rows(
    model: TeacherModel, groups: GroupSums, told: GroupSums | None = None
) -> tuple[ClusterRow, ...]:
    """Describe every node and every class by its pixels on the reference.

    Args:
        model: the teacher.
        groups: standardised features of the reference added up by nearest node.
        told: the same by nearest node and what CT tells beside PET, where there is such.
    """
    nodes = groups.profile(model.center, model.scale)
    classes = sums_by_class(model, groups, told).profile(model.center, model.scale)
    level = np.nan_to_num(nodes.mean[:, 0])  # the first channel's first feature
    group = group_nodes(model.codebook.weights, groups.counts, level)
    rows: list[ClusterRow] = []
    for node, value in enumerate(model.node_classes):
        named = _rows(model, nodes, node, "node", model.class_names[int(value)])
        number = int(group[node]) if group[node] >= 0 else None
        rows += [replace(row, group=number) for row in named]
    for value, name in sorted(model.class_names.items()):
        rows += _rows(model, classes, value, "class", name)
    return tuple(rows)


def _rows(
    model: TeacherModel, profile: NodeProfile, group: int, kind: str, name: str
) -> list[ClusterRow]:
    """Return one row per feature of a node or class; figures of an empty one are null."""
    pairs = [(c, f) for c in model.channels for f in model.features]
    empty = profile.share[group] == 0
    return [
        ClusterRow(
            kind=kind,
            node=group if kind == "node" else None,
            class_name=name,
            share_fraction=float(profile.share[group]),
            channel=channel,
            feature=feature,
            mean=None if empty else float(profile.mean[group, column]),
            std=None if empty else float(profile.std[group, column]),
            doubtful=model.doubtful.get(name),
        )
        for column, (channel, feature) in enumerate(pairs)
    ]
