"""What is shown of a subject: its scans in the order of their sessions, channels with windows, masks with colours."""

import difflib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from somray.commands.export.request import ExportRequest
from somray.commands.export.scans import StoredScan, chosen_scans, segments_of
from somray.errors import ConfigError, StoreError
from somray.io.ome.labels import label_look, labels_complete
from somray.io.ome.marks import group_attributes
from somray.io.ome.metadata import ScanMeta, level_shapes
from somray.io.run import StoredRun
from somray.io.writers.voxels import Segment

__all__ = ["ShownChannel", "ShownLabel", "ShownScan", "ShownSubject", "shown_subject"]

SHOWN = ("som", "student", "foreign", "lesions")
"""Masks that are shown where they are complete, the one to be seen at once last; `foreign` is a measured run's."""
NAMES_SHOWN = 10
_GREY = "FFFFFF"


@dataclass(frozen=True)
class ShownChannel:
    """A channel: its name and unit, the values (low, high) that are shown, a colour "RRGGBB"."""

    name: str
    unit: str
    low: float
    high: float
    color: str

    @property
    def is_grey(self) -> bool:
        """Whether it is drawn from black to white, as anatomy is."""
        return self.color == _GREY


@dataclass(frozen=True)
class ShownLabel:
    """A mask and what its values mean; `is_first` where it is the one to be seen at once."""

    name: str
    segments: tuple[Segment, ...]
    is_first: bool = False


@dataclass(frozen=True)
class ShownScan:
    """One session.

    Args:
        stored: where it lies.
        meta: what it says of itself.
        channels: of the image.
        labels: those that are complete.
        to_first: (4, 4) LPS mm to LPS mm of the subject's first session; None where nothing leads there.
    """

    stored: StoredScan
    meta: ScanMeta
    channels: tuple[ShownChannel, ...]
    labels: tuple[ShownLabel, ...]
    to_first: NDArray[np.float64] | None

    @property
    def session(self) -> str:
        """Its session."""
        return self.stored.scan.session

    @property
    def levels(self) -> int:
        """Levels of its pyramid."""
        return len(level_shapes(*self.meta.shape[3:]))


@dataclass(frozen=True)
class ShownSubject:
    """What is shown of a subject, and what is to be said of it."""

    subject: str
    scans: tuple[ShownScan, ...]
    notes: tuple[str, ...]


def shown_subject(run: StoredRun, subject: str, session: str | None) -> ShownSubject:
    """Gather what is shown of a subject: one session, or all in the order of their days.

    Raises:
        ConfigError: the run has no such subject or session, or no complete scan of it.
        StoreError: the run cannot be read.
    """
    rows = run.table("scans")
    _known("subject", subject, rows["subject"])
    rows = rows[rows["subject"] == subject]
    if session is not None:
        _known(f"session of {subject}", session, rows["session"])
    asked = ExportRequest("", "", subjects=(subject,), sessions=(session,) if session else ())
    found, left_out = chosen_scans(run, asked)
    notes = [f"left out {one['session']}: {one['reason']}" for one in left_out]
    if not found:
        raise ConfigError(f"{subject}: no scan to show; {'; '.join(notes)}")
    days = dict(zip(rows["session"], rows["days"], strict=True))
    found.sort(key=lambda one: (*_day(days[one.scan.session]), one.scan.session))
    lesions, aligned = run.table("lesions"), _aligned(run.table("alignment"), subject)
    first = aligned.get(found[0].scan.session, (found[0].scan.session, None))[0]
    scans: list[ShownScan] = []
    for stored in found:
        name = stored.scan.session
        reference, matrix = aligned.get(name, (name, None))
        is_placed = matrix is not None and reference == first and len(found) > 1
        scan = _shown(stored, lesions)
        if not is_placed and scans:
            notes.append(f"{name} was not registered to {first}: it lies as its scanner placed it")
        scans.append(replace(scan, to_first=matrix if is_placed else None))
    return ShownSubject(subject, tuple(scans), tuple(notes))


def _known(what: str, name: str, known: "pd.Series[str]") -> None:
    names = sorted(set(known))
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        raise ConfigError(f"no {what} {name!r}: did you mean {' or '.join(near)}?")
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    there = f"{', '.join(names[:NAMES_SHOWN])}{more}" or "none yet; let the run go on"
    raise ConfigError(f"no {what} {name!r}: there is {there}")


def _day(days: float | None) -> tuple[bool, float]:
    """Sort what has no day last."""
    return (True, 0.0) if days is None or pd.isna(days) else (False, float(days))


def _aligned(rows: pd.DataFrame, subject: str) -> dict[str, tuple[str, NDArray[np.float64] | None]]:
    """Give each session the one that it was brought to, and the way there."""
    chosen = rows[(rows["subject"] == subject) & (rows["kind"] == "sessions")]
    return {
        str(row.session): (
            str(row.reference_session),
            None if row.matrix is None else np.asarray(row.matrix, dtype=np.float64).reshape(4, 4),
        )
        for row in chosen.itertuples()
    }


def _shown(stored: StoredScan, lesions: pd.DataFrame) -> ShownScan:
    scan, meta = stored.scan, stored.meta
    here = (lesions["subject"] == scan.subject) & (lesions["session"] == scan.session)
    drawn = label_look(stored.storage, stored.name, "lesions")[1]
    ids = {int(n) for n in lesions["lesion_id"][here]} | set(drawn)
    there = [name for name in SHOWN if labels_complete(stored.storage, stored.name, name)]
    first = next((name for name in reversed(SHOWN) if name in there), "")
    labels = tuple(
        ShownLabel(name, segments_of(stored, name, ids if name == "lesions" else ()), name == first)
        for name in there
    )
    return ShownScan(stored, meta, _channels(stored, meta), labels, None)


def _channels(stored: StoredScan, meta: ScanMeta) -> tuple[ShownChannel, ...]:
    attributes = group_attributes(stored.storage, stored.name) or {}
    told = attributes.get("ome", {}).get("omero", {}).get("channels", [])
    if len(told) != len(meta.channels):
        raise StoreError(f"{stored.storage.uri(stored.name)}: does not say how it is shown")
    units = [*meta.unit.split(","), *[""] * len(told)]
    return tuple(
        ShownChannel(name, unit, float(one["window"]["start"]), float(one["window"]["end"]), str(one["color"]))
        for name, unit, one in zip(meta.channels, units, told, strict=False)
    )  # fmt: skip
