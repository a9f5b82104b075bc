"""Pairs of images: a known movement is undone, and only what is seen by both is compared."""

import numpy as np
import pytest

from somray.config import RegistrationConfig
from somray.domain.geometry import Geometry
from somray.io.ome import image as ome_zarr
from somray.io.ome.image import ScanMeta
from somray.io.storage import Storage
from somray.report.data import ScanPixels, pairs
from somray.report.data.pairs import pair_matches, planar_pair, session_pair
from somray.report.figures.registration import pair_gallery
from tests.slabs import write_slab

SHAPE = (9, 12, 14)


def stored(storage: Storage, name: str, volume: np.ndarray, geometry: Geometry) -> ScanPixels:
    meta = ScanMeta((1, 1, *volume.shape), geometry, ("CT",), "HU", "digest")
    ome_zarr.create_scan(storage, name, meta)
    for z0, z1 in meta.slabs:
        write_slab(storage, name, 0, z0, volume[None, z0:z1])
    ome_zarr.finish_scan(storage, name, meta)
    return ScanPixels(storage, name)


def row(**values: object) -> dict:
    empty = {"t": None, "fixed_z": None, "moving_z": None, "matrix": None, "model": "rigid3d"}
    return empty | values


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage.at(tmp_path)


@pytest.fixture
def volume() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 100, SHAPE).astype(np.float32)


def test_a_session_moved_by_whole_voxels_is_brought_back_exactly(storage, volume):
    geometry = Geometry.from_spacing(SHAPE, (3.0, 1.0, 2.0))
    moved = np.roll(volume, (2, 1, -1), axis=(0, 1, 2))  # +6 mm in z, +1 in y, −2 in x
    fixed, moving = (
        stored(storage, n, v, geometry) for n, v in (("fixed", volume), ("moving", moved))
    )
    back = np.eye(4)
    back[:3, 3] = [2.0, -1.0, -6.0]  # moving → fixed, x y z
    pair = session_pair(fixed, moving, row(matrix=back.ravel().tolist()), 4)
    before, after = pair.differences()
    assert after is not None
    assert np.nanmax(after) < 1e-3
    assert np.nanmean(before) > 50
    assert np.isnan(after[-1]).all()  # the last row left the field of view
    assert np.isfinite(after[:-1, 1:]).all()


def test_sessions_on_shifted_grids_meet_by_scanner_coordinates(storage, volume):
    fixed = stored(storage, "fixed", volume, Geometry.from_spacing(SHAPE, (3.0, 1.0, 2.0)))
    place = np.diag([2.0, 1.0, 3.0, 1.0])
    place[2, 3] = 9.0  # this file begins three slices higher
    part = volume[3:]
    moving = stored(storage, "moving", part, Geometry.from_matrix(part.shape, place))
    pair = session_pair(fixed, moving, row(), 5)
    assert pair.after is None
    assert np.nanmax(pair.differences()[0]) < 1e-3
    apart = session_pair(fixed, moving, row(), 1)
    assert np.isnan(apart.before).all()
    refused = row(kind="sessions", fixed_session="a", moving_session="b", reason="too far")
    shown = pair_gallery(apart, fixed, refused, "CT", 64)
    assert not shown.pictures
    assert "nothing in common" in shown.caption


def test_a_slice_pair_is_moved_by_its_matrix_in_pixels(storage, volume):
    volume[5] = np.roll(volume[4], 2, axis=1)  # two columns to the right
    scan = stored(storage, "scan", volume, Geometry.from_spacing(SHAPE, (3.0, 1.0, 2.0)))
    back = [1.0, 0, -2, 0, 1, 0, 0, 0, 1]
    pair = planar_pair(scan, scan, row(t=0, fixed_z=4, moving_z=5, matrix=back, model="similarity"))
    assert pair.after is not None
    np.testing.assert_allclose(pair.after[:, :-2], volume[4][:, :-2], atol=1e-3)
    assert np.isnan(pair.after[:, -2:]).all()
    np.testing.assert_allclose(pair.before, volume[5], atol=1e-3)


@pytest.mark.parametrize("robust", ["ransac", "magsac"])
def test_matches_are_found_again_as_the_run_was_configured(storage, volume, monkeypatch, robust):
    scan = stored(storage, "scan", volume, Geometry.from_spacing(SHAPE, (3.0, 1.0, 2.0)))
    asked = []

    def registered(fixed, moving, detector, model, used, oriented):
        asked.append((detector, model, used, oriented))
        return pairs.SliceRegistration("ok", None, np.eye(3), model, fixed.shape)

    monkeypatch.setattr(pairs, "register", registered)
    settings = RegistrationConfig(detector="sift", model="auto", robust=robust)
    found = pair_matches(scan, scan, row(t=0, fixed_z=4, moving_z=5, status="ok"), settings)
    assert asked == [("sift", "auto", robust, False), ("sift", "similarity", robust, False)]
    assert found.how == f"SIFT + {robust.upper()}, similarity"
    assert found.robust == robust.upper()
