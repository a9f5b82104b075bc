"""What an encoder learns from a scan: nodes as the map assigns them, blocks as they are averaged, whatever the cut."""

from dataclasses import replace

import numpy as np
import pytest

import somray
from somray.domain.geometry import Geometry
from somray.io.ome import metadata as ome_metadata
from somray.kernels.pretrain.piece import NO_NODE
from somray.kernels.student import window
from somray.kernels.teacher.fit import fit_teacher
from somray.kernels.teacher.spec import TeacherSpec
from somray.stages.pretrain import codebooks, images, layers, shards
from somray.stages.pretrain.images import scan_images
from somray.stages.pretrain.nodes import NodeMaps
from somray.stages.pretrain.source import ScanShards, ShardSource
from tests.stages.stored import store, store_bricks, texture

SPACING = (2.0, 0.8, 0.8)


@pytest.fixture(scope="module")
def volume():
    found = texture(6, (40, 48))
    found[:, :3] = np.nan
    return found


@pytest.fixture(scope="module")
def teacher(volume):
    spec = TeacherSpec("CT", ("CT",), grid=(3, 3), epochs=4)
    return fit_teacher(volume[2:3, None], spec, SPACING[1:]).model


@pytest.fixture
def write(teacher, tmp_path):
    """Write the shards of a scan and return their source."""

    def written(place, maps=None, grid_mm=None, features=True):
        item = shards.ShardItem(place, "p", "sub-s_ses-t0", None, grid_mm, features)
        told = shards.run(item, maps or NodeMaps(teacher)).value
        return ShardSource(place.root, [ScanShards.of(item.group, told)])

    return written


def samples(teacher, image):
    """Standardise the public features of a slice, in one line of the books."""
    stack = somray.features(image, teacher.windows[0], spacing_mm=SPACING[1:])
    raw = (stack - teacher.center[:, None, None]) / teacher.scale[:, None, None]
    return raw * teacher.feature_weights[:, None, None]


def test_nodes_of_slices_are_those_of_the_map_on_its_own_features(tmp_path, volume, teacher, write):
    place = store(tmp_path, volume)
    source = write(place)
    assert len(source) == 6
    for z in (0, 4):
        piece = source.read(z)
        np.testing.assert_array_equal(piece.values[0], volume[z])
        expected = samples(teacher, volume[z])
        known = np.isfinite(volume[z])
        nodes = somray.som.assign(expected[:, known].T, teacher.codebook)
        np.testing.assert_array_equal(piece.nodes[0][known], nodes)
        assert (piece.nodes[0][~known] == NO_NODE).all()
        np.testing.assert_allclose(
            piece.features[:, known], expected[:, known], rtol=2e-3, atol=2e-3
        )
        assert np.isnan(piece.features[:, ~known]).all()
        assert piece.windows == teacher.windows


def test_blocks_are_means_with_the_commonest_node_turned_as_the_encoder_sees_them(
    tmp_path, volume, teacher, write
):
    matrix = np.diag([-0.8, 0.8, -2.0, 1.0])  # x to right, z to inferior: both are turned
    geometry = Geometry.from_matrix(volume.shape, matrix)
    place = store(tmp_path, volume, geometry)
    (piece,) = (write(place, grid_mm=4.0).read(n) for n in range(1))
    (seen,) = scan_images(place, shards.view_for(teacher, 4.0))
    np.testing.assert_array_equal(piece.values, seen.values)
    assert seen.grid.flips == (True, False, True)
    plain = write(store(tmp_path / "plain", volume))
    nodes = np.stack([plain.read(z).nodes[0] for z in range(6)])
    features = np.stack([plain.read(z).features[3] for z in range(6)]).astype(np.float32)
    block = nodes[0:2, 10:15, 20:25]  # of the grid's block (0, 2, 4), before it is turned
    where = (0, -1, 2, 10 - 1 - 4)
    assert piece.nodes[where] == np.bincount(block.ravel()).argmax()
    mean = features[0:2, 10:15, 20:25].mean()
    assert piece.features[3][where[1:]] == pytest.approx(mean, rel=5e-3, abs=5e-3)


