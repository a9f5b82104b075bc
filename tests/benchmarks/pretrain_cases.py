"""Cohorts with truth on which encoders are measured: sarcomas in PET/CT, the weft of a woven composite, and phantoms.

The sarcomas were published cropped about the tumour, so every scan is cut anew, at random, off its centre. The weave
is one specimen of 150³ voxels, cut into 27 blocks that stand for scans; its weft is as bright as its warp, and told
from it by its course alone.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import tifffile
import yaml

from somray.phantom.files.write import write_phantom

__all__ = ["COHORTS", "write_bodies", "write_petct", "write_weave"]

SUBJECTS = ("001", "002", "003", "004", "012", "014", "022", "031")
CUT = 0.8
"""Most that is cut of what lies between a side of the image and the tumour."""
SIDE = 50
WEFT = 2


def write_petct(data: Path, folder: Path) -> Path:
    """Write the eight sarcomas, cut off centre, as a cohort; return its configuration."""
    rng = np.random.default_rng(18)
    rows = []
    for subject in SUBJECTS:
        source = data / "petct_sarcoma_cohort" / f"STS_{subject}"
        if not source.is_dir():
            source = data / f"petct_sarcoma_STS{subject}"
        mask = nib.load(source / "CT_mask.nii.gz")
        drawn = np.asarray(mask.dataobj) > 0
        box = tuple(
            _cut(np.flatnonzero(drawn.any(axis=other)), size, rng)
            for other, size in zip(((1, 2), (0, 2), (0, 1)), drawn.shape, strict=True)
        )
        for name in ("CT_image", "CT_mask"):
            nib.load(source / f"{name}.nii.gz").slicer[box].to_filename(
                folder / f"{subject}_{name}.nii.gz"
            )
        who = f"s{subject},t0,petct"
        rows.append(f"{who},{subject}_CT_image.nii.gz,CT,{subject}_CT_mask.nii.gz")
        rows.append(f"{who},{source / 'PET_image.nii.gz'},PET,")
    protocol = {"modality": "PETCT", "channels": ["CT", "PET"], "registration": {"pairs": []}}
    return _written(folder, "petct", protocol, "subject,session,protocol,path,channel,truth", rows)


def _cut(inside: np.ndarray, size: int, rng: np.random.Generator) -> slice:
    """Choose where an axis begins and ends, so that what is inside stays and its place says nothing."""
    low, high = int(inside[0]), size - 1 - int(inside[-1])
    return slice(int(rng.uniform(0, CUT) * low), size - int(rng.uniform(0, CUT) * high))


def write_weave(data: Path, folder: Path) -> Path:
    """Write the blocks of the weave as a cohort; return its configuration."""
    image = tifffile.imread(data / "xct_materials/weave_150.tif")
    weft = tifffile.imread(data / "xct_materials/weave_150_phase_labels.tif") == WEFT
    rows = []
    for number, corner in enumerate(np.ndindex(3, 3, 3)):
        box = tuple(slice(SIDE * at, SIDE * (at + 1)) for at in corner)
        for name, voxels in (("image", image[box]), ("truth", weft[box].astype(np.uint8))):
            turned = np.transpose(voxels, (2, 1, 0))
            nib.Nifti1Image(turned, np.eye(4)).to_filename(folder / f"{number:02d}_{name}.nii.gz")
        rows.append(f"b{number:02d},t0,weave,{number:02d}_image.nii.gz,{number:02d}_truth.nii.gz")
    protocol = {"modality": "XCT", "registration": {"pairs": []}, "pretrain": {"grid_mm": 1.0}}
    return _written(folder, "weave", protocol, "subject,session,protocol,path,truth", rows)


def write_bodies(data: Path, folder: Path) -> Path:
    """Write eight drawn PET/CT subjects, on which settings are chosen; `data` is not looked at."""
    write_phantom(
        folder,
        subjects=8,
        sessions=1,
        shape=(48, 128, 128),
        modality="petct",
        format="nifti",
        seed=18,
    )
    config = yaml.safe_load((folder / "cohort.yaml").read_text())
    (protocol,) = config["protocols"].values()
    config["protocols"] = {"phantom": {**protocol, "registration": {"pairs": []}}}
    scans = (folder / "scans.csv").read_text()
    (old,) = {line.split(",")[2] for line in scans.splitlines()[1:]}
    (folder / "scans.csv").write_text(scans.replace(old, "phantom"))
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    return folder / "cohort.yaml"


def _written(folder: Path, name: str, protocol: dict, head: str, rows: list[str]) -> Path:
    (folder / "scans.csv").write_text("\n".join([head, *rows]) + "\n")
    config = {"scans": "scans.csv", "output": "run", "protocols": {name: protocol}}
    (folder / "cohort.yaml").write_text(yaml.safe_dump(config))
    return folder / "cohort.yaml"


COHORTS = {"petct": write_petct, "phantom": write_bodies, "weave": write_weave}
