"""Objects of a scan whose slices are cut into tiles: the same as of whole slices."""

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.objects.scan_rule import MOST_BLOCKS, ScanRule, rule_for
from somray.stages import objects
from somray.stages.reading.volume import labelled, read_volumes
from tests.stages.stored import store, texture

SHAPE = (9, 100, 150)
SIZE_MM = 3.0
RULE = rule_for("XCT", ("XCT",))


@pytest.fixture
def scan():
    """A texture and its bright parts."""
    volume = texture(SHAPE[0], SHAPE[1:], seed=2)
    volume[3, 20:60, 50:80] = np.nan
    return volume, np.where(np.nan_to_num(volume) > 60, 3, 1)


def stored(root, scan):
    volume, labels = scan
    geometry = Geometry.from_spacing(volume.shape, (2.0, 0.6, 0.6))
    return store(root, volume, geometry, labels={"som": labels})


def cut(monkeypatch):
    monkeypatch.setattr(metadata, "TILE_PIXELS", 64)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 64 * 64 * 4)


def looked_at(place):
    """Return the means on blocks, what was told, and what was drawn."""
    (seen,) = read_volumes(place, (SIZE_MM,), 0, labelled(place, 0, "som", 3))
    found = objects.find(objects.FindItem(place, RULE, "som", 3))
    everything = Brick.of_slices(0, 0, SHAPE[0], SHAPE[1:])
    drawn = ome_zarr.read_label_brick(Storage.at(place.root), place.name, objects.GROUP, everything)
    return seen.means, found, drawn


def test_cut_slices_give_the_blocks_and_objects_of_whole_ones(tmp_path, monkeypatch, scan):
    means, found, drawn = looked_at(stored(tmp_path / "whole", scan))
    cut(monkeypatch)
    place = stored(tmp_path / "cut", scan)
    assert ome_zarr.read_meta(Storage.at(place.root), place.name).is_cut
    again = looked_at(place)
    np.testing.assert_array_equal(again[0], means)
    np.testing.assert_array_equal(again[2], drawn)
    assert again[1].value == found.value
    assert found.value["voxels"] == np.count_nonzero(drawn) > 0


def test_an_organ_mask_of_cut_slices_is_told_and_the_scan_goes_on(tmp_path, monkeypatch, scan):
    cut(monkeypatch)
    place = stored(tmp_path / "cut", scan)
    path = str(tmp_path / "organs.nii")
    nib.save(nib.Nifti1Image(np.ones(SHAPE[::-1], np.uint8), np.eye(4)), path)
    item = objects.FindItem(place, RULE, "som", 3)
    found = objects.find(replace(item, anatomy=objects.AnatomyItem(path, ((1, "liver"),))))
    assert [row.code for row in found.rows["failures"]] == ["too_large"]
    assert found.value["voxels"] > 0


@pytest.mark.parametrize("side", [16384, 65536])
def test_a_flat_scan_has_a_bounded_number_of_blocks(side):
    size = ScanRule("map", ("other",)).grid_mm((1, side, side), (1.0, 1.0, 1.0))
    blocks = (-(-side // round(size))) ** 2
    assert MOST_BLOCKS / 4 < blocks <= 4 * MOST_BLOCKS
