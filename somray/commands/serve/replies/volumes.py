"""A scan's maps as NIfTI on the grid of its source, with the verdict in the header's words."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.commands.serve.refusal import RefusedError
from somray.commands.serve.replies.reply import GZIP, Reply, headers_of
from somray.domain.brick import Brick
from somray.io.storage import Storage
from somray.io.writers.nifti import write_nifti
from somray.io.writers.voxels import Voxels
from somray.stages.answers.answer import Answer

__all__ = ["MAPS", "nifti_reply", "volumes_of"]

MAPS = ("classes", "target", "confidence")
"""What there is of a scan: class map, target mask (1 inside), confidence in percent."""


def nifti_reply(answer: Answer, what: str, folder: Path) -> Reply:
    """Give one of `MAPS` of a scan; its file is made in a private folder.

    Raises:
        RefusedError: there is no such map.
    """
    if what not in MAPS:
        raise RefusedError(422, "what", f"`what` is {', '.join(MAPS)}")
    headers = {**headers_of(answer), "Content-Disposition": f'attachment; filename="{what}.nii.gz"'}
    return Reply(_nifti(answer, what, folder), GZIP, headers)


def volumes_of(answer: Answer, folder: Path) -> dict[str, bytes]:
    """Return all maps of a scan as files."""
    return {f"{what}.nii.gz": _nifti(answer, what, folder) for what in MAPS}


def _nifti(answer: Answer, what: str, folder: Path) -> bytes:
    maps: dict[str, NDArray[np.uint8]] = {
        "classes": answer.labels,
        "confidence": answer.confidence,
    }
    values = answer.mask if what == "target" else maps[what]

    def read(box: Brick) -> NDArray[Any]:  # Any: any number, says `Voxels`
        return values[(box.t, *box.box)]

    voxels = Voxels(answer.geometry, values.shape[0], "uint8", read)
    storage = Storage.at(folder)
    name = f"reply-{what}.nii.gz"
    write_nifti(storage, name, voxels, is_label=what != "confidence", note=_note(answer))
    found = storage.read_bytes(name)
    storage.remove(name)
    return found


def _note(answer: Answer) -> str:
    """Return what 79 bytes can say: the verdict first."""
    doubts = len(answer.warnings)
    told = f"{answer.verdict}; {doubts} warnings" if doubts else answer.verdict
    return f"somray {answer.method} {told}; not for clinical use"
