"""One answer in the format that was asked for, with its verdict in the headers of HTTP too."""

import base64
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from somray.commands.serve.bodies.arrays import npy_bytes
from somray.commands.serve.refusal import RefusedError
from somray.stages.answers.answer import NOT_CLINICAL, Answer

__all__ = [
    "GZIP", "JSON", "NPY", "ZIP", "Reply", "chosen", "headers_of", "json_reply", "maps_of", "npy_reply", "zip_reply",
]  # fmt: skip

JSON, NPY, ZIP, GZIP = (
    "application/json",
    "application/x-npy",
    "application/zip",
    "application/gzip",
)
MOST_WARNING = 900  # characters of a header
_EPOCH = (1980, 1, 1, 0, 0, 0)  # zip has no earlier one; the same answer gives the same bytes


@dataclass(frozen=True)
class Reply:
    """What goes back: bytes, their media type, further headers of HTTP."""

    body: bytes = field(repr=False)
    media: str
    headers: dict[str, str]


def chosen(accept: str | None, offered: Sequence[str]) -> str:
    """Return the format that a client likes best; the first where it does not say.

    Raises:
        RefusedError: it likes none of those that there are.
    """
    liked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accept or "*/*").split(",")):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        weights = [p[2:] for p in parameters if p.startswith("q=")]
        try:
            weight = float(weights[0]) if weights else 1.0
        except ValueError:
            weight = 0.0
        if kind in ("*/*", "application/*"):
            kind = offered[0]
        if kind in offered and weight > 0:
            liked.append((-weight, place, kind))
    if not liked:
        raise RefusedError(406, "accept", f"answers come as {', '.join(offered)}")
    return min(liked)[2]


def headers_of(answer: Answer) -> dict[str, str]:
    """Return what HTTP's headers say of an answer."""
    warnings = answer.warnings
    found = {
        "Somray-Protocol": answer.protocol,
        "Somray-Method": answer.method,
        "Somray-Verdict": answer.verdict,
        "Somray-Warnings": str(len(warnings)),
        "Somray-Target": f"{answer.value} {answer.target}",
        "Somray-Target-Area-Mm2": ",".join(
            f"{s['target_area_mm2']:.6g}" for s in answer.slices[:64]
        ),
        "Somray-Use": NOT_CLINICAL,
    }
    if warnings:
        found["Somray-Warning"] = " | ".join(warnings)[:MOST_WARNING]
    return {key: _plain(text) for key, text in found.items()}


def _plain(text: str) -> str:
    """Return text that a header may hold."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def facts_of(answer: Answer, *, whole: bool) -> dict[str, Any]:  # Any: JSON
    """Return an answer's facts; of a whole scan its volumes too."""
    return {**answer.facts(), **({"volumes_ml": answer.volumes_ml} if whole else {})}


def json_reply(answer: Answer, *, whole: bool, with_map: bool = False) -> Reply:
    """Give figures and verdict; the class map, in base64, where it is asked for."""
    facts = facts_of(answer, whole=whole)
    if with_map:
        map_ = answer.labels if whole else answer.labels[0, 0]
        facts["map_npy"] = base64.b64encode(npy_bytes(map_)).decode("ascii")
    return Reply(json.dumps(facts).encode(), JSON, headers_of(answer))


def npy_reply(answer: Answer, *, whole: bool) -> Reply:
    """Give the class map alone: (y, x) of a slice, (t, z, y, x) of a scan."""
    map_ = answer.labels if whole else answer.labels[0, 0]
    return Reply(npy_bytes(map_), NPY, headers_of(answer))


def zip_reply(answer: Answer, parts: Callable[[], dict[str, bytes]], *, whole: bool) -> Reply:
    """Give all maps and `answer.json` together."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        files = {"answer.json": json.dumps(facts_of(answer, whole=whole)).encode(), **parts()}
        for name, data in files.items():
            is_packed = name.endswith(".gz")
            kind = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
            packed.writestr(zipfile.ZipInfo(name, _EPOCH), data, kind, None if is_packed else 1)
    return Reply(file.getvalue(), ZIP, headers_of(answer))


def maps_of(answer: Answer) -> dict[str, bytes]:
    """Return the maps of a slice as files: classes, target and confidence (y, x)."""
    planes = {"classes": answer.labels, "target": answer.mask, "confidence": answer.confidence}
    return {f"{name}.npy": npy_bytes(plane[0, 0]) for name, plane in planes.items()}
