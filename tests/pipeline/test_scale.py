"""A cohort whose geometry is a thousandth, or a hundredfold, of another's gets the same masks and figures to scale.

The law: nothing but what a person states in mm may depend on the size of a voxel. Materials have no sizes known
beforehand, so that the rules for bodies (organs, uptake) have no part in it.
"""

import numpy as np
import pytest
from scipy import ndimage

import somray
from tests.pipeline.tiny import body, run_tiny, save, write_manifest

RADII = (4.0, 6.0)
SPACING = (0.9, 0.65, 0.65)
XCT = {"modality": "XCT", "segment": "som", "registration": {"pairs": ["sessions"]}}


def specimen(seed, radius):
    """Draw a body with the same structure inside in every session, and a lesion that stands out of it."""
    shape = (24, 48, 48)
    volume = body(shape, seed, 0.0).astype(np.float64)
    grain = ndimage.gaussian_filter(np.random.default_rng(9).normal(size=shape), 3.0)
    volume += np.where(volume > -500, 150 * grain / grain.std(), 0.0)
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    volume[(y - 15) ** 2 + (x - 17) ** 2 + (2 * (z - 5)) ** 2 < radius**2] = 900
    return np.rint(volume).astype(np.int16)


@pytest.fixture(scope="module")
def run_at(tmp_path_factory):
    made = {}

    def run(scale):
        if scale not in made:
            folder = tmp_path_factory.mktemp("scaled")
            spacing = tuple(scale * s for s in SPACING)
            for n, radius in enumerate(RADII):
                save(folder / f"t{n}.nii", specimen(n, radius), spacing)
            save(folder / "truth.nii", (specimen(0, RADII[0]) > 500).astype(np.uint8), spacing)
            rows = [("s", f"t{n}", "x", f"t{n}.nii") for n in (0, 1)]
            write_manifest(folder, rows, {"x": XCT})
            manifest = (folder / "scans.csv").read_text().splitlines()
            ends = (",truth", ",truth.nii", ",")
            joined = [row + end for row, end in zip(manifest, ends, strict=True)]
            (folder / "scans.csv").write_text("\n".join(joined))
            assert run_tiny(folder)["failed"] == 0
            made[scale] = somray.open_run(folder / "run")
        return made[scale]

    return run


@pytest.mark.parametrize("scale", [1e-3, 1e2])
def test_masks_are_the_same_and_figures_to_scale(scale, run_at):
    one, other = run_at(1.0), run_at(scale)
    for session in ("t0", "t1"):
        first, second = one.scan("s", session), other.scan("s", session)
        for label in ("som", "lesions"):
            np.testing.assert_array_equal(first[label].values, second[label].values)
    for table, columns in {
        "lesions": {"volume_mm3": 3, "centroid_x_mm": 1, "centroid_z_mm": 1, "longest_axis_mm": 1},
        "evolution": {"volume_from_mm3": 3, "volume_to_mm3": 3, "displacement_mm": 1},
        "slices": {"target_area_mm2": 2, "target_fraction": 0},
        "truth": {"dice": 0, "hd95_mm": 1, "false_positive_ml": 3},
        "burden": {"volume_mm3": 3, "dmax_mm": 1},
    }.items():
        ours, theirs = one.table(table), other.table(table)
        assert len(ours) == len(theirs) > 0
        for column, power in columns.items():
            expected = ours[column].astype(float) * scale**power
            grain = 1e-3 * scale**power
            np.testing.assert_allclose(
                theirs[column].astype(float), expected, rtol=1e-4, atol=grain
            )
    assert one.table("evolution")["change"].tolist() == other.table("evolution")["change"].tolist()


@pytest.mark.parametrize("scale", [1e-3, 1e2])
def test_sessions_are_registered_alike(scale, run_at):
    ours, theirs = run_at(1.0).table("registration"), run_at(scale).table("registration")
    assert ours["status"].tolist() == theirs["status"].tolist() == ["weak"]  # so small a thing
    first, second = (np.reshape(t["matrix"].iloc[0], (4, 4)) for t in (ours, theirs))
    np.testing.assert_allclose(first[:3, :3], second[:3, :3], atol=1e-3)
    np.testing.assert_allclose(first[:3, 3] * scale, second[:3, 3], atol=0.1 * scale)
