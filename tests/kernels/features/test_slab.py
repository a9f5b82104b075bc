import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.features import FEATURES, feature_stack, slab, table
from somray.kernels.features.slab import HALO_Z, slab_features

ISO = (1.0, 1.0, 1.0)


def feature_slab(*args, **options):
    return np.stack(list(slab_features(*args, **options)))


def volume(shape=(9, 20, 22), seed=0, channels=1):
    return np.random.default_rng(seed).normal(20, 50, (channels, *shape)).astype(np.float32)


def of(name, block, spacing_mm=ISO, window=None):
    return feature_slab(block, [window] * len(block), (name,), spacing_mm)[:, 0]


@pytest.mark.parametrize("spacing", [ISO, (2.0, 1.0, 1.3), (0.5, 1.0, 1.0), (9.0, 1.0, 1.0)])
@pytest.mark.parametrize("window", [None, (-60.0, 90.0)])
def test_a_volume_that_does_not_change_along_z_has_the_features_of_the_plane(spacing, window):
    plane = volume((1, 19, 23))[:, 0]
    block = np.repeat(plane[:, None], 5, axis=1)
    found = feature_slab(block, [window], FEATURES, spacing)
    expected = feature_stack(plane, [window], FEATURES, spacing[1:])
    scale = np.ones((10, 1, 1))
    scale[:6] = 1.0 if window else np.ptp(plane)
    assert (np.abs(found - expected) / scale).max() < 1e-5


def test_one_slice_alone_has_the_features_of_the_plane():
    block = volume((1, 12, 13))
    assert np.allclose(
        feature_slab(block, [(-60.0, 90.0)])[0],
        feature_stack(block[:, 0], [(-60.0, 90.0)]),
        atol=1e-5,
    )


@pytest.mark.parametrize("depth", [1, 4, 7])
def test_slab_by_slab_gives_the_bits_of_the_whole_volume(depth):
    block = volume((17, 12, 14), channels=2)
    block[1, 5, 3:8, 2:4] = np.nan
    windows, names, spacing = [(-60.0, 90.0), None], ("edge", *FEATURES[3:9]), (1.7, 0.9, 1.0)
    whole = feature_slab(block, windows, names, spacing)
    parts = []
    for z in range(0, 17, depth):
        end = min(z + depth, 17)
        first, last = max(0, z - HALO_Z), min(17, end + HALO_Z)
        inner = (z - first, end - first)
        parts.append(feature_slab(block[:, first:last], windows, names, spacing, inner))
    assert np.array_equal(np.concatenate(parts), whole, equal_nan=True)


def test_a_slice_sees_no_further_than_the_halo():
    block = volume((15, 9, 9))
    other = block.copy()
    other[0, 7] += 100 * np.random.default_rng(1).random((9, 9), np.float32)
    changed = [z for z in range(15) if (feature_slab(block, [(-99.0, 99.0)])[z] != feature_slab(
        other, [(-99.0, 99.0)])[z]).any()]  # fmt: skip
    assert changed == list(range(7 - HALO_Z, 7 + HALO_Z + 1))


@pytest.mark.parametrize("turn", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_edge_thickness_and_moments_do_not_depend_on_which_axis_is_z(turn):
    block = volume((13, 13, 13))
    turned = block[0].transpose(turn)[None]
    inside = (slice(4, -4),) * 3
    for name in ("intensity", "edge", "local_contrast", "thickness", "mean3", "mean5"):
        plain = of(name, block).transpose(turn)
        assert np.allclose(of(name, turned)[inside], plain[inside], atol=1e-4), name


def test_moments_are_those_of_cubes():
    block = volume((11, 11, 11))
    cubes = np.lib.stride_tricks.sliding_window_view(block[0], (5, 5, 5))
    inside = (slice(2, -2),) * 3
    assert np.allclose(of("mean5", block)[inside], cubes.mean((3, 4, 5)), atol=1e-4)
    assert np.allclose(of("local_contrast", block)[inside], cubes.std((3, 4, 5)), atol=1e-3)


def test_a_ramp_along_z_has_its_slope_per_mm_as_edge_and_no_thickness():
    block = np.tile(np.arange(12, dtype=np.float32)[:, None, None] * 6, (1, 1, 9, 9))
    assert np.allclose(of("edge", block, (3.0, 1.0, 1.0))[4:-4], 2.0, atol=1e-5)
    assert np.allclose(of("thickness", block, (3.0, 1.0, 1.0))[4:-4], 0.0, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_thin_sheet_a_vessel_and_a_ball_stand_out_and_a_step_does_not(axis):
    grid = np.mgrid[-8:9, -8:9, -8:9]
    along = grid[axis]
    rest = [grid[n] for n in range(3) if n != axis]
    drawn = {
        "sheet": np.abs(along) < 1,
        "vessel": np.hypot(*rest) < 1.5,
        "ball": np.sqrt((grid**2).sum(0)) < 1.8,
        "step": along > 0,
    }
    found = {k: of("thickness", (v * 1.0).astype(np.float32)[None]) for k, v in drawn.items()}
    assert all(found[name][8, 8, 8] > 0.25 for name in ("sheet", "vessel", "ball"))
    assert np.abs(found["step"]).max() < 0.05


def test_widely_spaced_slices_are_seen_one_by_one_by_windows():
    block = volume((5, 12, 12))
    plane = np.concatenate(
        [feature_stack(block[:, z], [None], ("mean3", "mean5")) for z in range(5)]
    )
    assert np.allclose(
        feature_slab(block, [None], ("mean3", "mean5"), (8.0, 1.0, 1.0)).reshape(plane.shape),
        plane,
        atol=1e-4,
    )


def test_the_end_of_a_field_of_view_makes_no_edge():
    block = np.full((1, 9, 8, 8), 7.0, np.float32)
    block[0, :4] = np.nan
    block[0, 6, 2:5, 2:5] = np.nan
    found = feature_slab(block, [(0.0, 10.0)])
    assert np.array_equal(np.isnan(found).any(1), np.isnan(block[0]))
    assert np.nanmax(np.abs(found[:, [1, 2, 3, 6, 7]])) < 1e-6
    assert np.isnan(found[:4]).all()


@pytest.mark.parametrize(
    ("block", "options", "words"),
    [
        (np.zeros((3, 4, 4)), {}, r"\(c, z, y, x\)"),
        (np.zeros((2, 3, 4, 4)), {}, "1 windows for 2"),
        (np.zeros((1, 3, 4, 4)), {"inner": (2, 5)}, "inner"),
        (np.zeros((1, 3, 4, 4)), {"names": ("edg",)}, "unknown"),
        (np.zeros((1, 3, 4, 4)), {"spacing_mm": (1.0, 1.0)}, "3 positive lengths"),
        (np.full((1, 3, 4, 4), np.inf), {}, "infinite"),
    ],
)
def test_blocks_that_cannot_be_used_are_refused(block, options, words):
    with pytest.raises(ShapeError, match=words):
        feature_slab(block.astype("f4"), [None], **options)


def test_a_feature_of_the_plane_alone_is_refused(monkeypatch):
    line = table.Feature("toy", 0, lambda *_: None)
    monkeypatch.setattr(table, "FEATURE_TABLE", (*table.FEATURE_TABLE, line))
    with pytest.raises(ShapeError, match="no form that sees"):
        slab.slab_features(volume(), [None], ("toy",))
