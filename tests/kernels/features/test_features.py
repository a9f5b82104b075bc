import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.features import FEATURES, feature_stack, features, stack, table
from tests.kernels import naive_features


def of(name, image, window=None, **options):
    return feature_stack(np.asarray(image, np.float32)[None], [window], [name], **options)[0]


def test_the_ten_features_stand_in_the_order_of_the_contract():
    assert FEATURES == (
        "intensity", "edge", "local_contrast", "thickness", "mean3", "mean5",
        "anisotropy_p", "anisotropy_q", "ratio_row_column", "ratio_local_global",
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 3), (2, 9), (17, 23), (40, 64)])
@pytest.mark.parametrize("window", [None, (-100.0, 150.0)])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 1.25)])
def test_features_agree_with_the_oracle_up_to_the_border(shape, window, spacing):
    image = np.random.default_rng(3).normal(20, 80, shape).astype(np.float32)
    expected = naive_features.features(image, window, spacing)
    scale = np.ones((10, 1, 1))
    scale[[0, 1, 2, 3, 4, 5]] = 1.0 if window else max(float(np.ptp(image)), 1.0)  # values' range
    found = features(image, window, spacing)
    assert found.dtype == np.float32
    assert (np.abs(found - expected) / scale).max() < 1e-5


def test_features_of_a_smooth_slice_keep_their_digits():
    y, x = np.mgrid[:64, :64]
    image = (1000 + 0.02 * x + 0.01 * y).astype(np.float32)  # a step of the last digits
    expected = naive_features.features(image, (0.0, 2000.0))
    assert np.abs(features(image, (0.0, 2000.0)) - expected).max() < 1e-5


