"""The scans of a run that are asked for, and what their masks hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from somray.commands.export.request import LABELS, ExportRequest
from somray.commands.words import asked_protocols, meant
from somray.config import CohortConfig
from somray.domain.brick import Brick
from somray.domain.palette import class_rgba, lesion_rgba
from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import ConfigError, ExportError
from somray.io.cohort.manifest import load_manifest
from somray.io.ome.image import ScanMeta, labels_complete, read_label_brick, read_meta
from somray.io.ome.labels import label_look
from somray.io.run import StoredRun
from somray.io.storage import Storage
from somray.io.writers.voxels import LabelMap, Segment, Voxels

__all__ = ["StoredScan", "chosen_scans", "labels_of", "segments_of", "told", "units_of"]


@dataclass(frozen=True)
class StoredScan:
    """A complete scan of a run.

    Args:
        root: path or URL of the run.
        scan: as the manifest names it; its paths are None where the manifest is gone.
        target: class that is looked for.
        irregular: what its protocol does with uneven slices.
        identity: what the run is told by: lesions of one run keep their UIDs.
    """

    root: str
    scan: Scan
    target: str
    irregular: str
    identity: str

    @property
    def storage(self) -> Storage:
        """Where it lies."""
        return Storage.at(self.root)

    @property
    def name(self) -> str:
        """Its group in the run."""
        return RunLayout.scan(self.scan.subject, self.scan.session)

    @property
    def meta(self) -> ScanMeta:
        """What it says of itself."""
        return read_meta(self.storage, self.name)

    def file(self, label: str, ending: str) -> str:
        """Name the file of one of its masks."""
        return f"sub-{self.scan.subject}_ses-{self.scan.session}_{label}{ending}"


def told(scan: Scan, label: str | None, **what: str) -> dict[str, Any]:
    """Say something of a mask, as `left_out` and `notes` do."""
    return {"subject": scan.subject, "session": scan.session, "label": label, **what}


def chosen_scans(
    run: StoredRun, request: ExportRequest
) -> tuple[list[StoredScan], list[dict[str, Any]]]:
    """Return the scans that are asked for, and why others of them are left out.

    Raises:
        ConfigError: nothing of the run is what was asked for.
    """
    config, info = run.config, run.info
    _check(config, request)
    rows = run.table("scans")
    for asked, column in ((request.subjects, "subject"), (request.sessions, "session")):
        if unknown := sorted(set(asked) - set(rows[column])):
            known = ", ".join(sorted(set(rows[column]))[:20])
            near = meant(unknown[0], set(rows[column]))
            raise ConfigError(f"--{column} {', '.join(unknown)}: the run has {known}{near}")
        if asked:
            rows = rows[rows[column].isin(asked)]
    if request.protocol is not None:
        rows = rows[rows["protocol"] == request.protocol]
    if rows.empty:
        raise ConfigError(
            f"{run.root}: has no scan of that subject, session and protocol together; its table `scans` names all"
        )
    identity, sources = f"{info.get('seed')} {info.get('started')}", _sources(config)
    found: list[StoredScan] = []
    left_out: list[dict[str, Any]] = []
    for row in rows.sort_values(["protocol", "subject", "session"]).itertuples():
        subject, session, protocol = str(row.subject), str(row.session), str(row.protocol)
        bare = Scan(subject, session, protocol, (None,), str(row.path))
        if row.status != "done":
            left_out.append(told(bare, None, reason="the scan was set aside; `failures` says why"))
            continue
        rules = config.protocols[protocol]
        scan = sources.get((subject, session), bare)
        found.append(StoredScan(run.root, scan, rules.teacher.target, rules.irregular, identity))
    return found, left_out


def _check(config: CohortConfig, request: ExportRequest) -> None:
    asked_protocols(config.protocols, request.protocol)
    if unknown := sorted(set(request.labels) - set(LABELS)):
        near = meant(unknown[0], LABELS)
        raise ConfigError(f"--label {', '.join(unknown)}: expected {', '.join(LABELS)}{near}")


def _sources(config: CohortConfig) -> dict[tuple[str, str], Scan]:
    """Read where the sources lie; nothing where the manifest is gone or is no longer right."""
    try:
        scans = load_manifest(Path(config.scans), config)
    except ConfigError:
        return {}
    return {(scan.subject, scan.session): scan for scan in scans}


def units_of(run: StoredRun, protocol: str) -> list[str]:
    """List the units of each channel's values; two where scans of the protocol differ."""
    scans = run.table("scans")
    return sorted({str(unit) for unit in scans["unit"][scans["protocol"] == protocol].dropna()})


def labels_of(stored: StoredScan, label: str) -> LabelMap:
    """Return one mask on the scan's grid in the run.

    Raises:
        ExportError: the run has no such mask, or it is not complete.
        StoreError: it cannot be read.
    """
    storage, name, meta = stored.storage, stored.name, stored.meta
    if not labels_complete(storage, name, label):
        why = " (with `segment: som` there is none)" if label == "student" else ""
        raise ExportError(f"labels/{label} is not there, or not complete; let the run finish{why}")

    def read(box: Brick) -> Any:  # Any: numpy integers
        return read_label_brick(storage, name, label, box)

    values: set[int] = set()
    for brick in meta.bricks():
        values.update(np.unique(read(brick)).tolist())
    segments = segments_of(stored, label, values - {0})
    highest = max((segment.value for segment in segments), default=0)
    kind = "uint8" if highest < 256 else "uint16" if highest < 65536 else "int32"
    return LabelMap(Voxels(meta.geometry, meta.shape[0], kind, read), segments)


def segments_of(stored: StoredScan, label: str, present: Iterable[int]) -> tuple[Segment, ...]:
    """Say what the values of a mask mean, in which colours: those that it names and those that are present."""
    names, colors = label_look(stored.storage, stored.name, label)
    if label == "lesions":
        return tuple(
            Segment(
                value=value,
                name=f"lesion {value}",
                color=colors.get(value, lesion_rgba(value)),
                is_finding=True,
                tracking=f"{stored.identity} {stored.scan.subject} {value}",
            )
            for value in sorted(present)
        )
    return tuple(
        Segment(
            value=value,
            name=names.get(value, f"class {value}"),
            color=colors.get(value) or class_rgba(names.get(value, ""), value),
            is_finding=names.get(value) == stored.target,
        )
        for value in sorted({*present, *names} - {0})
    )
