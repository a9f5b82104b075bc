"""What an interrupted unit has finished so far: one small JSON file, written whole after every pair.

It counts only for the digest it was written with. The driver removes it once the unit is in the ledger; until
then a killed unit that starts anew goes on where it was.
"""

import json
from collections.abc import Mapping
from typing import Any

from somray.io.storage import Storage

__all__ = ["PairProgress"]

Record = Mapping[str, Any]  # Any: JSON


class PairProgress:
    """The finished pairs of one unit.

    Args:
        storage: the run.
        name: the file inside the run.
        digest: of the unit; what was written with another one is forgotten.
    """

    def __init__(self, storage: Storage, name: str, digest: str) -> None:
        self._storage, self._name, self._digest = storage, name, digest
        self._records: dict[str, Record] = self._read()

    def _read(self) -> dict[str, Record]:
        try:
            found = json.loads(self._storage.read_text(self._name))
            return dict(found["pairs"]) if found["digest"] == self._digest else {}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}  # absent, or written by another version: nothing is finished

    def find(self, z: int) -> Record | None:
        """Return what was kept of the pair that begins at slice z."""
        return self._records.get(str(z))

    def keep(self, z: int, record: Record) -> Record:
        """Keep a finished pair before the next one begins.

        Returns:
            The record as a later run would read it, so that both go on from the same numbers.

        Raises:
            StoreError: it cannot be written.
        """
        self._records[str(z)] = json.loads(json.dumps(record))
        document = {"digest": self._digest, "pairs": self._records}
        self._storage.write_text(self._name, json.dumps(document))
        return self._records[str(z)]
