"""Scans acquired alike to protocols with names that a person understands."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from somray.io.cohort.survey.likeness import is_alike
from somray.io.cohort.survey.naming.ids import safe_id
from somray.io.cohort.survey.scans import Gathered

__all__ = ["Proposed", "propose_protocols"]

APART = 1.5  # ratio of two sizes that a name may tell apart


@dataclass
class Proposed:
    """One protocol.

    Args:
        name: key in the configuration.
        scans: that it holds.
        settings: for the configuration.
        remarks: lines to look at, written beside it as comments.
    """

    name: str
    scans: list[Gathered]
    settings: dict[str, Any]  # Any: YAML
    remarks: list[str] = field(default_factory=list)


def propose_protocols(scans: Sequence[Gathered]) -> list[Proposed]:
    """Group scans that were acquired alike, and name each of them after its protocol, in place."""
    groups: list[list[Gathered]] = []
    for scan in scans:
        home = next((g for g in groups if _are_alike(g[0], scan)), None)
        if home is None:
            groups.append([scan])
        else:
            home.append(scan)
    proposed: list[Proposed] = []
    taken: set[str] = set()
    for group in groups:
        name = _name(group[0], [g[0] for g in groups], taken)
        taken.add(name)
        for scan in group:
            scan.protocol = name
        settings = {"modality": group[0].kind, "channels": group[0].channels}
        proposed.append(Proposed(name, group, settings, _remarks(group)))
    return proposed


def _are_alike(one: Gathered, other: Gathered) -> bool:
    if (one.kind, one.channels) != (other.kind, other.channels):
        return False
    return all(is_alike(a, b) for a, b in zip(one.images, other.images, strict=True))


def _name(scan: Gathered, firsts: Sequence[Gathered], taken: set[str]) -> str:
    """Call a protocol by its modality, and by what sets it apart from the others of that modality."""
    base = "-".join(w for w in (scan.kind.lower(), scan.what.lower()) if w)
    base = safe_id(base, "scan")
    if base not in taken:
        return base
    rivals = [f for f in firsts if f is not scan and (f.kind, f.what) == (scan.kind, scan.what)]
    words = zip(_words(scan), *(_words(rival) for rival in rivals), strict=True)
    for word, *theirs in words:
        if word.text and not any(_is_close(word, other) for other in theirs):
            name = safe_id(f"{base}-{word.text}")
            if name not in taken:
                return name
    number = 2
    while f"{base}-{number}" in taken:
        number += 1
    return f"{base}-{number}"


@dataclass(frozen=True)
class _Word:
    """A word that may set a scan apart, with the number it stands for."""

    text: str
    size: float = 0.0


def _is_close(one: _Word, other: _Word) -> bool:
    if one.size and other.size:
        return 1 / APART < one.size / other.size < APART
    return one.text == other.text


def _words(scan: Gathered) -> list[_Word]:
    """Return what may set a scan apart, best understood first."""
    facts, header = scan.first.facts, scan.first.header
    model, kernel, has_agent, _ = facts.device if facts else ("", "", False, "")
    spacing = header.geometry.spacing_mm
    return [
        _Word(_plain(kernel)),
        _Word("contrast" if has_agent else ""),
        _Word("4d" if header.shape[0] > 1 else "2d" if header.shape[1] == 1 else "3d"),
        _Word(f"{spacing[1]:.2g}mm", spacing[1]),
        _Word(f"{spacing[0]:.2g}mm-slices", spacing[0]),
        _Word(_plain(model)),
        _Word(_plain("-".join(scan.channels))),
    ]


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")


def _remarks(scans: Sequence[Gathered]) -> list[str]:
    """Say what the scans have in common, and what a person has to look at or fill in."""
    subjects = len({scan.subject for scan in scans})
    first = scans[0].first.header
    spacing = " × ".join(f"{v:.3g}" for v in first.geometry.spacing_mm)
    shape = " × ".join(str(n) for n in first.geometry.shape)
    remarks = [
        f"{len(scans)} scan(s) of {subjects} subject(s); the first has {shape} voxels of {spacing} mm (z, y, x)"
    ]
    device = scans[0].first.facts.device if scans[0].first.facts else ("", "", False, "")
    told = [
        f"kernel {device[1]}" if device[1] else "",
        "contrast agent" if device[2] else "",
        device[0],
    ]
    if any(told):
        remarks.append("; ".join(t for t in told if t))
    if any("spacing_assumed" in image.header.repairs for scan in scans for image in scan.images):
        remarks.append("No file names the voxel size. Fill it in, or all figures are in voxels:")
        remarks.append("spacing_mm: [z, y, x]")
    repairs = {code for scan in scans for image in scan.images for code in image.header.repairs}
    if {"resampled_z", "untilted"} & repairs:
        remarks.append("Slices are uneven or tilted; such scans are refused without:")
        remarks.append("irregular: resample")
    if any(image.is_by_values for scan in scans for image in scan.images):
        remarks.append(
            "No header names the modality; values are Hounsfield units, air at -1000: CT."
        )
    if scans[0].kind == "CT":
        remarks.append("Lesions are what is dense. Nodules of the lung: objects: {rule: lung}")
    if scans[0].kind == "other":
        remarks.append(
            "No header names the modality: CT, PET, MR or XCT in the place of `other` if it is one."
        )
    return remarks
