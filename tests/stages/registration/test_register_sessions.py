"""Sessions in storage: registered, reduced while they are read, aligned as a group."""

import tracemalloc

import numpy as np
import pytest
from scipy import ndimage

from somray.config.parts import RegistrationConfig
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.work import WORKER_BYTES
from somray.io.ome.image import ScanMeta, create_scan, finish_scan, slabs
from somray.io.storage import Storage
from somray.kernels.registration.space import reduction
from somray.stages.reading.sessions import reduced_volume, tells_sides
from somray.stages.registration.align_sessions import GroupItem, PairFinding, run_align, run_bridges
from somray.stages.registration.register_sessions import (
    SessionPairItem,
    needs_sessions,
    run_sessions,
)
from tests.slabs import write_slab

SPACING = (3.0, 2.0, 2.0)


def stored(root, session, volume, spacing=SPACING):
    """Store a volume (z, y, x), or the slices that a function of z gives for a shape, as a session."""
    shape = volume.shape
    place = ScanPlace(str(root), "s1", session)
    storage = Storage.at(place.root)
    grid = Geometry.from_spacing(shape, spacing)
    meta = ScanMeta((1, 1, *shape), grid, ("CT",), "HU")
    create_scan(storage, place.name, meta)
    for z0, z1 in slabs(shape[0], meta.slab_depth):
        write_slab(storage, place.name, 0, z0, volume[z0:z1][None])
    finish_scan(storage, place.name, meta)
    return place


def anatomy(shape=(24, 48, 52), seed=0):
    rng = np.random.default_rng(seed)
    texture = ndimage.gaussian_filter(rng.normal(size=shape), (1.5, 2, 2))
    axes = [(np.arange(n) - (n - 1) / 2) / n for n in shape]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    inside = z**2 / 0.3 + y**2 / 0.16 + x**2 / 0.14 < 1
    return np.where(inside, 90 * texture / texture.std(), -1000).astype(np.float32)


def item(fixed, moving, **config):
    return SessionPairItem(fixed, moving, RegistrationConfig(**config), seed=0)


def shifted_mm(result):
    """How far the middle of the body moves."""
    middle = np.array([52.0, 48.0, 36.0, 1.0])
    return (np.reshape(result.value["matrix"], (4, 4)) @ middle - middle)[:3]


def test_two_sessions_are_registered_in_space(tmp_path):
    volume = anatomy()
    places = [stored(tmp_path, "t0", volume), stored(tmp_path, "t1", np.roll(volume, 2, axis=2))]
    result = run_sessions(item(*places))
    (row,) = result.rows["registration"]
    assert (row.kind, row.model, row.status) == ("sessions", "rigid3d", "ok")
    assert (row.t, row.fixed_z, row.moving_z) == (None, None, None)
    assert result.value["status"] == "ok"
    assert shifted_mm(result) == pytest.approx((-4, 0, 0), abs=0.1)


@pytest.mark.parametrize(("depth", "sessions"), [(3, "auto"), (24, "plane")])
def test_thin_sessions_and_those_asked_for_are_aligned_in_the_plane(tmp_path, depth, sessions):
    volume = anatomy()
    moved = np.roll(volume, 3, axis=1)
    places = [
        stored(tmp_path, "t0", volume[8 : 8 + depth]),
        stored(tmp_path, "t1", moved[9 : 9 + depth]),
    ]
    result = run_sessions(item(*places, sessions=sessions))
    (row,) = result.rows["registration"]
    assert row.status == "ok"
    assert row.model in {"similarity", "affine"}
    assert row.fixed_z - row.moving_z == 1
    assert len(row.matrix) == 9
    assert shifted_mm(result) == pytest.approx((0, -6, 3), abs=1.0)  # half a pixel


def test_a_refused_pair_says_so_and_has_no_matrix(tmp_path):
    places = [stored(tmp_path, "t0", anatomy()), stored(tmp_path, "t1", anatomy(seed=4)[:, ::-1])]
    result = run_sessions(item(*places))
    assert result.value == {"matrix": None, "status": "refused"}
    assert result.rows["registration"][0].reason


