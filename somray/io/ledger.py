"""Which units are done: one small JSON file per unit, named after it, holding its digest and its rows.

The ledger is the truth of a run; tables are derived from it. An entry counts only for the digest it was
written with, so a changed input, configuration or code makes its unit due again.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
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
    """The done units of one run.

    What stands there is listed once per stage and protocol, then kept in mind: a unit that was never done costs no
    look into storage. Threads may use it side by side, each for another unit.
    """

    def __init__(self, storage: Storage) -> None:
        """Bind to a run's storage; nothing is read yet."""
        self._storage = storage
        self._known: dict[str, dict[str, set[str]]] = {}
        self._lock = threading.Lock()

    def _path(self, stage: str, protocol: str, name: str) -> str:
        return f"{RunLayout.ledger(stage, protocol)}/{name}.json"

    def _names(self, folder: str) -> dict[str, set[str]]:
        """Return the names of the units in one folder by what stands before their first "+"; listed once."""
        with self._lock:
            if folder not in self._known:
                found: dict[str, set[str]] = {}
                for file in self._storage.names(folder):
                    if file.endswith(".json"):
                        name = file.removesuffix(".json")
                        found.setdefault(_stem(name), set()).add(name)
                self._known[folder] = found
            return self._known[folder]

    def is_new(self, unit: Unit) -> bool:
        """Whether a unit is known not to stand here, without any look into storage."""
        known = self._known.get(RunLayout.ledger(unit.stage, unit.protocol))
        return known is not None and unit.name not in known.get(_stem(unit.name), ())

    def find(self, unit: Unit) -> Entry | None:
        """Return the entry of a unit, whatever digest it was done with."""
        names = self._names(RunLayout.ledger(unit.stage, unit.protocol))
        if unit.name not in names.get(_stem(unit.name), ()):
            return None
        return self.read(unit.stage, unit.protocol, unit.name)

    def read(self, stage: str, protocol: str, name: str) -> Entry | None:
        """Read one entry, None where there is none that can be read."""
        try:
            return Entry(**json.loads(self._storage.read_text(self._path(stage, protocol, name))))
        except (FileNotFoundError, ValueError, TypeError):
            return None  # absent, or written by another version: the unit is due

    def put(self, entry: Entry) -> None:
        """Mark a unit as done; this is the last thing that happens to it."""
        names = self._names(RunLayout.ledger(entry.stage, entry.protocol))
        path = self._path(entry.stage, entry.protocol, entry.name)
        self._storage.write_text(path, json.dumps(entry.__dict__, sort_keys=True))
        with self._lock:
            names.setdefault(_stem(entry.name), set()).add(entry.name)

    def remove(self, entry: Entry) -> None:
        """Forget a unit."""
        self.drop(entry.stage, entry.protocol, entry.name)

    def drop(self, stage: str, protocol: str, name: str) -> None:
        """Forget a unit by its name."""
        names = self._names(RunLayout.ledger(stage, protocol))
        self._storage.remove(self._path(stage, protocol, name))
        with self._lock:
            names.get(_stem(name), set()).discard(name)

    def family(self, stage: str, protocol: str, family: str) -> list[Entry]:
        """Read the entry of that name and all whose names extend it with "+"."""
        names = sorted(self._names(RunLayout.ledger(stage, protocol)).get(_stem(family), ()))
        mine = (n for n in names if n == family or n.startswith(f"{family}+"))
        return [e for e in (self.read(stage, protocol, n) for n in mine) if e is not None]

    def units(self, protocol: str | None = None) -> list[tuple[str, str, str]]:
        """List stage, protocol and name of every unit, or of one protocol's, sorted."""
        found = []
        for stage in self._storage.names(RunLayout.ledgers):
            for one in self._storage.names(f"{RunLayout.ledgers}/{stage}"):
                if protocol in (None, one):
                    groups = self._names(RunLayout.ledger(stage, one)).values()
                    found += [(stage, one, name) for name in sorted(set().union(*groups))]
        return found

    def entries(self, protocol: str | None = None) -> Iterator[Entry]:
        """Read every entry, or those of one protocol, sorted by stage, protocol and name."""
        for key in self.units(protocol):
            if (entry := self.read(*key)) is not None:
                yield entry


def _stem(name: str) -> str:
    return name.partition("+")[0]
