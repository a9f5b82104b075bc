"""NIfTI (.nii.gz), written piece by piece.

NIfTI's world is RAS, so x and y change sign. Both forms are set with code 1 (scanner); a grid whose axes are
not perpendicular fits no quaternion, so it has an sform alone, which ITK refuses and nibabel reads. The
bytes depend on the voxels and the grid alone.
"""

from collections.abc import Sequence
from typing import Any

import nibabel as nib
import numpy as np

from somray.domain.geometry import Geometry
from somray.io.storage import Storage
from somray.io.writers.voxels import Segment, Voxels

__all__ = ["is_sheared", "label_text", "write_nifti"]

SCANNER = 1  # code of both forms: the coordinates are the scanner's
MOST_OF_NIFTI1 = 32767  # voxels along an axis, which is a signed short there
SHEAR = 1e-4  # cosine between two axes; ITK's tolerance for a rotation
_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def is_sheared(geometry: Geometry) -> bool:
    """Tell whether two axes of a grid are not perpendicular, as those of a tilted gantry are."""
    axes = geometry.matrix[:3, :3]
    axes = axes / np.linalg.norm(axes, axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() > SHEAR)


def write_nifti(
    storage: Storage, name: str, voxels: Voxels, *, is_label: bool = True, note: str = ""
) -> None:
    """Write `name`, a .nii.gz of labels or measurements; NIfTI-2 where an axis is longer than NIfTI-1 can tell.

    The header holds a note in words (`descrip`), as far as 79 bytes hold it.
    """
    header = _header(voxels, is_label)
    header["descrip"] = note.encode("ascii", "replace")[:79]
    start = header.binaryblock + bytes(4)  # no extensions
    with storage.writing(name) as file:
        voxels.pack(file, start)


def _header(voxels: Voxels, is_label: bool) -> Any:  # Any: nibabel has no types
    depth, rows, columns = voxels.geometry.shape
    shape = (columns, rows, depth, *([voxels.times] if voxels.times > 1 else []))
    is_long = max(shape) > MOST_OF_NIFTI1
    header = nib.Nifti2Header() if is_long else nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.dtype(voxels.dtype).newbyteorder("<"))
    header.set_xyzt_units("mm")  # how far time points are apart is not known here
    if is_label:
        header.set_intent("label")
    header["vox_offset"] = len(header.binaryblock) + 4
    affine = _TO_RAS @ voxels.geometry.matrix
    header.set_zooms((*voxels.geometry.spacing_mm[::-1], 1.0)[: len(shape)])
    header.set_sform(affine, code=SCANNER)
    if not is_sheared(voxels.geometry):
        header.set_qform(affine, code=SCANNER, strip_shears=True)
    return header


def label_text(segments: Sequence[Segment]) -> str:
    """Return an ITK-SNAP label description file: value, colour, opacity, what to show, name."""
    lines = ["# IDX -R- -G- -B- -A- VIS MSH LABEL", '0 0 0 0 0 0 0 "Clear Label"']
    for segment in segments:
        red, green, blue, _ = segment.color
        name = segment.name.replace('"', "'")
        lines.append(f'{segment.value} {red} {green} {blue} 1 1 1 "{name}"')
    return "\n".join(lines) + "\n"
