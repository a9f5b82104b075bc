"""What finetuning has done of a protocol: entries of the run's ledger, and the table that follows from them."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from somray.io.ledger import Entry, Ledger
from somray.io.run import StoredRun
from somray.io.tables import TableRows, compact
from somray.pipeline.units.kept import FINETUNE

__all__ = ["FinetuneWork"]

Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # Any: JSON


class FinetuneWork:
    """Finetuning of one protocol as it stands in the ledger."""

    def __init__(self, run: StoredRun, protocol: str) -> None:
        self._storage, self.protocol = run.storage, protocol
        self._ledger = Ledger(run.storage)

    def done(self, name: str, digest: str) -> Entry | None:
        """Return what was done of a unit with just this digest; None where it is due."""
        found = self._ledger.read(FINETUNE, self.protocol, name)
        return found if found is not None and found.ok and found.digest == digest else None

    def put(self, name: str, digest: str, scans: Sequence[str], rows: Rows) -> Entry:
        """Mark a unit, of a digest of all that decides it, as done.

        It goes where one of the scans goes that it stands for, by their names.
        """
        entry = Entry(FINETUNE, name, self.protocol, digest, {"scans": sorted(scans)}, rows)
        self._ledger.put(entry)
        return entry

    def finish(self, names: Collection[str]) -> None:
        """Forget all other units, and write the table."""
        rows = TableRows(FINETUNE)
        for stage, protocol, name in list(self._ledger.units()):
            if (stage, protocol) != (FINETUNE, self.protocol):
                continue
            entry = self._ledger.read(stage, protocol, name)
            if name not in names or entry is None:
                self._ledger.drop(stage, protocol, name)
            else:
                rows.add(entry.rows.get(FINETUNE, ()))
        compact(self._storage, self.protocol, rows)
