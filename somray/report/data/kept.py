"""What a subject's page was made of, so that a report that was stopped goes on and only what changed is made again.

A record beside the ledger holds the digest of everything that a page shows: the code, the configuration, models, the
subject's rows of every table, its scans' own metadata. Masks are not read for it: no mask changes without its rows.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import somray
from somray.domain.run import RunLayout
from somray.domain.tables import TABLES
from somray.report.data.run import ReportData, has_subjects

__all__ = ["keep", "kept", "page_digest"]

_DRAWN_BY = ("matplotlib", "numpy", "pandas", "jinja2", "opencv-python-headless")
_SUFFIXES = (".py", ".html", ".css", ".js")


def page_digest(data: ReportData, subject: str, around: str) -> str:
    """Hash all that a subject's page shows; `around` is what else stands on it, such as links to its neighbours."""
    digest = hashlib.sha256()
    for part in _parts(data, subject, around):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _parts(data: ReportData, subject: str, around: str) -> Iterator[str]:
    yield from (_code(), around, data.config_text, str(data.is_unfinished))
    yield str(data.manifest_trouble)
    yield from (str(scan) for scan in data.named_scans(subject))
    scans = data.rows("scans", subject=subject)
    protocols = sorted({str(r["protocol"]) for r in scans})
    yield from (json.dumps(data.run.model_info(p), sort_keys=True) for p in protocols)
    for name in TABLES:
        if name == "clusters":
            frame = data.frame(name)
            frame = frame[frame["protocol"].isin(protocols)]
        elif has_subjects(name):
            frame = data.frame(name, subject=subject)
        else:
            continue
        yield name + str(frame.to_json(orient="split", index=False, double_precision=15))
    for row in scans:
        group = RunLayout.scan(subject, str(row["session"]))
        try:
            yield data.storage.read_text(f"{group}/zarr.json")
        except FileNotFoundError:
            yield ""


@cache
def _code() -> str:
    """Hash the package and name what it draws with."""
    digest = hashlib.sha256()
    for path in sorted(Path(somray.__file__).parent.rglob("*")):
        if path.suffix in _SUFFIXES:
            digest.update(path.read_bytes())
    return digest.hexdigest() + ",".join(metadata.version(name) for name in _DRAWN_BY)


def kept(data: ReportData, subject: str, digest: str) -> dict[str, Any] | None:  # Any: JSON
    """Return what was kept with a subject's page where it stands and nothing it shows has changed."""
    try:
        record = json.loads(data.storage.read_text(RunLayout.report_record(subject)))
    except (FileNotFoundError, ValueError):
        return None
    if record.get("digest") != digest:
        return None
    is_there = data.storage.exists(RunLayout.report_subject(subject))
    return dict(record["value"]) if is_there else None


def keep(data: ReportData, subject: str, digest: str, value: dict[str, Any]) -> None:  # Any: JSON
    """Remember what a page that now stands was made of, and what came of it beside the page."""
    text = json.dumps({"digest": digest, "value": value})
    data.storage.write_text(RunLayout.report_record(subject), text)
