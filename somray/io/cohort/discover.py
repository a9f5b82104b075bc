"""Look at folders of scans and propose a manifest and protocols, for `somray init`.

Recognition is the readers'; whose a scan is comes from layouts and names, corrected by headers. Everything is a
proposal: notes say what was left out, what was assumed and what to look at.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from somray.io.cohort.kinship import Kinship
from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.layouts import Numbered, place_all
from somray.io.cohort.survey.look import look_at
from somray.io.cohort.survey.masks import give_masks, part_masks
from somray.io.cohort.survey.naming.converted import one_a_scan
from somray.io.cohort.survey.naming.names import modality_of
from somray.io.cohort.survey.protocols import Proposed, propose_protocols
from somray.io.cohort.survey.scans import Gathered, gather
from somray.io.cohort.survey.structures import give_structures
from somray.io.cohort.survey.subjects import name_subjects

__all__ = ["Proposal", "propose"]

MOST_ABOVE = 5  # names from the shared folder of the paths given down to one of them


@dataclass(frozen=True)
class Proposal:
    """What `propose` found.

    Args:
        rows: of the manifest: subject, session, protocol, channel, path (absolute), days, truth, anatomy.
        protocols: for `protocols:` of the configuration.
        notes: what was left out and why, and what a person should look at.
        remarks: protocol to the lines that explain it.
        left_out: path, code and reason of each source that looked like a scan and is none of the proposal.
    """

    rows: tuple[dict[str, str], ...]
    protocols: dict[str, dict[str, Any]]  # Any: YAML
    notes: tuple[str, ...]
    remarks: dict[str, list[str]] = field(default_factory=dict)
    left_out: tuple[dict[str, str], ...] = ()


def propose(paths: Sequence[Path]) -> Proposal:
    """Look at existing files and folders of scans; no rows where nothing could be read."""
    search = Search()
    found: dict[Path, Found] = {}
    places = sorted({p.absolute() for p in paths})
    for one in look_at(places, search, _shared(places)):
        found.setdefault(one.path, one)
    ones, called = one_a_scan(_once(list(found.values()), search), search)
    numbered = place_all(ones, search, called)
    part_masks(ones, search)
    _leave_out_derived(search, numbered)
    ids = name_subjects(search.images, search.masks, search)
    scans = gather(search.images, ids, numbered, search)
    give_masks(scans, search)
    give_structures(scans, search)
    protocols = propose_protocols(scans)
    _note(scans, protocols, search)
    return Proposal(
        tuple(row for scan in scans for row in _rows(scan)),
        {p.name: p.settings for p in protocols},
        tuple(search.notes),
        {p.name: p.remarks for p in protocols},
        tuple(search.left_out),
    )


def _shared(places: Sequence[Path]) -> Path | None:
    """Return the folder of all places, whose names tell people apart (a shell's `data/*`); None of one, or far ones."""
    shared = Path(os.path.commonpath([place.parent for place in places]))
    depth = max(len(place.relative_to(shared).parts) for place in places)
    return shared if len(places) > 1 and depth <= MOST_ABOVE and shared != shared.parent else None


def _once(found: list[Found], search: Search) -> list[Found]:
    """Leave out links to a source found, copies of a series, and the parts of one that lies in two folders."""
    homes: dict[str, list[Found]] = {}
    for one in found:
        if one.facts:
            homes.setdefault(one.facts.series, []).append(one)
    dropped: set[int] = set()
    places: dict[str, Found] = {}
    for one in sorted(found, key=lambda o: o.path.is_symlink()):
        first = places.setdefault(os.path.realpath(one.path), one)
        if first is not one:
            dropped.add(id(one))
            search.leave_out(one.path, "link", f"is a link to {first.path}, or to the same file")
    for home in homes.values():
        dropped |= _repeats([one for one in home if id(one) not in dropped], search)
    return [one for one in found if id(one) not in dropped]


def _repeats(ones: Sequence[Found], search: Search) -> set[int]:
    """Leave out, of sources of one series, copies and parts; others of its UID are scans of their own."""
    dropped: set[int] = set()
    kinship = Kinship()
    kin = {(i, k): kinship.of(ones[i], ones[k]) for k in range(len(ones)) for i in range(k)}
    for k, one in enumerate(ones):
        first = next((i for i in range(k) if kin[i, k] == "copy"), None)
        if first is not None:
            why = f"a copy of the series in {ones[first].path}"
        elif any(kind == "part" for pair, kind in kin.items() if k in pair):
            why = (
                "holds a part of a series whose other part lies in another folder; put them in one"
            )
        else:
            continue
        dropped.add(id(one))
        search.leave_out(one.path, "repeat", why)
    if len(ones) - len(dropped) > 1:
        search.note(
            f"{ones[0].path} and {len(ones) - len(dropped) - 1} more name one series (SeriesInstanceUID) but hold "
            "other slices; each is a scan of its own"
        )
    return dropped


def _leave_out_derived(search: Search, numbered: Sequence[Numbered]) -> None:
    """Leave out what is made of other scans, and files whose fourth axis is no time."""
    kept = []
    folders = {str(n.folder): n for n in numbered}
    for one in search.images:
        data = folders.get(one.who[1]) if one.who[0] == "numbered" else None
        if data and len(data.channels) == 1 and one.modality == "other":
            one.modality = modality_of(data.channels.values()) or "other"
        if "derivatives" in one.path.relative_to(one.root).parts[:-1]:
            search.leave_out(one.path, "derived", "is derived from another scan (BIDS derivatives)")
        elif data and not data.is_numbered and len(data.channels) > 1 and one.header.shape[0] > 1:
            names = ", ".join(data.channels.values())
            why = f"its fourth axis holds channels ({names}), no times; write each to a file (_0000 …)"
            search.leave_out(one.path, "channels", why)
        else:
            kept.append(one)
    search.images[:] = kept


def _note(scans: Sequence[Gathered], protocols: Sequence[Proposed], search: Search) -> None:
    """Tell what a person should look at in the whole proposal."""
    for image in (image for scan in scans for image in scan.images):
        if "spacing_assumed" in image.header.repairs:
            search.note(
                f"{image.path}: names no voxel size; fill in `spacing_mm`, else 1 mm is assumed"
            )
    homes: dict[str, set[str]] = {}
    for scan in scans:
        homes.setdefault(scan.subject, set()).add(scan.protocol)
    apart = [subject for subject, names in homes.items() if len(names) > 1]
    if apart:
        search.note(
            f"scans of one subject in several protocols are not compared with each other ({', '.join(apart[:5])}"
            f"{' …' if len(apart) > 5 else ''}); give them one protocol if they may be"
        )
    if any(len(p.scans) > 1 for p in protocols):
        search.note(
            "scans that share a protocol were acquired alike by their headers; part those that were not"
        )
    if search.others:
        kinds = ", ".join(f"{ending} {count}" for ending, count in search.others.most_common(8))
        search.note(
            f"{sum(search.others.values())} other files are no scans that somray reads ({kinds})"
        )


def _rows(scan: Gathered) -> list[dict[str, str]]:
    return [
        {
            "subject": scan.subject,
            "session": scan.session,
            "protocol": scan.protocol,
            "channel": channel,
            "path": _kept(image.path),
            "days": "" if scan.days is None else f"{scan.days:g}",
            "truth": str(scan.truth) if scan.truth and image is scan.first else "",
            "anatomy": str(scan.anatomy) if scan.anatomy and image is scan.first else "",
        }
        for channel, image in zip(scan.channels, scan.images, strict=True)
    ]


def _kept(path: Path) -> str:
    """Write a folder whose name ends with a space, which tables do not keep, so that the space is not the last."""
    text = str(path)
    return f"{text}/" if text != text.rstrip() and path.is_dir() else text
