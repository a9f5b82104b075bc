"""Voxels that are far larger or smaller than those of a protocol's other scans: mostly a unit that is wrong.

Micrometres that are read as mm (a header without a unit, or with a wrong one) change every volume by 10⁹, and nothing
else in a header gives them away. Told, never changed: several magnifications of one specimen are rightly so.
"""

from collections.abc import Mapping

import numpy as np

__all__ = ["odd_sizes"]

FAR = 8.0  # times; scanners' own pixels span less within a protocol, units differ by ten at least
_MOST_NAMED = 5
Sizes = Mapping[str, tuple[float, float, float]]


def odd_sizes(protocols: Mapping[str, Sizes]) -> list[str]:
    """Name scans whose pixels differ from those of most by `FAR` and more.

    Args:
        protocols: of each the scans' names with (z, y, x) in mm.

    Returns:
        One sentence per protocol that has some.
    """
    return [note for name, sizes in protocols.items() if (note := _note(name, sizes))]


def _note(protocol: str, sizes: Sizes) -> str:
    edges = {name: float(np.sqrt(y * x)) for name, (_, y, x) in sizes.items()}  # thickness varies
    usual = float(np.quantile(list(edges.values()), 0.5, method="lower"))
    odd = [name for name, edge in edges.items() if not usual / FAR < edge < usual * FAR]
    if not odd:
        return ""
    named = ", ".join(f"{name} {edges[name]:.3g} mm" for name in odd[:_MOST_NAMED])
    more = f" and {len(odd) - _MOST_NAMED} more" if len(odd) > _MOST_NAMED else ""
    return (
        f"pixels of {protocol} are {usual:.3g} mm wide, those of {named}{more}; correct the header where its unit is "
        "wrong: volumes follow it"
    )
