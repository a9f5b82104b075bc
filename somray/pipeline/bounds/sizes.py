"""Voxels of another size than those of a protocol's other scans, or finer than a patient's: mostly a wrong unit.

Micrometres that are read as mm (a header without a unit, or with a wrong one) change every volume by 10⁹, and nothing
else in a header gives them away. Told, never changed: several magnifications of one specimen are rightly so.
"""

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["fine_pixels", "odd_sizes"]

FAR = 8.0  # times; scanners' own pixels span less within a protocol, units differ by ten at least
FINE_MM = 0.1  # scanners of patients reconstruct pixels of 0.15 mm at the least, for the inner ear
_MOST_NAMED = 5
Sizes = Mapping[str, tuple[float, float, float]]


def odd_sizes(protocols: Mapping[str, Sizes]) -> list[str]:
    """Name scans whose pixels differ from those of most by `FAR` and more: a sentence per protocol that has some."""
    return [note for name, sizes in protocols.items() if (note := _note(name, sizes))]


def fine_pixels(protocols: Mapping[str, Sizes], patients: Mapping[str, str]) -> list[str]:
    """Name scans whose pixels are finer than those of patients, where rules look for patients' lesions.

    `patients` holds the modality of protocols whose objects are found by such a rule; a sentence per protocol.
    """
    notes = []
    for protocol, modality in patients.items():
        edges = _edges(protocols.get(protocol, {}))
        if fine := [name for name, edge in edges.items() if edge < FINE_MM]:
            notes.append(
                f"pixels of {_named(fine, edges)} are finer than a patient's; the rules of {modality} call nothing a "
                "lesion that is smaller than some 4 mm: correct the header where its unit is wrong, or give specimens "
                "modality XCT or other, or `objects: {rule: none}`"
            )
    return notes


def _edges(sizes: Sizes) -> dict[str, float]:
    return {name: float(np.sqrt(y * x)) for name, (_, y, x) in sizes.items()}  # thickness varies


def _named(names: Sequence[str], edges: Mapping[str, float]) -> str:
    named = ", ".join(f"{name} {edges[name]:.3g} mm" for name in names[:_MOST_NAMED])
    return named + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")


def _note(protocol: str, sizes: Sizes) -> str:
    edges = _edges(sizes)
    usual = float(np.quantile(list(edges.values()), 0.5, method="lower"))
    odd = [name for name, edge in edges.items() if not usual / FAR < edge < usual * FAR]
    if not odd:
        return ""
    return (
        f"pixels of {protocol} are {usual:.3g} mm wide, those of {_named(odd, edges)}; correct the header where its "
        "unit is wrong: volumes follow it"
    )