def test_pieces_do_not_depend_on_how_a_volume_is_cut(tmp_path, volume, write, monkeypatch):
    place = store(tmp_path, volume)
    (whole,) = (write(place, grid_mm=1.6).read(n) for n in range(1))
    monkeypatch.setattr(layers, "PIECE_SIDE", 12)
    monkeypatch.setattr(layers, "THINNEST", 2)
    monkeypatch.setattr(layers, "LAYER_BYTES", 1)
    cut = write(place, grid_mm=1.6)
    assert len(cut) == 3 * 2 * 2
    rows = [[[cut.read(4 * z + 2 * y + x) for x in (0, 1)] for y in (0, 1)] for z in range(3)]
    for name in ("values", "nodes", "features"):
        together = np.block([[[getattr(p, name) for p in row] for row in layer] for layer in rows])
        np.testing.assert_array_equal(together, getattr(whole, name))


def test_of_huge_volumes_some_layers_and_the_middle_of_planes_are_learned_from(
    tmp_path, volume, write, monkeypatch
):
    place = store(tmp_path, volume)
    whole = write(place, grid_mm=1.6).read(0)
    monkeypatch.setattr(layers, "PLANE_SIDE", 8)
    monkeypatch.setattr(layers, "THINNEST", 2)
    monkeypatch.setattr(layers, "LAYER_BYTES", 1)
    monkeypatch.setattr(layers, "MOST_BLOCKS", 2 * 8 * 8)
    some = write(place, grid_mm=1.6)
    assert len(some) == 1
    np.testing.assert_array_equal(some.read(0).nodes, whole.nodes[:, 2:4, 6:14, 8:16])


def test_slices_that_are_cut_into_tiles_have_the_nodes_of_whole_ones(
    tmp_path, volume, teacher, write, monkeypatch
):
    place = store_bricks(tmp_path / "whole", volume, SPACING)
    (whole,) = (write(place, grid_mm=1.6, features=False).read(n) for n in range(1))
    slices = write(place, features=False).read(2)
    monkeypatch.setattr(ome_metadata, "TILE_PIXELS", 32)
    monkeypatch.setattr(ome_metadata, "MAX_SLAB_BYTES", 4 * 32 * 32)
    place = store_bricks(tmp_path / "cut", volume, SPACING)
    (cut,) = (write(place, grid_mm=1.6, features=False).read(n) for n in range(1))
    np.testing.assert_array_equal(cut.nodes, whole.nodes)
    for module in (images, window, shards):
        monkeypatch.setattr(module, "MOST_PIXELS", 400)
    for module in (window, shards):
        monkeypatch.setattr(module, "SIDE", 16)
    part = write(place, features=False).read(2)
    assert part.values.shape == (1, 16, 16)
    (seen,) = scan_images(place, shards.view_for(teacher, None), slices=(2,))
    np.testing.assert_array_equal(part.nodes[0], slices.nodes[0][seen.where.box[1:]])


def test_further_codebooks_start_elsewhere_and_are_the_same_every_time(
    tmp_path, volume, teacher, write
):
    place = store(tmp_path, volume)
    item = codebooks.CodebookItem(place, (1, 3), None, 2, seed=5)
    found, again = (codebooks.codebooks_of(codebooks.run(item, teacher).value) for _ in range(2))
    np.testing.assert_array_equal(found, again)
    assert [book.shape for book in found] == [(9, 10)] * 2
    assert not np.array_equal(found[0], found[1])
    piece = write(place, NodeMaps(teacher, found)).read(3)
    known = np.isfinite(volume[3])
    book = replace(teacher.codebook, weights=found[1])
    nodes = somray.som.assign(samples(teacher, volume[3])[:, known].T, book)
    np.testing.assert_array_equal(piece.nodes[2][known], nodes)


def test_a_source_names_its_content_and_holds_a_bounded_number_of_pieces(
    tmp_path, volume, write, monkeypatch
):
    source = write(store(tmp_path / "a", volume))
    same, other = (write(store(tmp_path / n, v)) for n, v in (("b", volume), ("c", volume + 1)))
    assert source.digest() == same.digest() != other.digest()
    monkeypatch.setattr("somray.stages.pretrain.source.HELD_BYTES", 1)
    for n in range(6):
        assert source.read(n) is source.read(n)
    assert len(source._held) == 1
    assert len(source.__getstate__()["_held"]) == 0
