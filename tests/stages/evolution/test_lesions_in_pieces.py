"""Lesions that are taken brick by brick are those of whole volumes, in memory that follows lesions and bricks."""

import contextlib
import gc
import tempfile
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.transform import Rotation

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES
from somray.io.ome import image as ome_zarr
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.lesions.thickness.balls import local_thickness
from somray.stages.evolution import evolve, surroundings
from tests.slabs import read_label_slab
from tests.stages.evolution.whole_evolve import WholeSession, distances, whole

SHAPE = (10, 16, 18)
PLANE = 16 * 18 * 4
CUTS = {  # most bytes of a brick, pixels of a tile
    "whole": (PLANE * 16, 64),
    "slabs of two": (PLANE * 2, 64),
    "planes": (PLANE, 64),
    "tiles": (PLANE - 1, 12),
}
CONFIG = LesionConfig(min_volume_mm3=6.0, change_floor_mm3=4.0, local_thickness=True)


def store(root, name, one):
    """Write one session, its masks and objects brick by brick."""
    meta = ome_zarr.ScanMeta((1, 1, *one.image.shape), one.geometry, ("CT",), "HU", name)
    storage, place = Storage.at(root), ScanPlace(str(root), "s", name)
    ome_zarr.create_scan(storage, place.name, meta)
    for brick in meta.bricks():
        ome_zarr.write_brick(storage, place.name, brick, one.image[brick.box][None])
    ome_zarr.finish_scan(storage, place.name, meta)
    for label, drawn, dtype in (
        ("som", np.where(one.drawn > 0, 3, 1), np.uint8),
        ("objects", one.drawn, np.int32),
    ):
        ome_zarr.create_labels(storage, place.name, label, np.dtype(dtype).name)
        for brick in meta.bricks():
            part = drawn[brick.box].astype(dtype)
            ome_zarr.write_label_brick(storage, place.name, label, brick, part)
        ome_zarr.finish_labels(storage, place.name, label, {})
    return place


def in_pieces(sessions, cut, *, apart):
    """Run `evolve` on stored bricks; rows, and label volumes."""
    with (
        mock.patch.object(metadata, "MAX_SLAB_BYTES", CUTS[cut][0]),
        mock.patch.object(metadata, "TILE_PIXELS", CUTS[cut][1]),
        tempfile.TemporaryDirectory() as root,
    ):
        places = [store(root, f"t{n}", one) for n, one in enumerate(sessions)]
        items = []
        for place, one in zip(places, sessions, strict=True):
            matrix = None if one.to_first is None else tuple(one.to_first.ravel().tolist())
            numbers = tuple(np.unique(one.drawn[one.drawn > 0]).tolist())
            items.append(evolve.EvolveSession(place, matrix, (numbers,) if apart else None))
        item = evolve.EvolveItem(tuple(items), "som", 3, 0, CONFIG, apart)
        rows = evolve.run(item).rows
        labels = [
            read_label_slab(Storage.at(root), place.name, "lesions", 0, 0, SHAPE[0])
            for place in places
        ]
    return rows, labels


def by_chance(seed, count):
    """Sessions whose lesions change by chance, winding through many bricks and touching at corners."""
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.normal(size=SHAPE), (1.0, 0.8, 0.8)) for _ in range(2)]
    texture = ndimage.gaussian_filter(rng.normal(size=SHAPE), (0.5, 1, 1)) * 200
    found = []
    for n in range(count):
        field = np.cos(0.3 * n) * fields[0] + np.sin(0.3 * n) * fields[1]
        mask = field > 1.2 * field.std()
        mask |= rng.random(SHAPE) < 0.03  # specks and corners
        objects = ndimage.label(mask)[0]  # by faces alone: they touch others at edges and corners
        to_first = np.eye(4)
        if n:
            turn = Rotation.from_euler("xyz", rng.uniform(-8, 8, 3), degrees=True)
            to_first[:3, :3], to_first[:3, 3] = turn.as_matrix(), rng.uniform(-1, 1, 3)
        image = (texture + rng.normal(0, 5, SHAPE)).astype(np.float32)
        image[0, 0, :3] = np.nan
        grid = Geometry.from_spacing(SHAPE, (2.0, 1.0, 0.9))
        found.append(WholeSession(image, objects, grid, None if rng.random() < 0.1 else to_first))
    return found


INEXACT = ("mean_intensity", "std_intensity", "surface_mm2", "sphericity")  # in the order of tiles


