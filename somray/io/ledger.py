"""Which units are done: one small JSON file per unit, named after it, holding its digest and its rows.

The ledger is the truth of a run; tables are derived from it. An entry counts only for the digest it was
written with, so a changed input, configuration or code makes its unit due again.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from somray.domain.run import RunLayout
from somray.domain.work import Outcome, Result, Unit
from somray.io.storage import Storage
from somray.io.tables import row_to_plain

__all__ = ["Entry", "Ledger", "entry_of"]

PlainRows = Mapping[str, Sequence[Mapping[str, Any]]]  # Any: JSON


@dataclass(frozen=True)
class Entry:
    """How a unit ended, as stored.

    `code` and `message` stand where it could not be done for a reason that lies in the data.
    """

    stage: str
    name: str
    protocol: str
    digest: str
    value: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON
    rows: PlainRows = field(default_factory=dict)
    code: str | None = None
    message: str | None = None
    attempts: int = 1

    @property
    def ok(self) -> bool:
        """Whether the unit was done."""
        return self.code is None

    @property
    def part(self) -> str:
        """Name of its parts of tables."""
        return f"{self.stage}-{self.name}"


def entry_of(unit: Unit, outcome: Outcome, result: Result) -> Entry:
    """Turn an outcome and what it gave, or left behind, into what is stored.

    Raises:
        SchemaError: a row does not fit its table.
    """
    return Entry(
        stage=unit.stage,
        name=unit.name,
        protocol=unit.protocol,
        digest=unit.digest,
        value=dict(result.value),
        rows={table: [row_to_plain(row) for row in rows] for table, rows in result.rows.items()},
        code=outcome.code,
        message=outcome.message,
        attempts=outcome.attempts,
    )


class Ledger:
    """The done units of one run."""

    def __init__(self, storage: Storage) -> None:
        """Bind to a run's storage; nothing is read yet."""
        self._storage = storage

    def _path(self, stage: str, protocol: str, name: str) -> str:
        return f"{RunLayout.ledger(stage, protocol)}/{name}.json"

    def find(self, unit: Unit) -> Entry | None:
        """Return the entry of a unit, whatever digest it was done with."""
        return self._read(self._path(unit.stage, unit.protocol, unit.name))

    def _read(self, path: str) -> Entry | None:
        try:
            return Entry(**json.loads(self._storage.read_text(path)))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # absent, or written by another version: the unit is due

    def put(self, entry: Entry) -> None:
        """Mark a unit as done; this is the last thing that happens to it."""
        path = self._path(entry.stage, entry.protocol, entry.name)
        self._storage.write_text(path, json.dumps(entry.__dict__, sort_keys=True))

    def remove(self, entry: Entry) -> None:
        """Forget a unit."""
        self._storage.remove(self._path(entry.stage, entry.protocol, entry.name))

    def family(self, stage: str, protocol: str, family: str) -> list[Entry]:
        """Read the entry of that name and all whose names extend it with "+"."""
        return self._entries(
            stage, protocol, lambda n: n == f"{family}.json" or n.startswith(f"{family}+")
        )

    def entries(self, protocol: str | None = None) -> list[Entry]:
        """Read every entry, or those of one protocol, sorted by stage, protocol and name."""
        found = []
        for stage in self._storage.names(RunLayout.ledgers):
            for one in self._storage.names(f"{RunLayout.ledgers}/{stage}"):
                if protocol in (None, one):
                    found += self._entries(stage, one)
        return found

    def _entries(
        self, stage: str, protocol: str, wanted: Callable[[str], bool] = lambda name: True
    ) -> list[Entry]:
        folder = RunLayout.ledger(stage, protocol)
        names = (name for name in self._storage.names(folder) if wanted(name))
        return [e for e in (self._read(f"{folder}/{n}") for n in names) if e is not None]
