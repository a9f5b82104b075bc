"""Small folders of scans as people have them: NIfTI of a few voxels, DICOM series of a few slices."""

import os

import nibabel as nib
import numpy as np
from pydicom.uid import generate_uid

from somray.io.cohort.discover import propose
from tests.io.dicom_files import make_pet, make_slice, save

SHAPE = (5, 6, 4)  # x, y, z


def nifti(path, kind="image", spacing=1.0, times=0, shift=0.0, shape=SHAPE):
    """Write an image, a mask or a probability map."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    data = {
        "image": lambda: rng.normal(0, 300, (*shape, times) if times else shape).astype(np.int16),
        "mask": lambda: (rng.random(shape) > 0.7).astype(np.uint8),
        "fractions": lambda: rng.random(shape).astype(np.float32),
    }[kind]()
    affine = np.diag([spacing, spacing, 1.0, 1.0])
    affine[:3, 3] = shift
    nib.save(nib.Nifti1Image(data, affine), path)


def series(folder, patient="P^One", day="20200101", count=4, names=None, **changes):
    """Write a DICOM series of a patient whose name and id are `patient`; returns the folder."""
    os.makedirs(folder.parent, exist_ok=True)
    told = {
        "PatientID": patient, "PatientName": patient, "SeriesInstanceUID": generate_uid(),
        "StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid(),
        "StudyDate": day, "AcquisitionDate": day,
    } | changes  # fmt: skip
    make = (lambda z: make_pet(z, **told)) if told.get("Modality") == "PT" else None
    make = make or (lambda z: make_slice((0, 0, z), **told))
    return save(folder, [make(3 * n) for n in range(count)], names)


def seen(root, *columns):
    """Propose a cohort of a folder and return the columns of its rows, paths without the folder, and the notes."""
    found = propose([root])
    rows = [tuple(r[c].replace(f"{root}/", "") for c in columns) for r in found.rows]
    return rows, "\n".join(found.notes).replace(f"{root}/", "")
