"""Write synthetic volumes and label masks as NIfTI, and the truth about lesions as tables.

NIfTI's world is RAS: the LPS affine is turned, the voxels stay. Files carry no time stamp, so that the
same cohort is the same bytes.
"""

import csv
import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from somray.domain.geometry import Geometry

__all__ = ["lesion_rows", "write_json", "write_nifti", "write_rows"]

LEVEL = 4
GZIP_WINDOW = 31  # zlib's word for the largest window in gzip's frame
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_nifti(
    path: Path,
    volume: NDArray[Any],
    geometry: Geometry,
    stored: Callable[[NDArray[Any]], NDArray[Any]] | None = None,
) -> None:
    """Write a volume (z, y, x) as .nii.gz, slice by slice.

    Args:
        path: ends in .nii.gz; its folder is created.
        volume: int16, uint8, uint16 or float32, or what `stored` makes one of these of.
        geometry: LPS affine of the volume.
        stored: turns each slice into what is written; as it is where None.
    """
    kept = stored or np.asarray
    affine = LPS_TO_RAS @ geometry.matrix
    first = kept(volume[0])
    image = nib.Nifti1Image(np.zeros((1, 1, 1), dtype=first.dtype), affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    header = nib.Nifti1Header.from_fileobj(io.BytesIO(image.to_bytes()))
    header.set_data_shape(volume.shape[::-1])  # (x, y, z), x fastest: the bytes of (z, y, x)
    begin = io.BytesIO()
    header.write_to(begin)
    path.parent.mkdir(parents=True, exist_ok=True)
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP_WINDOW)  # without name and time
    with path.open("wb") as file:
        file.write(packer.compress(begin.getvalue().ljust(int(header["vox_offset"]), b"\0")))
        for plane in volume:
            file.write(packer.compress(np.ascontiguousarray(kept(plane)).tobytes()))
        file.write(packer.flush())


def lesion_rows(mask: NDArray[np.int32], geometry: Geometry) -> list[dict[str, object]]:
    """Measure each lesion of a mask: identity, voxels, volume, centroid in LPS mm, slices."""
    rows: list[dict[str, object]] = []
    for lesion in np.unique(mask[mask > 0]):
        index = np.argwhere(mask == lesion)
        x, y, z = geometry.to_world(index.mean(axis=0)[None])[0]
        rows.append({
            "lesion_id": int(lesion), "voxels": len(index),
            "volume_mm3": round(len(index) * geometry.voxel_mm3, 9),
            "centroid_z_mm": round(float(z), 6), "centroid_y_mm": round(float(y), 6),
            "centroid_x_mm": round(float(x), 6),
            "first_z": int(index[:, 0].min()), "last_z": int(index[:, 0].max()),
        })  # fmt: skip
    return rows


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows as CSV; None becomes an empty cell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