@settings(max_examples=1, deadline=None, derandomize=True)
@example(seed=1, count=2, cut="tiles", apart=False)
@example(seed=2, count=3, cut="planes", apart=True)
@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 3),
    cut=st.sampled_from(["slabs of two", "planes", "tiles"]),
    apart=st.booleans(),
)
def test_pieces_of_any_size_give_the_tables_and_labels_of_whole_volumes(seed, count, cut, apart):
    sessions = by_chance(seed, count)
    expected, measured, changes, links = whole(sessions, CONFIG, apart=apart)
    rows, labels = in_pieces(sessions, cut, apart=apart)
    assert all(np.array_equal(a, b) for a, b in zip(labels, expected, strict=True))
    assert rows["evolution"] == changes
    assert rows["links"] == links
    for n, (drawn, one) in enumerate(zip(expected, sessions, strict=True)):
        told = [row for row in rows["lesions"] if row.session == f"t{n}"]
        assert [row.lesion_id for row in told] == [m.instance for m in measured[n]]
        centroids = [(row.centroid_x_mm, row.centroid_y_mm, row.centroid_z_mm) for row in told]
        assert centroids == [m.centroid_mm for m in measured[n]]
        for name in ("volume_mm3", "longest_axis_mm", "axial_axis_mm", "axial_perpendicular_mm",
                     "max_intensity", "min_intensity", *INEXACT):  # fmt: skip
            figures = [getattr(row, name) for row in told]
            same = [getattr(m, name) for m in measured[n]]
            if cut == "tiles" and name in INEXACT:
                same = pytest.approx(same, rel=1e-12)
            assert figures == same, name
        longest, near, furthest = distances(drawn, one.geometry)
        assert [row.longest_axis_mm for row in told] == longest
        assert [row.nearest_mm for row in told] == pytest.approx(near)
        assert rows["burden"][n].dmax_mm == furthest
        for row in told:
            mask = drawn == row.lesion_id
            thickness = local_thickness(mask, one.geometry.spacing_mm)[mask]
            assert (row.mean_thickness_mm, row.max_thickness_mm) == (
                thickness.mean(),
                thickness.max(),
            )
        areas = [row.target_fraction for row in rows["slices"] if row.session == f"t{n}"]
        assert areas == [np.count_nonzero(plane) / plane.size for plane in drawn]


def stack(depth):
    """A volume with a lesion of 36 voxels for every four slices, and one through all of them."""
    drawn = np.zeros((depth, 32, 32), dtype=np.int32)
    for k in range(0, depth - 4, 4):
        y, x = 2 + 7 * k % 24, 6 + 11 * k % 22
        drawn[k : k + 4, y : y + 3, x : x + 3] = 1
    drawn[:, 30, 2] = 1
    image = np.random.default_rng(0).normal(size=drawn.shape).astype(np.float32)
    grid = Geometry.from_spacing(drawn.shape, (1.0, 1.0, 1.0))
    return WholeSession(image, drawn, grid, np.eye(4))


@contextlib.contextmanager
def collected_as_it_comes():
    """Garbage in circles is no part of what is held: beside all that tests import it would wait for long."""
    gc.collect()
    gc.freeze()
    gc.collect()  # counts what is alive anew: a full collection waits for a quarter more than that
    yield
    gc.unfreeze()


def held(root, depth, *, warm):
    """Most bytes that following two sessions of a stack holds at a time, and how many lesions it has."""
    still = tuple(np.eye(4).ravel().tolist())
    places = [store(root, f"t{n}", stack(depth)) for n in range(2)]
    item = evolve.EvolveItem(
        tuple(evolve.EvolveSession(place, still) for place in places), "som", 3, 0, LesionConfig()
    )
    if not warm:
        evolve.run(item)  # compiled and imported once
    with collected_as_it_comes():
        tracemalloc.start()
        rows = evolve.run(item).rows
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, len(rows["lesions"])


def test_memory_follows_lesions_and_bricks_and_stays_within_what_is_declared(tmp_path, monkeypatch):
    brick = 16 * 32 * 32 * 4
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", brick)
    monkeypatch.setattr(surroundings, "SHELLS_AT_ONCE", 4)  # as many in either stack
    # four bricks, so that as many bricks are on their way as ever are
    shallow, few = held(tmp_path / "a", 64, warm=False)
    deep, many = held(tmp_path / "b", 256, warm=True)
    assert many == 4 * few
    # a brick's 64 KiB are next to nothing beside what reading and writing them takes
    assert deep - shallow < evolve.LESION_BYTES * (many - few) + 0.1 * shallow
    assert deep < evolve.needs(brick, many).memory_bytes - WORKER_BYTES


def test_more_lesions_are_expected_of_more_voxels_and_never_fewer_than_were_drawn():
    numbers = tuple(range(1, 50_001))
    one = evolve.EvolveSession(ScanPlace("run", "s", "t0"), None, (numbers,))
    item = evolve.EvolveItem((one,), "som", 3, 0, LesionConfig())
    expected = [evolve.expected_lesions(item, voxels) for voxels in (0, 10**8, 4 * 10**8)]
    assert expected == [50_000, 50_000, 120_000]
