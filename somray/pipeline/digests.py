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
from somray.io.signatures import source_signature
from somray.pipeline.stages import STAGES

__all__ = ["code_digest", "code_digests", "ingest_digest", "ingest_recipe"]

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


def ingest_recipe(scan: Scan, config: ProtocolConfig) -> str:
    """Name all that decides what ingest makes of a scan's pixels."""
    settings: list[object] = [config.modality, config.channels, config.irregular]
    settings += [config.repair_fraction, config.spacing_mm, config.in_place]
    settings.append(config.modality == "MR" and [window is None for window in config.windows])
    return digest_of("ingest", code_digest("ingest"), settings, [scan.subject, scan.session])


def ingest_digest(scan: Scan, config: ProtocolConfig) -> str:
    """Name the ingest of one scan: its recipe and its files, and where they lie if they may be read there."""
    files = [source_signature(path) for path in scan.paths]
    places = [] if config.in_place == "never" else scan.paths
    return digest_of(ingest_recipe(scan, config), files, *places)
