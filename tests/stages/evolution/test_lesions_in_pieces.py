"""Lesions that are taken brick by brick are those of whole volumes, in memory that follows lesions and bricks."""

import json
import subprocess
import sys
import tempfile
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
from somray.io.ome import metadata
from somray.io.storage import Storage
from somray.kernels.lesions.thickness.balls import local_thickness
from somray.stages.evolution import evolve
from tests.slabs import read_label_slab
from tests.stages.evolution.following_memory import BRICK_BYTES, store
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


def test_memory_follows_lesions_and_bricks_and_stays_within_what_is_declared(tmp_path):
    command = [sys.executable, "-m", "tests.stages.evolution.following_memory", str(tmp_path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    (shallow, few), (deep, many) = json.loads(told)
    assert many == 4 * few
    # a brick's 64 KiB are next to nothing beside what reading and writing them takes
    assert deep - shallow < evolve.LESION_BYTES * (many - few) + 0.1 * shallow
    assert deep < evolve.needs(BRICK_BYTES, many).memory_bytes - WORKER_BYTES


def test_more_lesions_are_expected_of_more_voxels_and_never_fewer_than_were_drawn():
    numbers = tuple(range(1, 50_001))
    one = evolve.EvolveSession(ScanPlace("run", "s", "t0"), None, (numbers,))
    item = evolve.EvolveItem((one,), "som", 3, 0, LesionConfig())
    expected = [evolve.expected_lesions(item, voxels) for voxels in (0, 10**8, 4 * 10**8)]
    assert expected == [50_000, 50_000, 120_000]
