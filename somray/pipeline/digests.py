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
from somray.io.readers import split_channel
from somray.io.readers.remote import local_path, remote_signature
from somray.io.storage import is_url
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
    sources = {
        _module_name(file.relative_to(root)): file.read_bytes()
        for room in _ROOMS
        for file in (root / room).rglob("*.py")
    }
    imports = {
        name: sources.keys() & {name.rpartition(".")[0], *imported_names(source.decode())}
        for name, source in sources.items()  # a module's package is run before it
    }
    digests = {}
    for name, stage in STAGES.items():
        due, known = {function.__module__ for function in stage.functions}, set[str]()
        while due:
            known |= due
            due = set().union(*(imports[module] for module in due)) - known
        found = hashlib.sha256(somray.__version__.encode())
        for module in sorted(known):
            found.update(module.encode() + sources[module])
        digests[name] = found.hexdigest()[:32]
    return digests


def _module_name(file: Path) -> str:
    parts = file.with_suffix("").parts
    return ".".join(("somray", *(parts[:-1] if parts[-1] == "__init__" else parts)))


def imported_names(source: str) -> set[str]:
    """List the names of this package that a module's source imports: modules, and what is taken from them."""
    found: set[str] = set()
    for module, names, plain in _IMPORT.findall(source):
        found.add(module or plain)
        found |= {f"{module}.{name}" for name in re.findall(r"\w+", names)}
    return found


def source_signature(path: str | None) -> list[list[object]]:
    """List name, size and modification time of a source's files, or what a server says of a URL; nothing is read."""
    if path is None:
        return []
    place = split_channel(path)[0]
    if is_url(place) and local_path(place) is None:
        return [remote_signature(place)]
    root = Path(local_path(place) or place)
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
    settings: list[object] = [config.modality, config.channels, config.irregular]
    settings += [config.repair_fraction, config.spacing_mm]
    return digest_of(
        "ingest",
        code_digest("ingest"),
        settings,
        [scan.subject, scan.session, scan.days],
        [source_signature(p) for p in scan.paths],
    )
