"""Scans as an encoder sees them, and the way back to their own voxels."""

import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.io.ome import metadata as ome_metadata
from somray.kernels.student import window
from somray.stages.pretrain import images as module
from somray.stages.pretrain.images import EncoderView, drawn, scan_images, spread_slices
from tests.stages.stored import store, store_bricks

SLICES = EncoderView(2, (0.8, 0.8), ("CT",), ((-160.0, 240.0),))
COARSE = EncoderView(2, (1.6, 1.6), ("CT",), ((-160.0, 240.0),))
BLOCKS = EncoderView(3, (4.0, 4.0), ("CT",), ((-160.0, 240.0),))


def ramp(shape=(8, 20, 30)):
    """A linear function of place: averaging and interpolating keep it, away from the rim."""
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
    return (4.0 * z + 2.0 * y - x).astype(np.float32)


def test_slices_at_their_own_pixel_size_are_the_scan(tmp_path):
    volume = ramp()
    place = store(tmp_path, volume)
    seen = list(scan_images(place, SLICES, slices=(1, 6)))
    assert [image.where for image in seen] == [
        Brick(0, 1, 2, 0, 20, 0, 30),
        Brick(0, 6, 7, 0, 20, 0, 30),
    ]
    np.testing.assert_array_equal(seen[1].values, volume[6][None])
    assert seen[0].extra is None
    assert seen[0].windows == SLICES.windows


@pytest.mark.parametrize("view", [COARSE, BLOCKS])
def test_what_is_found_on_an_image_comes_back_to_its_own_place(tmp_path, view):
    volume = ramp()
    place = store(tmp_path, volume, Geometry.from_spacing(volume.shape, (2.0, 0.8, 0.8)))
    back = np.full(volume.shape, np.nan, dtype=np.float32)
    for image in scan_images(place, view):
        for box, found, known in drawn(place, image, image.values[0]):
            back[box.box] = found
            assert known.all()
    inner = (slice(2, -2), slice(6, -6), slice(6, -6))
    np.testing.assert_allclose(back[inner], volume[inner], atol=1e-3)


def test_voxels_without_data_stay_empty_and_the_extra_plane_is_a_share(tmp_path):
    volume = ramp()
    volume[:, :4] = np.nan
    place = store(tmp_path, volume)

    def left_half(box):
        return np.broadcast_to(np.arange(box.x0, box.x1) < 15, box.shape).astype(np.float32)

    (image,) = scan_images(place, BLOCKS, left_half)
    assert image.values.shape == (1, 4, 4, 6)
    np.testing.assert_allclose(np.unique(image.extra), [0, 1])
    np.testing.assert_allclose(image.extra.mean(), 0.5)
    for box, found, known in drawn(place, image, np.ones_like(image.extra)):
        np.testing.assert_array_equal(known, np.isfinite(volume[box.box]))
        np.testing.assert_array_equal(found, known.astype(np.float32))


def test_of_large_slices_the_part_that_shows_most_of_the_mask_is_seen_or_every_part(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ome_metadata, "TILE_PIXELS", 32)
    monkeypatch.setattr(ome_metadata, "MAX_SLAB_BYTES", 4 * 32 * 32)
    for place in (module, window):
        monkeypatch.setattr(place, "MOST_PIXELS", 400)
    monkeypatch.setattr(window, "SIDE", 16)
    monkeypatch.setattr(window, "STEP", 8)
    volume = ramp((3, 40, 48))
    place = store_bricks(tmp_path, volume)

    def corner(box):
        y, x = np.mgrid[box.y0 : box.y1, box.x0 : box.x1]
        return np.broadcast_to((y >= 26) & (x >= 40), box.shape).astype(np.float32)

    (best,) = scan_images(place, SLICES, corner, slices=(1,))
    assert best.where == Brick(0, 1, 2, 16, 32, 32, 48)
    np.testing.assert_array_equal(best.values[0], volume[best.where.box][0])
    parts = list(scan_images(place, SLICES, slices=(1,), whole=True))
    assert sum(part.where.voxels for part in parts) == 40 * 48


def test_slices_are_spread_evenly():
    assert spread_slices(100, 4) == (12, 37, 62, 87)
    assert spread_slices(3, 8) == (0, 1, 2)
