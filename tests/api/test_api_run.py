"""Scans brought to their subject's first session, and slices to their chain, through `somray.open_run`."""

import numpy as np
import pytest

import somray
from somray.api import run as api_run
from somray.domain.geometry import Geometry
from somray.domain.run import RunLayout
from somray.domain.tables import AlignmentRow
from somray.errors import ConfigError, StoreError
from somray.io.storage import Storage
from somray.io.tables import row_to_plain, write_part
from tests.stages.stored import shifted, store, texture

DEPTH = 6


def row(kind, session, matrix, t=None, z=None, reference=None):
    values = None if matrix is None else [float(v) for v in np.ravel(matrix)]
    status = "refused" if matrix is None else "ok"
    reason = "nothing leads there" if matrix is None else None
    return AlignmentRow(
        "s", kind, session, t, z, "t0", reference, values, status, reason, None, None
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("aligned")
    volume = texture(DEPTH)
    mask = (volume > 50).astype(np.uint8) * 3
    grid = Geometry.from_spacing(volume.shape, (2.0, 0.8, 0.8))
    store(root, volume, grid, labels={"som": mask})
    moved = grid.matrix.copy()
    moved[:3, 3] = (16.0, -8.0, 2.0)
    other = Geometry.from_matrix(volume.shape, moved)
    store(
        root,
        shifted(volume, (3,), (0, 5)),
        other,
        "t1",
        labels={"som": shifted(mask, (3,), (0, 5))},
    )
    store(root, volume, grid, "t2")
    back = np.eye(4)
    back[:3, 3] = (-16.0, 8.0, -2.0)
    rows = [
        row("sessions", "t0", np.eye(4)),
        row("sessions", "t1", back),
        row("sessions", "t2", None),
    ]
    for z in range(DEPTH):
        matrix = np.eye(3)
        matrix[0, 2] = -5.0 if z == 3 else 0.0
        rows.append(row("slices", "t1", None if z == 5 else matrix, 0, z, 2))
    storage = Storage.at(root)
    write_part(storage, "alignment", "p", "register-a", [row_to_plain(r) for r in rows])
    storage.write_text(RunLayout.info, "{}")
    return somray.open_run(root), volume, mask


def test_a_session_lies_on_the_first_ones_grid_resampled_once(run):
    opened, volume, mask = run
    aligned = opened.aligned("s", "t1")
    assert dict(aligned.sizes) == dict(opened.scan("s", "t0").sizes)
    assert aligned["image"].chunks is not None  # nothing is computed yet
    expected = shifted(volume, (3,), (0, 5))
    np.testing.assert_allclose(aligned["image"].values[0, 0], expected, atol=1e-2)
    assert (aligned["som"].values[0] == shifted(mask, (3,), (0, 5))).all()
    assert aligned["som"].dtype == np.uint8
    assert aligned.attrs["reference_session"] == "t0"
    assert aligned.attrs["affine"] == opened.scan("s", "t0").attrs["affine"]
    assert (aligned.coords["x"] == opened.scan("s", "t0").coords["x"]).all()


def test_outside_the_scan_images_are_nan_and_labels_zero(run, monkeypatch):
    opened, _, _ = run
    table = opened.table("alignment")
    away = table.copy()
    far = np.eye(4)
    far[:3, 3] = (-16.0 + 8.0, 8.0, -2.0)
    first = (away["session"] == "t1") & (away["kind"] == "sessions")
    away.at[away.index[first][0], "matrix"] = far.ravel()
    monkeypatch.setattr(type(opened), "table", lambda self, name: away)
    found = opened.aligned("s", "t1")
    assert np.isnan(found["image"].values[..., :9]).all()
    assert np.isfinite(found["image"].values[..., 11:]).all()
    assert not found["som"].values[..., :9].any()


def test_slices_are_brought_to_their_chain_and_refused_ones_are_empty(run):
    opened, volume, mask = run
    straight = opened.aligned("s", "t1", to="slices")
    inside = np.s_[: DEPTH - 1, :, :-5]
    np.testing.assert_allclose(straight["image"].values[0, 0][inside], volume[inside], atol=1e-3)
    assert (straight["som"].values[0][inside] == mask[inside]).all()
    assert np.isnan(straight["image"].values[0, 0, 3, :, -5:]).all()
    assert np.isnan(straight["image"].values[0, 0, 5]).all()
    assert straight.attrs["refused_slices"] == [[0, 5]]
    assert straight.attrs["reference_z"] == [2]


def test_what_was_refused_or_never_done_says_so(run):
    opened, _, _ = run
    with pytest.raises(StoreError, match="refused: nothing leads there"):
        opened.aligned("s", "t2")
    with pytest.raises(StoreError, match="no alignment of slices for s t0"):
        opened.aligned("s", "t0", to="slices")
    with pytest.raises(StoreError):
        opened.aligned("s", "t9")
    with pytest.raises(ConfigError, match="'session' or 'slices'"):
        opened.aligned("s", "t1", to="mars")


def test_large_slices_are_brought_there_tile_by_tile(run, monkeypatch):
    opened = run[0]
    for to in ("session", "slices"):
        whole = opened.aligned("s", "t1", to=to).load()
        with monkeypatch.context() as patched:
            patched.setattr(api_run, "TILE", 24)
            tiled = opened.aligned("s", "t1", to=to)
            assert max(tiled["image"].chunks[-1]) == 24
            np.testing.assert_allclose(tiled["image"], whole["image"], atol=1e-3)
            np.testing.assert_array_equal(tiled["som"], whole["som"])
