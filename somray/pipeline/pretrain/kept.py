"""What `somray pretrain` did of a folder, as a later run that does not ask for it stands for it."""

from collections.abc import Mapping

from somray.io.ledger import Ledger

__all__ = ["PRETRAINING", "pretrained"]

PRETRAINING = "shards", "pretrain"
"""Stages that serve an encoder alone."""

Key = tuple[str, str, str]


def pretrained(ledger: Ledger, ended: Mapping[Key, bool]) -> dict[Key, bool]:
    """Return the pretraining that still stands: its teacher and all its scans are in the run.

    Args:
        ledger: of the run.
        ended: stage, protocol and name of the run's own units, and whether they were done.
    """
    asked = {protocol for stage, protocol, _ in ended if stage == "pretrain"}
    units = [key for key in ledger.units() if key[0] in PRETRAINING and key[1] not in asked]
    found: dict[Key, bool] = {}
    for protocol in {p for stage, p, _ in units if stage == "pretrain"}:
        mine = [key for key in units if key[1] == protocol]
        scans = [name for stage, _, name in mine if stage == "shards" and name.startswith("sub-")]
        needed = [("teacher", protocol, protocol), *(("ingest", protocol, n) for n in scans)]
        if all(ended.get(key) for key in needed):
            entries = (ledger.read(*key) for key in mine)
            found |= {
                (entry.stage, entry.protocol, entry.name): entry.ok
                for entry in entries
                if entry is not None
            }
    return found
