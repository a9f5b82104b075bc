"""Form, direction and porosity of lesions, from stored labels to rows."""

import numpy as np
import pytest

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.io.ome import image as ome_zarr
from somray.io.storage import Storage
from somray.stages.evolution import evolve
from tests.slabs import write_label_slab, write_slab

SHAPE = (40, 20, 24)
GRID = Geometry.from_spacing(SHAPE, (0.5, 0.25, 0.25))
STILL = tuple(np.eye(4).ravel().tolist())


def followed(root, mask, classes, anatomical=False):
    """Store a scan whose map draws a mask as its target, follow it, and return the rows."""
    storage, place = Storage.at(root), ScanPlace(str(root), "s", "t0")
    meta = ome_zarr.ScanMeta((1, 1, *SHAPE), GRID, ("XCT",), "raw", anatomical=anatomical)
    ome_zarr.create_scan(storage, place.name, meta)
    for z0, z1 in meta.slabs:
        image = np.ones((1, z1 - z0, *SHAPE[1:]), np.float32)
        write_slab(storage, place.name, 0, z0, image)
    ome_zarr.finish_scan(storage, place.name, meta)
    ome_zarr.create_labels(storage, place.name, "som", "uint8")
    drawn = np.where(mask, 3, classes).astype(np.uint8)
    for z0, z1 in meta.slabs:
        write_label_slab(storage, place.name, "som", 0, z0, drawn[z0:z1])
    ome_zarr.finish_labels(storage, place.name, "som", {})
    sessions = (evolve.EvolveSession(place, STILL),)
    return evolve.run(evolve.EvolveItem(sessions, "som", 3, 0, LesionConfig())).rows


def rod_and_cube():
    """Draw a rod along z over the border of two slabs, and a cube in a corner."""
    mask = np.zeros(SHAPE, bool)
    mask[26:38, 8:11, 9:12] = True
    mask[:3, :6, :6] = True  # 1.5 mm each way
    return mask


def test_lesions_carry_their_form_and_direction(tmp_path):
    cube, rod = followed(tmp_path, rod_and_cube(), np.full(SHAPE, 2))["lesions"]
    assert rod.ellipsoid_major_mm == pytest.approx(6.0 * np.sqrt(20 / 12))
    assert rod.elongation == pytest.approx(8.0)
    assert rod.flatness == pytest.approx(1.0)
    assert (rod.orientation_x, rod.orientation_y, rod.orientation_z) == (0.0, 0.0, 1.0)
    assert (rod.polar_angle_deg, rod.touches_border) == (0.0, False)
    assert rod.equivalent_diameter_mm == pytest.approx((6 * rod.volume_mm3 / np.pi) ** (1 / 3))
    assert cube.elongation == pytest.approx(1.0)
    assert (cube.orientation_z, cube.polar_angle_deg, cube.touches_border) == (None, None, True)
    assert (cube.mean_thickness_mm, cube.max_thickness_mm) == (None, None)  # not asked for


def test_a_material_has_its_porosity_along_each_axis_of_volume_and_sample(tmp_path):
    mask, classes = rod_and_cube(), np.full(SHAPE, 2)
    classes[:, 15:] = 1  # a quarter is air
    rows = followed(tmp_path, mask, classes)["porosity"]
    assert [sum(r.axis == a for r in rows) for a in "zyx"] == list(SHAPE)
    sample = mask | (classes > 1)
    for n, axis in enumerate("zyx"):
        others = tuple(k for k in range(3) if k != n)
        part = [r for r in rows if r.axis == axis]
        assert [r.lesion_voxels for r in part] == mask.sum(axis=others).tolist()
        assert [r.sample_voxels for r in part] == sample.sum(axis=others).tolist()
        assert [r.fraction for r in part] == pytest.approx(mask.mean(axis=others).tolist())
        assert part[-1].position_mm == pytest.approx((SHAPE[n] - 1) * GRID.spacing_mm[n])
    air = [r for r in rows if r.axis == "y" and r.index >= 15]
    assert {(r.fraction, r.sample_fraction) for r in air} == {(0.0, None)}


def test_a_patient_has_no_porosity_but_form_all_the_same(tmp_path):
    rows = followed(tmp_path, rod_and_cube(), np.full(SHAPE, 2), anatomical=True)
    assert rows["porosity"] == []
    assert rows["lesions"][1].elongation == pytest.approx(8.0)
