"""The figures that speak for labelling a scan or a slice, from what was seen of all scans of a protocol."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.errors import ConfigError
from somray.io.cohort.manifest import load_manifest
from somray.io.ledger import Ledger
from somray.io.ome.image import labels_complete
from somray.io.ome.labels import label_look
from somray.io.run import StoredRun
from somray.io.storage import Storage
from somray.stages.proposal.choose import LabelCandidate, rare_shares
from somray.stages.proposal.look import LabelGroups, LookedAt, look_at

__all__ = ["SeenCandidate", "done_scans", "seen_candidates"]

SLICES_OF_SCAN = 16  # whose nodes stand for a scan
SLICES_AMONG = 48  # of a scan that may be proposed


@dataclass(frozen=True)
class SeenCandidate:
    """A candidate and what is known of it.

    Slice and time index are None for a scan; `parts` are figures by name of `request.PARTS`, None where one is not
    known.
    """

    candidate: LabelCandidate
    t: int | None
    z: int | None
    parts: dict[str, float | None]
    has_truth: bool


@dataclass(frozen=True, eq=False)
class _Scan:
    """A scan that was looked at; `ratio` is its drift as the run has it."""

    place: ScanPlace
    look: LookedAt
    has_truth: bool
    ratio: float | None


def done_scans(run: StoredRun, protocol: str) -> dict[ScanPlace, bool]:
    """Return the finished scans of a protocol, in order, and whether each has a truth."""
    table, truths = run.table("scans"), _truths(run)
    own = table[(table["protocol"] == protocol) & (table["status"] == "done")]
    names = sorted(zip(own["subject"].astype(str), own["session"].astype(str), strict=True))
    return {ScanPlace(run.root, *name): name in truths for name in names}


def seen_candidates(run: StoredRun, protocol: str, what: str) -> list[SeenCandidate]:
    """Look at all scans of a protocol, and return the scans or slices that may be proposed."""
    scans = _scans(run, protocol, SLICES_OF_SCAN if what == "scans" else SLICES_AMONG)
    if not scans:
        return []
    # What is rare is so among all scans, labelled ones too.
    norm = np.stack([scan.look.hits.sum(axis=0) for scan in scans])
    if what == "scans":
        rare = rare_shares(norm)
        return [_whole(scan, share) for scan, share in zip(scans, rare, strict=True)]
    return [one for scan in scans for one in _slices(scan, rare_shares(scan.look.hits, norm))]


def _scans(run: StoredRun, protocol: str, most_slices: int) -> list[_Scan]:
    objects, drift, ledger = run.table("objects"), run.table("drift"), Ledger(run.storage)
    target, teacher = run.config.protocols[protocol].teacher.target, run.teacher(protocol)
    found = []
    for place, has_truth in done_scans(run, protocol).items():
        entry = ledger.read("ingest", protocol, f"sub-{place.subject}_ses-{place.session}")
        level = None if entry is None else entry.value.get("uptake_level")
        groups = _groups(place, target, _of(objects, place))
        ratio = _of(drift, place)["distance_ratio"]
        look = look_at(place, groups, teacher, level, most_slices)
        found.append(_Scan(place, look, has_truth, float(ratio.iloc[0]) if len(ratio) else None))
    return found


def _of(table: pd.DataFrame, place: ScanPlace) -> pd.DataFrame:
    return table[(table["subject"] == place.subject) & (table["session"] == place.session)]


def _truths(run: StoredRun) -> set[tuple[str, str]]:
    """Name the scans that have a truth: by the manifest, where it is still there, and by the run's table."""
    table = run.table("truth")
    found = set(zip(table["subject"].astype(str), table["session"].astype(str), strict=True))
    try:
        scans = load_manifest(Path(run.config.scans), run.config)
    except ConfigError:
        return found
    return found | {(scan.subject, scan.session) for scan in scans if scan.truth is not None}


def _groups(place: ScanPlace, target: str, objects: pd.DataFrame) -> LabelGroups:
    """Say which labels a scan has."""
    storage = Storage.at(place.root)

    def value(group: str) -> int | None:
        if not labels_complete(storage, place.name, group):
            return None
        names, _ = label_look(storage, place.name, group)
        return next((number for number, name in names.items() if name == target), None)

    doubted: dict[int, tuple[int, ...]] = {}
    for t, number in objects.loc[objects["called"] == "doubt", ["t", "object_id"]].to_numpy():
        doubted[int(t)] = (*doubted.get(int(t), ()), int(number))
    has_objects = labels_complete(storage, place.name, "objects")
    return LabelGroups(
        value("som"),
        value("student"),
        doubted if has_objects else None,
        labels_complete(storage, place.name, "confidence"),
    )


def _whole(scan: _Scan, rare: float) -> SeenCandidate:
    """Return a scan as a candidate."""
    look = scan.look
    disagreement = None
    if look.either is not None and look.disagree is not None:
        disagreement = int(look.disagree.sum()) / max(int(look.either.sum()), 1)
    doubt = None
    if look.doubted is not None:
        doubt = int(look.doubted.sum()) * look.pixel_mm2 * look.spacing_z_mm
    parts = {
        "disagreement": disagreement,
        "unsure": None if look.unsure is None else float(look.unsure.mean()),
        "drift": scan.ratio,
        "rarity": _known(rare),
        "doubt": doubt,
    }
    return SeenCandidate(
        LabelCandidate(scan.place.subject, scan.place.session), None, None, parts, scan.has_truth
    )


def _slices(scan: _Scan, rare: NDArray[np.float64]) -> list[SeenCandidate]:
    """Return those slices of a scan that were looked at as candidates."""
    look, found = scan.look, []
    for n, (t, z) in enumerate(look.slices):
        parts = {
            "disagreement": _area(look.disagree, (t, z), look.pixel_mm2),
            "unsure": None if look.unsure is None else float(look.unsure[t, z]),
            "drift": _known(look.distance[n]),
            "rarity": _known(rare[n]),
            "doubt": _area(look.doubted, (t, z), look.pixel_mm2),
        }
        candidate = LabelCandidate(scan.place.subject, scan.place.session, z * look.spacing_z_mm)
        found.append(SeenCandidate(candidate, t, z, parts, scan.has_truth))
    return found


def _area(
    counts: NDArray[np.int64] | None, where: tuple[int, int], pixel_mm2: float
) -> float | None:
    return None if counts is None else int(counts[where]) * pixel_mm2


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
