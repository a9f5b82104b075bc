"""A small PET/CT run for viewers: two sessions of one patient, the second turned, shifted and registered."""

import nibabel as nib
import numpy as np
from scipy.spatial.transform import Rotation

from somray.domain.palette import lesion_rgba
from somray.domain.run import RunLayout
from somray.domain.tables import AlignmentRow
from somray.io.ome import image as ome
from somray.io.storage import Storage
from somray.io.tables import row_to_plain
from tests.commands.ingested import balls, ingested
from tests.compacted import compact

SHAPE = (20, 18, 12)  # x, y, z
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
LESION = np.array([-12.0, -10.0, 16.0])  # centre in LPS mm of the first session
RADIUS = 5.0


def second_to_first():
    """LPS mm of t1 to LPS mm of t0."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("z", 8, degrees=True).as_matrix()
    matrix[:3, 3] = [6.0, -4.0, 3.0]
    return matrix


def write(path, shape, affine, seed, scale):
    """Write noise as NIfTI; the affine is to LPS, x fastest."""
    image = np.random.default_rng(seed).normal(40, scale, shape).astype(np.float32)
    nib.Nifti1Image(image, TO_LPS @ affine).to_filename(path)


def _nothing(places, t):
    return np.zeros(len(places), int)


def viewed(folder):
    """Make the run; PET covers the lower slices alone, so that the upper ones have no data."""
    rows = []
    for n, session in enumerate(("t0", "t1")):
        affine = np.diag([1.5, 1.5, 3.0, 1.0])
        affine[:3, 3] = [-30.0, -25.0, 0.0]
        write(folder / f"ct{n}.nii.gz", SHAPE, affine, n, 100)
        write(folder / f"pet{n}.nii.gz", (*SHAPE[:2], 8), affine, 9 + n, 2)
        rows += [("s", session, f"ct{n}.nii.gz", "CT"), ("s", session, f"pet{n}.nii.gz", "PET")]
    write(folder / "other.nii.gz", SHAPE, np.diag([1.5, 1.5, 3.0, 1.0]), 5, 100)
    write(folder / "otherpet.nii.gz", SHAPE, np.diag([1.5, 1.5, 3.0, 1.0]), 6, 2)
    rows += [("s2", "t0", "other.nii.gz", "CT"), ("s2", "t0", "otherpet.nii.gz", "PET")]
    run = ingested(folder, rows, _nothing, channels=("CT", "PET"), modality="PETCT")
    storage = Storage.at(run)
    back = np.linalg.inv(second_to_first())
    for session, there in (("t0", np.eye(4)), ("t1", back)):
        centre = (there @ [*LESION, 1.0])[:3]
        _draw(storage, RunLayout.scan("s", session), balls((*centre, RADIUS)))
    aligned = [
        AlignmentRow(
            subject="s", kind="sessions", session=session, t=None, z=None, reference_session="t0",
            reference_z=None, matrix=matrix.ravel().tolist(), status="ok", reason=None,
            cycle_error_mm=None, drift_mm=0.0, walk_mm=None,
        )
        for session, matrix in (("t0", np.eye(4)), ("t1", second_to_first()))
    ]  # fmt: skip
    compact(storage, "alignment", "p", [row_to_plain(row) for row in aligned])
    return run


def _draw(storage, name, draw):
    meta = ome.read_meta(storage, name)
    places = meta.geometry.to_world(np.indices(meta.shape[2:]).reshape(3, -1).T.astype(float))
    drawn = draw(places, 0).reshape(meta.shape[2:])
    for label, value in (("lesions", 7 * drawn), ("student", 3 * drawn), ("som", 2 + drawn)):
        for brick in meta.bricks(0):
            kind = "int32" if label == "lesions" else "uint8"
            ome.write_label_brick(storage, name, label, brick, value[brick.box].astype(kind))
    ome.finish_labels(storage, name, "lesions", {}, {7: lesion_rgba(7)})
