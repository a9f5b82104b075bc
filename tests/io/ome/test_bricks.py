"""Slices that no task could hold are cut into tiles; the arrays are those of whole slices."""

from dataclasses import replace

import numpy as np
import pytest
import zarr

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.errors import ShapeError
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage

NAME = "scans/sub-a_ses-1"
SHAPE = (2, 2, 5, 150, 601)


def meta_of(shape=SHAPE):
    geometry = Geometry.from_spacing(shape[2:], (3.0, 1.0, 1.0))
    channels = ("CT", "PET")[: shape[1]]
    return ome_zarr.ScanMeta(shape, geometry, channels, "HU,SUVbw"[: 3 * shape[1] ** 2])


@pytest.fixture
def small_tiles(monkeypatch):
    """Tiles of 64 × 64 with both channels, two slices deep."""
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 2 * 64 * 64 * 4)


def write(storage, meta, image):
    ome_zarr.create_scan(storage, NAME, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(storage, NAME, brick, image[(brick.t, slice(None), *brick.box)])
    ome_zarr.finish_scan(storage, NAME, meta)


def test_slices_that_fit_a_task_are_never_cut():
    for shape in [(1, 4096, 4096), (2, 512, 512), (1, 2500, 30)]:
        assert not metadata.is_cut(shape)
        assert metadata.tile_shape(shape) == shape[1:]
    assert [b.shape for b in metadata.bricks((1, 1, 40, 512, 512))] == [
        (32, 512, 512), (8, 512, 512),
    ]  # fmt: skip


def test_larger_slices_are_cut_into_tiles_of_a_bounded_size():
    for shape in [(1, 4097, 4097), (3, 65536, 65536), (1, 100, 10**7)]:
        depth, tile = metadata.slab_depth(shape), metadata.tile_shape(shape)
        assert metadata.is_cut(shape)
        assert shape[0] * depth * tile[0] * tile[1] * 4 <= 64 * 2**20


def test_bricks_hold_every_voxel_once(small_tiles):
    seen = np.zeros((2, 5, 150, 601), dtype=int)
    bricks = metadata.bricks(SHAPE)
    for brick in bricks:
        seen[(brick.t, *brick.box)] += 1
        assert brick.voxels == np.prod(brick.shape)
    assert (seen == 1).all()
    assert bricks == sorted(bricks)


def test_arrays_written_in_tiles_are_those_of_whole_slices(tmp_path, monkeypatch):
    image = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    image[..., :9, :70] = np.nan
    labels = np.random.default_rng(1).integers(0, 9, SHAPE[:1] + SHAPE[2:]).astype(np.int32)
    found = []
    for tiles in (False, True):
        if tiles:
            monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
            monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 2 * 64 * 64 * 4)
        storage, meta = Storage.at(tmp_path / str(tiles)), meta_of()
        write(storage, meta, image)
        ome_zarr.create_labels(storage, NAME, "som", "int32")
        for brick in meta.bricks():
            block = labels[(brick.t, *brick.box)]
            ome_zarr.write_label_brick(storage, NAME, "som", brick, block)
        group = zarr.open_group(store=storage.zarr(NAME), mode="r")
        levels = ["0", "1", "2", "labels/som/0", "labels/som/1", "labels/som/2"]
        found.append([np.asarray(group[level]) for level in levels])
        assert len(meta.bricks(0)) == (3 * 3 * 10 if tiles else 1)
    for whole, cut in zip(*found, strict=True):
        np.testing.assert_array_equal(whole, cut)


def test_any_box_is_read_back(tmp_path, small_tiles):
    storage, meta = Storage.at(tmp_path), meta_of()
    image = np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    write(storage, meta, image)
    box = Brick(1, 1, 4, 30, 140, 60, 300)
    np.testing.assert_array_equal(
        ome_zarr.read_brick(storage, NAME, box), image[1, :, 1:4, 30:140, 60:300]
    )


def test_a_tile_is_one_file_per_level_and_nothing_else_is_taken(tmp_path, small_tiles):
    storage, meta = Storage.at(tmp_path), meta_of((1, 1, 2, 150, 150))
    ome_zarr.create_scan(storage, NAME, meta)
    brick = meta.bricks()[4]
    assert brick.corner == (0, 64, 64)
    block = np.ones((1, *brick.shape), np.float32)
    ome_zarr.write_brick(storage, NAME, brick, block)
    assert len([p for p in (tmp_path / NAME / "0" / "c").rglob("*") if p.is_file()]) == 1
    for wrong in (replace(brick, y0=63, y1=127), replace(brick, x1=127), replace(brick, t=1)):
        with pytest.raises(ShapeError):
            ome_zarr.write_brick(storage, NAME, wrong, np.ones((1, *wrong.shape), np.float32))


def test_a_brick_grows_as_far_as_the_volume_goes():
    brick = Brick(0, 2, 4, 0, 10, 8, 16)
    grown = brick.grown((1, 3, 3), (5, 12, 17))
    assert grown == Brick(0, 1, 5, 0, 12, 5, 17)
    volume = np.arange(5 * 12 * 17).reshape(5, 12, 17)
    np.testing.assert_array_equal(volume[grown.box][brick.within(grown)], volume[brick.box])
