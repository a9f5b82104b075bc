"""What `somray pretrain` and `somray finetune` did of a folder, as a later run of it stands for that."""

from collections.abc import Mapping

from somray.io.ledger import Ledger

__all__ = ["FINETUNE", "PRETRAINING", "SEGMENTER", "finetuned", "pretrained"]

PRETRAINING = "shards", "pretrain"
"""Stages that serve an encoder alone."""
FINETUNE = "finetune"
"""Stage of the ledger, and the table; no run has such units of its own."""
SEGMENTER = FINETUNE, "segmenter"
"""Stage and name of the unit that leaves the segmenter."""

Key = tuple[str, str, str]
Ended = Mapping[Key, bool]
"""Stage, protocol and name of a run's own units, and whether they were done."""


def pretrained(ledger: Ledger, ended: Ended) -> dict[Key, bool]:
    """Return the pretraining that still stands: its teacher and all its scans are in the run."""
    asked = {protocol for stage, protocol, _ in ended if stage == "pretrain"}
    units = [key for key in ledger.units() if key[0] in PRETRAINING and key[1] not in asked]
    found: dict[Key, bool] = {}
    for protocol in {p for stage, p, _ in units if stage == "pretrain"}:
        mine = [key for key in units if key[1] == protocol]
        scans = [name for stage, _, name in mine if stage == "shards" and name.startswith("sub-")]
        needed = [("teacher", protocol, protocol), *(("ingest", protocol, n) for n in scans)]
        if all(ended.get(key) for key in needed):
            entries = ((key, ledger.read(*key)) for key in mine)
            found |= {key: entry.ok for key, entry in entries if entry is not None}
    return found


def finetuned(ledger: Ledger, ended: Ended) -> dict[Key, bool]:
    """Return the finetuning that still stands: of scans that are all in the run."""
    found = {}
    for key in ledger.units():
        entry = ledger.read(*key) if key[0] == FINETUNE else None
        scans = [] if entry is None else entry.value.get("scans", [])
        if scans and all(ended.get(("ingest", key[1], name)) for name in scans):
            found[key] = True
    return found
