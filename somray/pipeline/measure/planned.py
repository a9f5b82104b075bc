"""What will be measured, decided by names and headers before anything is written."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from somray.domain.run import RunLayout
from somray.domain.scan import Scan
from somray.errors import ConfigError
from somray.io.storage import Storage, is_url
from somray.pipeline.measure.given import GivenFile, Unplaced, given_files
from somray.pipeline.measure.matching import Grids, MatchedMask, match
from somray.pipeline.measure.request import MeasureRequest
from somray.pipeline.measure.source import MeasuredRun

__all__ = ["Measurement", "plan_measure"]

MOST_REASONS = 5
_SUFFIX = "-measured"


@dataclass(frozen=True)
class Measurement:
    """What will be measured, decided before anything is written.

    `storage` is the new run's; every complete scan is matched with its mask or the reason why it has none; `unplaced`
    masks are no scan's.
    """

    request: MeasureRequest
    source: MeasuredRun
    storage: Storage
    matched: Mapping[Scan, MatchedMask]
    unplaced: tuple[Unplaced, ...] = field(default=())

    @property
    def drawn_by(self) -> str:
        """What drew the masks, in words: as given, else the names of what was given."""
        named = (Path(text).expanduser().absolute().name for text in self.request.masks)
        return self.request.source or ", ".join(dict.fromkeys(named))

    @property
    def identity(self) -> dict[str, Any]:  # Any: JSON
        """What another measurement in the same folder must share, or it would take this one's place."""
        labels = self.request.labels
        return {
            "run": self.source.root,
            "masks": [str(Path(text).expanduser().absolute()) for text in self.request.masks],
            "labels": [*labels.numbers, *labels.names],
            "as": "instances" if self.request.instances else "connected parts",
        }

    def told(self) -> dict[str, Any]:  # Any: JSON
        """Say which mask is whose, which scans have none, which masks are no scan's."""
        pairs, left_out = [], []
        for scan, mask in self.matched.items():
            who = {"subject": scan.subject, "session": scan.session}
            if mask.refusal is None:
                pairs.append({**who, "masks": [part.path for part in mask.parts]})
            else:
                code, message = mask.refusal
                left_out.append({**who, "mask": None, "code": code, "message": message})
        left_out += [
            {"subject": None, "session": None, "mask": m.path, "code": m.code, "message": m.message}
            for m in self.unplaced
        ]
        return {"pairs": pairs, "left_out": left_out, "notes": list(self.source.notes)}


def plan_measure(request: MeasureRequest) -> Measurement:
    """Decide whose each mask is, by names and headers; nothing is written.

    Raises:
        ConfigError: the run is not finished, the place of the new one is not free, or no mask fits any scan.
        StoreError: there is no run.
    """
    source = MeasuredRun.open(request.run)
    storage = Storage.at(request.out or f"{source.root}{_SUFFIX}")
    _refuse_place(storage, source, request)
    files, unplaced = given_files(request.masks, source.scans)
    by_scan: dict[Scan, list[GivenFile]] = {}
    for file in files:
        by_scan.setdefault(file.named.scans[0], []).append(file)
    grids = Grids(source.metas)
    matched = {
        scan: match(scan, by_scan.get(scan, ()), request.labels, grids) for scan in source.scans
    }
    plan = Measurement(request, source, storage, matched, tuple(unplaced))
    if all(mask.refusal is not None for mask in matched.values()):
        raise ConfigError(_nothing_fits(plan, files))
    _refuse_another(plan)
    return plan


def _nothing_fits(plan: Measurement, files: Sequence[GivenFile]) -> str:
    """Say why there is nothing to measure: masks that name scans cannot be used, or none names any."""
    root, told = plan.source.root, plan.told()["left_out"]
    named = {file.named.scans[0] for file in files}
    if named:
        wrong = [
            mask.refusal[1] for scan, mask in plan.matched.items() if scan in named and mask.refusal
        ]
        return f"no mask of a scan of {root} can be used:\n{_listed(wrong)}"
    scan = plan.source.scans[0]
    return (
        f"no mask names a scan of {root}; name masks as sub-{scan.subject}_ses-{scan.session}.nii.gz, put them into "
        f"sub-S/ses-T/, or give a table with the columns subject, session, path:\n"
        + _listed(
            [one["message"] for one in told if one["mask"]]
            or ["there is no file that may be a mask"]
        )
    )


def _listed(reasons: Sequence[str]) -> str:
    more = len(reasons) - MOST_REASONS
    lines = [f"  {reason}" for reason in reasons[:MOST_REASONS]]
    return "\n".join(lines + ([f"  … and {more} more"] if more > 0 else []))


def _refuse_place(storage: Storage, source: MeasuredRun, request: MeasureRequest) -> None:
    """Refuse to write over, into or around the run, or around the masks.

    Raises:
        ConfigError: says which.
    """
    out, run = (
        root if is_url(root) else os.path.realpath(root) for root in (storage.root, source.root)
    )
    if out == run or out.startswith(f"{run}/") or run.startswith(f"{out}/"):
        raise ConfigError(
            f"--out {storage.root}: overlaps the run {source.root}; choose a folder beside it"
        )
    for text in request.masks:
        mask = os.path.realpath(Path(text).expanduser())
        if mask == out or mask.startswith(f"{out}/"):
            raise ConfigError(
                f"--out {storage.root}: holds the masks {text}; choose another folder"
            )


def _refuse_another(plan: Measurement) -> None:
    """Refuse a folder that holds something else, another measurement too.

    Raises:
        ConfigError: says what is there.
    """
    if not plan.storage.names(""):
        return
    there = plan.storage.root
    try:
        before = json.loads(plan.storage.read_text(RunLayout.info)).get("measured", {})
    except (FileNotFoundError, ValueError):
        raise ConfigError(f"--out {there}: is not empty; choose another folder") from None
    if not before:
        raise ConfigError(f"--out {there}: holds a run of its own; choose another folder")
    for key, value in plan.identity.items():
        if before.get(key) != value:
            raise ConfigError(
                f"--out {there}: holds another measurement ({key}: {before.get(key)}, now {value}); choose another "
                "folder, or remove that one"
            )
