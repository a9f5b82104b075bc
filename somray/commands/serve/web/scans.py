"""A whole scan over HTTP: by name below an allowed place, or sent; answered while the client waits."""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from somray.commands.serve.bodies.places import AllowedPlaces
from somray.commands.serve.bodies.uploads import store_upload
from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.replies.reply import (
    GZIP,
    JSON,
    NPY,
    ZIP,
    Reply,
    chosen,
    json_reply,
    npy_reply,
    zip_reply,
)
from somray.commands.serve.replies.volumes import MAPS, nifti_reply, volumes_of
from somray.commands.serve.settings import Limits
from somray.commands.serve.web.slices import is_true
from somray.io.ome.image import ScanMeta
from somray.io.readers import Source
from somray.stages.answers.fitted import Fitted
from somray.stages.answers.held import hold
from somray.stages.answers.scans import answer_scan

__all__ = ["OFFERED", "ScanRequest", "scan_reply"]

OFFERED = (JSON, NPY, GZIP, ZIP)


@dataclass(frozen=True)
class ScanRequest:
    """One request: query or a form's fields, the header Accept; by channel its URIs, or the files that were sent."""

    query: Mapping[str, str]
    accept: str | None
    uris: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, BinaryIO] = field(default_factory=dict)


def scan_reply(
    fitted: Fitted,
    request: ScanRequest,
    rules: tuple[Limits, AllowedPlaces],
    threads: int,
    is_wanted: Callable[[], bool],
) -> Reply:
    """Answer about a scan.

    `rules` are what it may ask, and which places it may name; `is_wanted` tells whether somebody still waits.

    Raises:
        RefusedError: the request is wrong.
        DataError: the scan cannot be used.
    """
    format_ = chosen(request.accept, OFFERED)
    what = request.query.get("what", "classes")
    if what not in MAPS:
        raise RefusedError(422, "what", f"`what` is {', '.join(MAPS)}")
    method = fitted.checked_method(request.query.get("method", "som"))
    with _private() as folder:
        paths, check = _sources(fitted, request, rules, folder)
        answer = answer_scan(fitted, hold(fitted, paths, check), method, threads, is_wanted)
        if format_ == JSON:
            return json_reply(answer, whole=True, with_map=is_true(request.query.get("map")))
        if format_ == NPY:
            return npy_reply(answer, whole=True)
        if format_ == GZIP:
            return nifti_reply(answer, what, folder)
        return zip_reply(answer, lambda: volumes_of(answer, folder), whole=True)


@contextmanager
def _private() -> Iterator[Path]:
    """Hold a folder that nobody else reads and that is gone afterwards, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="somray-serve-"))  # mode 700
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sources(
    fitted: Fitted, request: ScanRequest, rules: tuple[Limits, AllowedPlaces], folder: Path
) -> tuple[list[str], Callable[[ScanMeta, Sequence[Source]], None]]:
    """Return one source per channel, and what looks at their headers."""
    limits, allowed = rules
    given = request.files or request.uris
    wanted = fitted.channels
    if set(given) != set(wanted):
        raise RefusedError(
            422, "channels", f"give one file or uri for each channel: {', '.join(wanted)}"
        )
    if request.files:
        allowed = AllowedPlaces((str(folder),))
        paths = [
            str(store_upload(request.files[name], folder, n, limits.unpacked_bytes))
            for n, name in enumerate(wanted)
        ]
    else:
        paths = [allowed.checked(request.uris[name]) for name in wanted]

    def check(meta: ScanMeta, sources: Sequence[Source]) -> None:
        """Refuse what is too large, and headers that point elsewhere."""
        voxels = math.prod(meta.shape)
        own = max(math.prod(source.header.shape) for source in sources)
        if max(voxels, own) > limits.max_voxels:
            raise RefusedError(
                413,
                "too_large",
                f"a scan has at most {limits.max_voxels} voxels in all channels, this one {max(voxels, own)}",
            )
        for source in sources:
            if "://" not in source.path:
                allowed.inside([Path(name).absolute() for name in source.data_files])

    return paths, check
