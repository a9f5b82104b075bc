"""What a node means: background, normal, lesion or boundary, by a rule a person can read and overrule.

PET and PET/CT ask for uptake (`classes_hot`), everything else for the regime that stands out
(`classes_contrast`). The rule sees node profiles only, never where a pixel lies; what PET/CT's nodes
cannot tell is left to CT's own scale when the map is applied (`classes_density`). Class numbers are
fixed: `CLASSES` up to 4, the rules' further classes by `FURTHER`, and names that only a
person gives follow after those in alphabetical order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from somray.domain.teacher import CLASSES, FURTHER
from somray.errors import ShapeError
from somray.kernels.classes.contrast import classify_contrast
from somray.kernels.classes.density import DENSITY_CLASSES, DENSITY_REASONS, density_facts
from somray.kernels.classes.hot import classify_uptake
from somray.kernels.classes.rule import NodeView, RuleOutcome

__all__ = ["ClassNames", "name_nodes", "rule_of"]


@dataclass(frozen=True, eq=False)
class ClassNames:
    """The classes of a codebook's nodes.

    Args:
        node_classes: (k,) uint8 label value of each node.
        names: label value to class name.
        doubtful: class name to why it must be read with care.
        reasons: class name to the rule and the profile that named it.
        facts: which classes CT tells anew, pixel by pixel (`classes_density`).
    """

    node_classes: NDArray[np.uint8]
    names: dict[int, str]
    doubtful: dict[str, str]
    reasons: dict[str, str]
    facts: dict[str, float] = field(default_factory=dict)


def rule_of(view: NodeView) -> RuleOutcome:
    """Ask the rule of the view's modality."""
    return (classify_uptake if "PET" in view.kinds else classify_contrast)(view)


def name_nodes(
    view: NodeView,
    override: Mapping[str, Sequence[int]] | None = None,
    target: str = "lesion",
    carried: ClassNames | None = None,
) -> ClassNames:
    """Name every node by the rule of its modality, then by the person's word.

    Args:
        view: the nodes and what their features mean.
        override: class name to node numbers; beats the rule for those nodes.
        target: class that the student will learn; it must exist in the end.
        carried: classes carried over from an earlier teacher, which take the rule's place.

    Raises:
        ShapeError: a node is out of range or named twice, or the target names no class.
    """
    found = carried or rule_of(view)
    nodes = found.node_classes.copy()
    before = dict(CLASSES) if carried is None else carried.names
    names = before | _further(found.node_classes, override or {}, before)
    doubtful, reasons = dict(found.doubtful), dict(found.reasons)
    _apply(nodes, names, override or {})
    for name, chosen in (override or {}).items():
        reasons[name] = f"named by the configuration: nodes {', '.join(map(str, sorted(chosen)))}"
        doubtful.pop(name, None)
    if target not in names.values():
        known = ", ".join(names.values())
        raise ShapeError(f"target {target!r} is no class of this teacher; classes are {known}")
    for value, name in names.items():
        if not (nodes == value).any():
            doubtful.pop(name, None)
            reasons[name] = "no node of this reference is of this class"
    facts = density_facts(view.kinds, target, override or {})
    if carried is not None:
        facts = {name: fact for name, fact in facts.items() if name in carried.facts}
    if facts:
        names |= DENSITY_CLASSES
        reasons |= {n: words for n, words in DENSITY_REASONS.items() if n not in (override or {})}
    return ClassNames(nodes, names, doubtful, reasons, facts)


def _further(
    found: NDArray[np.uint8], override: Mapping[str, Sequence[int]], names: Mapping[int, str]
) -> dict[int, str]:
    """Number the classes beyond those known: the rule's that occur, then the person's own."""
    taken = set(names.values()) | set(FURTHER)
    own = sorted(name for name in override if name not in taken)
    further = {value: name for name, value in FURTHER.items() if name in override or value in found}
    first = max([*FURTHER.values(), *names]) + 1
    return further | dict(enumerate(own, start=first))


def _apply(
    nodes: NDArray[np.uint8], names: Mapping[int, str], override: Mapping[str, Sequence[int]]
) -> None:
    """Write the person's classes over the rule's."""
    seen: dict[int, str] = {}
    for name, chosen in override.items():
        for node in chosen:
            if not 0 <= node < len(nodes):
                raise ShapeError(
                    f"class {name!r} names node {node}; nodes are 0 to {len(nodes) - 1}"
                )
            if node in seen:
                raise ShapeError(f"node {node} is named both {seen[node]!r} and {name!r}")
            seen[node] = name
            nodes[node] = next(value for value, known in names.items() if known == name)
