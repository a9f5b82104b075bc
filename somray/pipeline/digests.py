"""What names a unit's work: inputs, configuration and code."""

import functools
import hashlib
from pathlib import Path

import somray
from somray.config import ProtocolConfig
from somray.domain.scan import Scan
from somray.domain.work import digest_of

__all__ = ["code_digest", "ingest_digest", "source_signature"]

_ROOMS = ("domain", "kernels", "io", "stages")


@functools.cache
def code_digest() -> str:
    """Hash the source of every module that can change a result; an edit makes its work due again."""
    root = Path(somray.__file__).parent
    found = hashlib.sha256(somray.__version__.encode())
    for room in _ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            found.update(file.relative_to(root).as_posix().encode())
            found.update(file.read_bytes())
    return found.hexdigest()[:32]


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
        code_digest(),
        settings,
        [scan.subject, scan.session, scan.days],
        [source_signature(p) for p in scan.paths],
    )