@pytest.mark.parametrize("factor", [1e-30, 1e-6, 1e6, 1e30])
def test_features_do_not_depend_on_the_unit_of_the_values(factor):
    image = np.random.default_rng(2).normal(3, 1, (20, 21)).astype(np.float32)
    plain, other = features(image), features((image * factor).astype(np.float32))
    scale = np.where(np.arange(10) < 6, factor, 1.0)[:, None, None]
    assert np.allclose(other / scale, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("threads", [2, 3, 64])
@pytest.mark.parametrize("shape", [(1, 5), (70, 33), (129, 300)])
def test_features_are_the_same_bits_on_any_number_of_threads(shape, threads):
    image = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    image[0, 2] = np.nan
    assert np.array_equal(features(image), features(image, threads=threads), equal_nan=True)


def test_the_rows_of_a_band_do_not_decide_the_features(monkeypatch):
    image = np.random.default_rng(4).normal(size=(150, 40)).astype(np.float32)
    whole = features(image)
    monkeypatch.setattr(stack, "BAND_PIXELS", 1)
    assert np.array_equal(features(image), whole)


@pytest.mark.parametrize("line", table.FEATURE_TABLE, ids=lambda line: line.name)
def test_a_feature_reaches_as_far_as_its_halo_says(line):
    image = np.random.default_rng(9).normal(size=(31, 31)).astype(np.float32)
    other = image.copy()
    other[15, 15] += 0.5 * np.ptp(image) * np.sign(-image[15, 15])  # stays within the range
    y, x = np.nonzero(of(line.name, image) != of(line.name, other))
    if line.name != "ratio_local_global":  # the slice's mean moves everywhere
        assert max(np.abs(y - 15).max(), np.abs(x - 15).max()) == line.halo


def test_a_feature_is_added_by_one_function_and_one_line(monkeypatch):
    def write_contrast_to_the_left(band, slots, out):
        rows, columns = (size - 2 * band.halo for size in band.padded.shape)
        inside = band.padded[band.halo : band.halo + rows]
        here, left = (inside[:, at : at + columns] for at in (band.halo, band.halo - 5))
        out[slots[0], band.into : band.into + rows] = (here - left) * band.frame.gain

    line = table.Feature("to_the_left", 5, write_contrast_to_the_left)
    monkeypatch.setattr(table, "FEATURE_TABLE", (*table.FEATURE_TABLE, line))
    image = np.random.default_rng(8).normal(size=(1, 90, 41)).astype(np.float32)
    found = feature_stack(image, [None], ("mean3", "to_the_left", "edge"))
    expected = image[0] - np.pad(image[0], ((0, 0), (5, 0)), mode="symmetric")[:, :-5]
    assert np.allclose(found[1], expected, atol=1e-6)
    assert np.array_equal(found[[0, 2]], feature_stack(image, [None], ("mean3", "edge")))


def test_a_constant_slice_has_no_edge_no_direction_and_ratios_of_one():
    stack = features(np.full((9, 9), 7.0, np.float32))
    assert np.allclose(stack[[0, 4, 5]], 7.0)
    assert np.allclose(stack[[1, 2, 3, 6, 7]], 0.0)
    assert np.allclose(stack[[8, 9]], 1.0)


def test_a_ramp_has_its_slope_per_mm_as_edge():
    ramp = np.tile(np.arange(20) * 3.0, (20, 1))
    assert np.allclose(of("edge", ramp, spacing_mm=(1.0, 2.0))[5:-5, 5:-5], 1.5)


@pytest.mark.parametrize(
    ("image", "p", "q"),
    [
        (np.tile(np.arange(20.0), (20, 1)), 1.0, 0.0),
        (np.tile(np.arange(20.0)[:, None], (1, 20)), -1.0, 0.0),
        (np.add.outer(np.arange(20.0), np.arange(20.0)), 0.0, 1.0),
        (np.subtract.outer(np.arange(20.0), np.arange(20.0)), 0.0, -1.0),
    ],
)
def test_anisotropy_tells_the_direction_of_change(image, p, q):
    assert np.allclose(of("anisotropy_p", image)[6:-6, 6:-6], p, atol=1e-6)
    assert np.allclose(of("anisotropy_q", image)[6:-6, 6:-6], q, atol=1e-6)


def test_anisotropy_is_measured_in_mm():
    image = np.add.outer(np.arange(20.0) * 2, np.arange(20.0))  # equal slopes once y is 2 mm a row
    assert np.allclose(of("anisotropy_p", image, spacing_mm=(2.0, 1.0))[8, 8], 0.0, atol=1e-6)


def drawn():
    y, x = np.mgrid[:64, :64]
    radius = np.hypot(y - 32, x - 32)
    return y, x, radius


def test_thickness_answers_to_a_thin_rim_more_than_to_a_wide_step():
    _, _, radius = drawn()
    rim = of("thickness", (np.abs(radius - 20) < 1.0) * 1.0)
    step = of("thickness", (radius < 20) * 1.0)
    assert rim[np.abs(radius - 20) < 0.5].min() > 0.15
    assert rim[np.abs(radius - 20) < 0.5].mean() > 1.5 * np.abs(step).max()


def test_thickness_answers_to_a_vessel_in_any_direction_alike():
    y, x, _ = drawn()
    upright = of("thickness", np.exp(-0.5 * ((x - 32) / 1.2) ** 2))
    slanted = of("thickness", np.exp(-0.25 * ((x - y) / 1.2) ** 2))
    assert upright[32, 32] > 0.15
    assert slanted[32, 32] == pytest.approx(upright[32, 32], rel=0.15)


def test_thickness_is_negative_in_a_small_hole_and_near_zero_in_a_large_one():
    _, _, radius = drawn()
    assert of("thickness", (radius > 1.5) * 1.0)[32, 32] < -0.2
    assert abs(of("thickness", (radius > 12) * 1.0)[32, 32]) < 1e-6


def test_local_contrast_is_the_spread_of_a_texture():
    board = np.indices((20, 20)).sum(0) % 2 * 2.0
    assert np.allclose(
        of("local_contrast", board)[5:-5, 5:-5], np.sqrt(12 * 13) / 25 * 2, atol=1e-6
    )


def test_row_column_ratio_tells_a_row_of_bright_pixels_from_a_column():
    image = np.zeros((11, 11))
    image[5] = 1.0
    assert of("ratio_row_column", image)[5, 5] > 3
    assert of("ratio_row_column", image.T)[5, 5] < 1 / 3


def test_local_global_ratio_does_not_change_with_the_gain_of_the_scanner():
    image = np.random.default_rng(0).random((30, 30)) + 1
    once, twice = of("ratio_local_global", image), of("ratio_local_global", image * 2)
    assert np.allclose(once, twice, rtol=1e-5)


def test_a_window_clips_and_scales():
    image = np.array([[-2000.0, -100.0, 0.0, 100.0, 3000.0]])
    assert np.allclose(of("intensity", image, window=(-100, 100)), [[0, 0, 0.5, 1, 1]])


def test_mirrored_slices_have_mirrored_features():
    image = np.random.default_rng(5).normal(size=(19, 26)).astype(np.float32)
    plain, mirrored = features(image), features(image[:, ::-1])[:, :, ::-1]
    sign = np.ones(10)
    sign[FEATURES.index("anisotropy_q")] = -1
    assert np.abs(plain - mirrored * sign[:, None, None]).max() < 1e-5


def test_any_strides_give_the_same_features():
    image = np.random.default_rng(6).normal(size=(40, 30)).astype(np.float32)
    strided = np.asfortranarray(image)[::2, ::3]
    assert np.array_equal(features(strided), features(image[::2, ::3].copy()))


def test_slices_that_cannot_be_written_to_are_read_all_the_same():
    image = np.random.default_rng(6).normal(size=(9, 12)).astype(np.float32)
    locked = image.copy()
    locked.flags.writeable = False  # as arrays from Ray's store are
    assert np.array_equal(features(locked), features(image))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float64])
