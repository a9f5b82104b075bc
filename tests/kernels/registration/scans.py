"""Real scans as plain arrays, for registration tests and benchmarks."""

import nibabel
import numpy as np
import pydicom
import SimpleITK
import tifffile


def nifti(folder, name):
    return nibabel.load(folder / name).get_fdata(dtype=np.float32).T


def three_slices(folder):
    files = [pydicom.dcmread(f) for f in sorted((folder / "ct_3slices" / "dicom").glob("*.dcm"))]
    files.sort(key=lambda f: float(f.ImagePositionPatient[2]))
    return np.stack(
        [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files]
    ).astype(np.float32)


def abdomen(folder):
    return nifti(folder, "ct_abdomen_CRLM1004/ct.nii.gz")


def aorta(folder):
    return nifti(folder, "ct_aorta_dissection/ct.nii.gz")


def sarcoma(folder, subject, channel="CT"):
    return nifti(folder, f"petct_sarcoma_cohort/STS_{subject}/{channel}_image.nii.gz")


def brain(folder):
    file = SimpleITK.ReadImage(str(folder / "mri_brain_tumour" / "brain1_image.nrrd"))
    return SimpleITK.GetArrayFromImage(file).astype(np.float32)


def nodule(folder):
    file = SimpleITK.ReadImage(str(folder / "ct_lung_nodule" / "solid_nodule_crop.mha"))
    return SimpleITK.GetArrayFromImage(file).astype(np.float32)


def fibres(folder):
    return tifffile.imread(folder / "xct_materials" / "fiberform_100.tif").astype(np.float32)


def bone(folder, week):
    return tifffile.imread(folder / "longitudinal_bone_uct_2d" / f"week{week}.tiff")


def lung(folder):
    """Baseline at half resolution and follow-up on the baseline's grid, as (array, SimpleITK image)."""
    names = ("baseline_half_res.mha", "followup_on_baseline_grid.mha")
    files = [SimpleITK.ReadImage(str(folder / "longitudinal_lung_ct" / n)) for n in names]
    return [(SimpleITK.GetArrayFromImage(f).astype(np.float32), f) for f in files]
