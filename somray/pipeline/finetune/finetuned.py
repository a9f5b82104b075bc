"""What `somray finetune` did of a finished run, as a later run of the same folder stands for it."""

from collections.abc import Mapping

from somray.io.ledger import Ledger

__all__ = ["FINETUNE", "SEGMENTER", "finetuned"]

FINETUNE = "finetune"
"""Stage of the ledger, and the table; no run has such units of its own."""
SEGMENTER = FINETUNE, "segmenter"
"""Stage and name of the unit that leaves the segmenter."""

Ended = Mapping[tuple[str, str, str], bool]


def finetuned(ledger: Ledger, ended: Ended) -> dict[tuple[str, str, str], bool]:
    """Return the finetuning that still stands: of scans that are all in the run.

    Args:
        ledger: of the run.
        ended: stage, protocol and name of the run's own units, and whether they were done.
    """
    found = {}
    for key in ledger.units():
        entry = ledger.read(*key) if key[0] == FINETUNE else None
        scans = [] if entry is None else entry.value.get("scans", [])
        if scans and all(ended.get(("ingest", key[1], name)) for name in scans):
            found[key] = True
    return found
