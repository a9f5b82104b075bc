"""What earlier runs of the same folder left in it and the manifest no longer names.

Results that nobody stands for any more must not be found beside the others: not as a scan that looks complete, not
as a model, not as a page.
"""

import os
from collections.abc import Collection
from pathlib import Path

from somray.domain.run import RunLayout
from somray.io.models import drop_part
from somray.io.storage import Storage

__all__ = ["remove_all_but", "remove_pages_but", "remove_partial"]

Key = tuple[str, str, str]
_MODELS = {"student": "student", "pretrain": "encoder", "finetune": "segmenter"}
"""Stages that leave a part of a protocol's models beside its teacher; of `finetune` the unit of that name alone."""


def remove_all_but(storage: Storage, made: Collection[Key]) -> None:
    """Remove scans, models and shards that no unit stands for.

    Args:
        storage: the run.
        made: stage, protocol and name of the units whose results are kept; a scan's name is `sub-S_ses-T`.
    """
    scans = {name for stage, _, name in made if stage == "ingest"}
    _remove_but(storage, RunLayout.scans, {RunLayout.group(name) for name in scans})
    _remove_but(storage, RunLayout.under_way, scans)
    teachers = {protocol for stage, protocol, _ in made if stage == "teacher"}
    _remove_but(storage, RunLayout.models, teachers)
    for stage, part in _MODELS.items():
        kept = {p for s, p, name in made if s == stage and (s != "finetune" or name == part)}
        for protocol in teachers - kept:
            drop_part(storage, protocol, part)
    _remove_shards_but(storage, {(p, name) for stage, p, name in made if stage == "shards"})


def _remove_shards_but(storage: Storage, kept: Collection[tuple[str, str]]) -> None:
    """Remove what encoders learned from of all scans but those named, as protocol and `sub-S_ses-T`."""
    protocols = {protocol for protocol, _ in kept}
    _remove_but(storage, RunLayout.pretraining, protocols)
    for protocol in protocols:
        files = {RunLayout.shards(p, scan).rpartition("/")[2] for p, scan in kept if p == protocol}
        _remove_but(storage, RunLayout.protocol_shards(protocol), files)


def remove_pages_but(storage: Storage, pages: Collection[str]) -> None:
    """Remove all pages of the report but those named by their place in the run."""
    folder = RunLayout.report_index.rpartition("/")[0]
    found = [name for name in storage.names(folder) if name.endswith(".html")]
    for name in found:
        if f"{folder}/{name}" not in pages:
            storage.remove(f"{folder}/{name}")


def remove_partial(storage: Storage) -> None:
    """Remove what somebody who was killed had begun to write, ours and zarr's; object stores keep no such thing."""
    if not storage.is_local:
        return
    for folder, _, names in os.walk(storage.root):
        for name in names:
            if name.endswith(".partial"):
                Path(folder, name).unlink(missing_ok=True)


def _remove_but(storage: Storage, folder: str, kept: Collection[str]) -> None:
    for name in storage.names(folder):
        if name not in kept:
            storage.remove(f"{folder}/{name}")