class Deep:
    """A volume that is never whole: slices are made when they are asked for."""

    def __init__(self, shape):
        self.shape = shape

    def __getitem__(self, some):
        z = np.arange(*some.indices(self.shape[0]), dtype=np.float32)
        y = np.arange(self.shape[1], dtype=np.float32)
        x = np.arange(self.shape[2], dtype=np.float32)
        return z[:, None, None] + 0 * y[:, None] + 0 * x


def test_memory_stays_within_what_is_declared_however_long_the_scan(tmp_path, monkeypatch):
    monkeypatch.setattr(reduction, "MOST_VOXELS", 40_000)
    peaks = []
    for depth in (100, 400):
        place = stored(tmp_path, f"t{depth}", Deep((depth, 128, 128)), (1.0, 1.0, 1.0))
        tracemalloc.start()
        volume, grid = reduced_volume(Storage.at(place.root), place)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert volume.size <= 40_000
        middle = grid.to_world(np.array([[volume.shape[0] // 2, 3, 3]]))[0, 2]
        assert volume[volume.shape[0] // 2, 3, 3] == pytest.approx(middle, abs=1e-3)
    whole = 4 * 400 * 128 * 128
    shape = (1, 1, 400, 128, 128)
    needs = needs_sessions([shape, shape], RegistrationConfig())
    declared = needs.memory_bytes - WORKER_BYTES
    assert max(peaks) < min(whole / 3, declared)
    assert peaks[1] < 1.3 * peaks[0]


def shift(mm):
    matrix = np.eye(4)
    matrix[0, 3] = mm
    return tuple(matrix.ravel())


def group(tmp_path, pairs):
    places = [stored(tmp_path, f"t{k}", anatomy((8, 32, 32))) for k in range(4)]
    return GroupItem(tuple(places), tuple(pairs))


def pairs_of(wrong=(), refused=()):
    """Each session lies 5 mm further than the one before."""
    keys = [(0, 1), (1, 2), (2, 3), (0, 2), (0, 3)]
    said = []
    for a, b in keys:
        matrix = None if (a, b) in refused else shift(-5.0 * (b - a) + 60 * ((a, b) in wrong))
        said.append(PairFinding(a, b, matrix, "refused" if matrix is None else "ok"))
    return said


def test_a_group_has_a_row_for_every_session_and_a_motion_to_the_first(tmp_path):
    result = run_align(group(tmp_path, pairs_of()))
    rows = result.rows["alignment"]
    assert [(r.kind, r.session, r.reference_session, r.status) for r in rows] == [
        ("sessions", f"t{k}", "t0", "ok") for k in range(4)
    ]
    assert [m[3] for m in result.value["to_first"]] == pytest.approx([0, -5, -10, -15])
    assert rows[3].cycle_error_mm == pytest.approx(0, abs=1e-9)


def test_an_outlier_is_asked_about_and_repaired(tmp_path):
    pairs = pairs_of(wrong=[(2, 3)])
    asked = run_bridges(group(tmp_path, pairs)).value["pairs"]
    assert asked == [[1, 3]]
    further = PairFinding(1, 3, shift(-10.0), "ok")
    result = run_align(group(tmp_path, [*pairs, further]))
    last = result.rows["alignment"][3]
    assert last.status == "repaired"
    assert "3 and 4" in last.reason
    assert result.value["to_first"][3][3] == pytest.approx(-15)


def test_a_session_that_nothing_leads_to_has_no_motion(tmp_path):
    refused = [(0, 2), (1, 2), (2, 3)]
    result = run_align(group(tmp_path, pairs_of(refused=refused)))
    assert [m is None for m in result.value["to_first"]] == [False, False, True, False]
    assert result.rows["alignment"][2].matrix is None


def test_a_header_that_places_a_scan_tells_its_sides():
    shape = (4, 8, 8)
    bare = Geometry.from_spacing(shape, SPACING)
    placed = Geometry.from_matrix(shape, bare.matrix + np.eye(4, k=3) * 7.0)

    def told(grid, **more):
        return tells_sides(ScanMeta((1, 1, *shape), grid, ("CT",), "HU", **more))

    assert told(placed)
    assert not told(bare)
    assert not told(placed, anatomical=False)
    assert not told(placed, repairs=("position_assumed",))