def test_values_of_any_type_are_taken(dtype):
    image = np.random.default_rng(6).integers(0, 200, (9, 12))
    assert np.array_equal(features(image.astype(dtype)), features(image.astype(np.float32)))


def test_pixels_without_data_have_no_features_and_make_no_edge():
    image = np.full((15, 15), 4.0, np.float32)
    image[5:8, 6] = np.nan
    stack = features(image)
    assert np.array_equal(np.isnan(stack).any(0), np.isnan(image))
    assert np.array_equal(np.isnan(stack).all(0), np.isnan(image))
    assert np.nanmax(np.abs(stack[[1, 2, 3]])) == 0.0


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
def test_a_slice_full_of_holes_has_the_features_of_the_filled_one(share):
    rng = np.random.default_rng(11)
    image = rng.normal(20, 80, (37, 41)).astype(np.float32)
    image[rng.random(image.shape) < share] = np.nan
    window = (-100.0, 150.0)
    found = features(image, window)
    clipped = np.clip(image, *window)  # NaN stays
    expected = naive_features.features(naive_features.filled(clipped), window)
    # All but the last, which is told against the mean of the pixels that are there.
    there = ~np.isnan(image)
    assert np.abs(found - expected)[:9, there].max() < 1e-5
    mean = np.clip((image[there].astype(float) + 100) / 250, 0, 1).mean()
    assert np.abs(found[9, there] - (expected[5, there] + 0.05) / (mean + 0.05)).max() < 1e-5
    assert np.isnan(found[:, ~there]).all()


def test_a_hole_only_touches_the_pixels_within_reach():
    image = np.random.default_rng(7).normal(size=(30, 30)).astype(np.float32)
    holed = image.copy()
    holed[10, 10] = np.nan
    same = features(image)[:9] == features(holed)[:9]  # the last is relative to the slice's mean
    y, x = np.mgrid[:30, :30]
    assert same[:, np.maximum(abs(y - 10), abs(x - 10)) > 3].all()


def test_a_slice_without_any_data_is_all_nan():
    assert np.isnan(features(np.full((4, 5), np.nan, np.float32))).all()


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (np.zeros((2, 3, 4)), {}, "must be"),
        (np.zeros((0, 4)), {}, "at least one pixel"),
        (np.zeros((4, 4)), {"window": (5, 5)}, "low < high"),
        (np.zeros((4, 4)), {"window": (np.nan, 5)}, "low < high"),
        (np.zeros((4, 4)), {"spacing_mm": (0.0, 1.0)}, "positive"),
        (np.array([[np.inf, 0.0]]), {}, "infinite"),
    ],
)
def test_what_cannot_be_used_is_refused_with_one_clear_error(image, options, words):
    with pytest.raises(ShapeError, match=words):
        features(image, **options)


def test_an_infinite_value_is_clipped_by_a_window():
    stack = features(np.array([[np.inf, 0.0, -np.inf]], np.float32), window=(-1, 1))
    assert np.allclose(stack[0], [[1, 0.5, 0]])


def test_a_stack_is_channel_major_and_in_the_order_asked_for():
    image = np.random.default_rng(8).normal(size=(2, 12, 13)).astype(np.float32)
    windows = [(-1.0, 1.0), None]
    stack = feature_stack(image, windows, ("edge", "intensity"), (1.0, 2.0))
    first, second = (
        features(image[0], (-1.0, 1.0), (1.0, 2.0)),
        features(image[1], None, (1.0, 2.0)),
    )
    assert np.array_equal(stack, np.stack([first[1], first[0], second[1], second[0]]))
    whole = feature_stack(image, windows, FEATURES, (1.0, 2.0))
    assert np.array_equal(whole, np.concatenate([first, second]))


@pytest.mark.parametrize(
    ("shape", "windows", "names", "words"),
    [
        ((12, 13), [None], FEATURES, r"\(c, y, x\)"),
        ((2, 12, 13), [None], FEATURES, "1 windows for 2 channels"),
        ((1, 12, 13), [None], ("edg",), "unknown features"),
        ((1, 12, 13), [None], ("edge", "edge"), "each once"),
        ((1, 12, 13), [None], (), "must be named"),
    ],
)
def test_a_stack_refuses_what_does_not_fit(shape, windows, names, words):
    with pytest.raises(ShapeError, match=words):
        feature_stack(np.zeros(shape, np.float32), windows, names)
