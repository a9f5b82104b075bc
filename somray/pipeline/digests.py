"""What names a unit's work: inputs, configuration and the code that decides its stage's results."""

import functools
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import somray
from somray.config import ProtocolConfig
from somray.domain.scan import Scan
from somray.domain.work import digest_of
from somray.pipeline.stages import STAGES

__all__ = ["code_digest", "code_digests", "ingest_digest", "source_signature"]

_ROOMS = (
    "domain",
    "kernels",
    "io",
    "stages",
)  # what the configuration decides, digests hold by value
_IMPORT = re.compile(
    r"^[ \t]*(?:from (somray\.[\w.]+) import (\([^)]*\)|.*)|import (somray\.[\w.]+))", re.MULTILINE
)
"""The imports of a module, inside functions too. Parsing them properly takes a second for the whole house;
`tests/pipeline/test_digests.py` holds that both find the same."""


def code_digest(stage: str) -> str:
    """Name the code that decides a stage's results; an edit to any of it makes the stage's units due."""
    return _of_this_house()[stage]


@functools.cache
def _of_this_house() -> Mapping[str, str]:
    return code_digests(Path(somray.__file__).parent)


def code_digests(root: Path) -> dict[str, str]:
    """Hash, per stage, the source of the modules of its functions and of all that these import.

    Args:
        root: the package's folder.
    """
    house = _House(root)
    return {
        name: house.digest_of({function.__module__ for function in stage.functions})
        for name, stage in STAGES.items()
    }


class _House:
    """The modules of a source tree, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, tuple[bytes, frozenset[str]]] = {}

    def digest_of(self, modules: set[str]) -> str:
        """Hash some modules with all that they import."""
        found = hashlib.sha256(somray.__version__.encode())
        for module in sorted(self._closure(modules)):
            found.update(module.encode())
            found.update(self._module(module)[0])
        return found.hexdigest()[:32]

    def _closure(self, modules: set[str]) -> set[str]:
        due, known = set(modules), set[str]()
        while due:
            module = due.pop()
            known.add(module)
            due |= self._module(module)[1] - known
        return known

    def _module(self, name: str) -> tuple[bytes, frozenset[str]]:
        """Return a module's source and what it imports of the rooms that decide results."""
        if name not in self._read:
            file = self._file(name)
            source = b"" if file is None else file.read_bytes()
            wanted = imported_names(source.decode())
            wanted |= {name.rpartition(".")[0]}  # its package is run before it
            found = frozenset(w for w in wanted if self._file(w) is not None)
            self._read[name] = source, found
        return self._read[name]

    def _file(self, name: str) -> Path | None:
        """Return a module's file; None outside the rooms, or where the name is no module."""
        parts = name.split(".")[1:]
        if not parts or parts[0] not in _ROOMS:
            return None
        place = self._root.joinpath(*parts)
        files = (place.with_name(f"{place.name}.py"), place / "__init__.py")
        return next((file for file in files if file.is_file()), None)


def imported_names(source: str) -> set[str]:
    """List the names of this package that a module's source imports: modules, and what is taken from them."""
    found: set[str] = set()
    for module, names, plain in _IMPORT.findall(source):
        found.add(module or plain)
        found |= {f"{module}.{name}" for name in re.findall(r"\w+", names)}
    return found


def source_signature(path: str | None) -> list[list[object]]:
    """List name, size and modification time of a source's files, without reading them."""
    if path is None:
        return []
    root = Path(path)
    files = sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    signature: list[list[object]] = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            signature.append([file.name, "missing"])
        else:
            signature.append([file.name, facts.st_size, facts.st_mtime_ns])
    return signature


def ingest_digest(scan: Scan, config: ProtocolConfig) -> str:
    """Name the ingest of one scan."""
    settings = [config.modality, config.channels, config.irregular, config.repair_fraction]
    return digest_of(
        "ingest",
        code_digest("ingest"),
        settings,
        [scan.subject, scan.session, scan.days],
        [source_signature(p) for p in scan.paths],
    )
