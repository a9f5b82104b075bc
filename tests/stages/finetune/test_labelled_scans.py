"""What is learned from a scan with a truth, and how a mask is held against it: drawn by hand, voxel by voxel."""

import tracemalloc
from contextlib import ExitStack, closing

import nibabel as nib
import numpy as np
import pytest

from somray.domain.brick import Brick
from somray.domain.geometry import Geometry
from somray.domain.run import ScanPlace
from somray.domain.segmenter import SegmenterModel
from somray.io.ome import metadata
from somray.io.ome.image import read_brick, read_meta
from somray.io.storage import Storage
from somray.kernels.metrics.overlap import agreement
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.segmenter import new_segmenter
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.student.network import unet_weights
from somray.stages.finetune import held_truth
from somray.stages.finetune.held_truth import HeldTruth
from somray.stages.finetune.judge import figures, labelled_as, segmented, segmented_bricks
from somray.stages.finetune.labelled import LabelledScan, examples_of, truth_of
from somray.stages.pretrain.images import EncoderView
from somray.stages.reading import truth_mask
from tests.commands.ingested import balls, ingested

SHAPE = (9, 20, 18)
WINDOWS = ((-3.0, 3.0), (-3.0, 3.0))
CHANNELS, KINDS = ("a", "b"), ("other", "other")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan with its truth and values, whose slices are whole."""
    return taken_in(tmp_path_factory.mktemp("labelled"))


def taken_in(folder):
    """A scan whose truth covers slices 3 to 5, and whose lesion is a ball elsewhere; a channel lacks its first rows."""
    first, second = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    truth = np.zeros(SHAPE, np.uint8)
    truth[3:6, 5:12, 4:10] = 1
    truth[5, 6, 6] = 2
    affine = np.diag([-1.0, -1, 2, 1])
    lower = affine.copy()
    lower[1, 3] = -3.0
    nib.Nifti1Image(first.T, affine).to_filename(folder / "a.nii.gz")
    nib.Nifti1Image(second[:, 3:].T, lower).to_filename(folder / "b.nii.gz")
    nib.Nifti1Image(truth.T, affine).to_filename(folder / "truth.nii.gz")
    rows = [("s", "t0", f"{name}.nii.gz", name) for name in CHANNELS]
    run = ingested(folder, rows, balls((8, 9, 8, 3.5)), channels=CHANNELS)
    place = ScanPlace(str(run), "s", "t0")
    values = read_brick(Storage.at(run), place.name, Brick.of_slices(0, 0, SHAPE[0], SHAPE[1:]))
    assert not np.isfinite(values[1, :, :2]).any()
    return LabelledScan(place, str(folder / "truth.nii.gz")), truth > 0, values


@pytest.fixture
def held():
    """Lays masks aside, and closes them."""
    with ExitStack() as opened:

        def laid(truth):
            found = opened.enter_context(closing(HeldTruth(truth.shape)))
            for z, plane in enumerate(truth):
                found.put(z, plane)
            return found

        yield laid


def view(dimensions, size_mm):
    return EncoderView(dimensions, (size_mm, size_mm), KINDS, WINDOWS)


def test_any_box_of_a_truth_is_read_as_it_was_drawn(scan, monkeypatch):
    labelled, truth, _ = scan
    monkeypatch.setattr(held_truth, "BAND_ROWS", 7)
    with closing(truth_of(labelled)) as found:
        assert (found.shape, found.voxels) == (SHAPE, int(truth.sum()))
        np.testing.assert_array_equal(found.shown, truth.any(axis=(1, 2)))
        rng = np.random.default_rng(0)
        for _ in range(50):
            (z0, z1), (y0, y1), (x0, x1) = (sorted(rng.choice(n + 1, 2, False)) for n in SHAPE)
            box = Brick(0, z0, z1, y0, y1, x0, x1)
            np.testing.assert_array_equal(found.read(box), truth[box.box])


@pytest.mark.parametrize("shift_mm", [0.0, 1.0])
def test_a_truth_takes_no_more_memory_for_more_slices(tmp_path, monkeypatch, shift_mm):
    monkeypatch.setattr(truth_mask, "VOXELS_AT_ONCE", 4 * 128 * 128)
    monkeypatch.setattr("somray.io.spool._IN_MEMORY", 1 << 16)
    peaks, affine = [], np.diag([1.0, 1, 2, 1])
    affine[0, 3] = shift_mm
    for depth in (16, 16, 160):  # the first for what is imported on the way
        mask = np.zeros((depth, 128, 128), np.uint8)
        mask[:, 30:50, 40:60] = 1
        path = tmp_path / f"{depth}.nii"
        nib.Nifti1Image(mask.T, np.diag([-1.0, -1, 2, 1])).to_filename(path)
        geometry = Geometry.from_matrix(mask.shape, affine)
        tracemalloc.start()
        with closing(HeldTruth.of(str(path), geometry, 1)) as found:
            peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found.voxels == depth * 20 * 20
    assert peaks[2] - peaks[1] < 144 * 128 * 128 / 8  # less than a bit a voxel


def test_a_truth_on_another_grid_is_the_same_in_bands_of_rows(scan, monkeypatch):
    labelled, _, _ = scan
    shape = (7, 31, 27)
    matrix = np.diag([0.7, 0.6, 2.5, 1.0])
    matrix[0, 1], matrix[1, 2] = 0.1, 0.2
    found = []
    for at_once in (10**6, 40):
        monkeypatch.setattr(truth_mask, "VOXELS_AT_ONCE", at_once)
        geometry = Geometry.from_matrix(shape, matrix)
        with closing(truth_mask.TruthOnGrid(labelled.path, geometry)) as truth:
            found.append(np.concatenate([block for _, block in truth.labels()]))
    assert found[0].any()
    np.testing.assert_array_equal(*found)


def test_the_union_of_labels_is_learned_where_there_is_data(scan, held):
    labelled, truth, values = scan
    examples = examples_of(labelled, held(truth), view(2, 1.0), 2**20)
    assert len(examples) == SHAPE[0]
    for z, example in enumerate(examples):
        np.testing.assert_array_equal(example.target, truth[z])
        np.testing.assert_array_equal(example.weight, np.isfinite(values[:, z]).all(axis=0))
        np.testing.assert_array_equal(example.values, values[:, z])


def test_few_slices_are_chosen_with_target_and_without(scan, held):
    labelled, truth, _ = scan
    most = 6 * truth[0].size * 4
    examples = examples_of(labelled, held(truth), view(2, 1.0), most)
    shown = [bool(example.target.any()) for example in examples]
    assert (len(shown), sum(shown)) == (6, 3)


def test_a_volume_has_the_share_of_each_block(scan, held):
    labelled, truth, _ = scan
    (example,) = examples_of(labelled, held(truth), view(3, 2.0), 2**20)
    assert example.values.shape[1:] == example.target.shape
    assert example.target.ndim == 3
    assert 0 < example.target.max() <= 1
    volume = truth.sum() * 2.0
    block = 2.0 * 2.0 * 2.0
    assert example.target.sum() * block == pytest.approx(volume, rel=0.15)


def test_figures_are_those_of_whole_masks(scan, held):
    labelled, truth, _ = scan
    z, y, x = np.indices(SHAPE)
    lesion = (x - 8) ** 2 + (y - 9) ** 2 + (2 * z - 8) ** 2 < 3.5**2
    found = figures(labelled_as(labelled.place, "lesions"), held(truth))
    expected = agreement(lesion, truth)
    assert found == {name: expected[name] for name in ("dice", "iou", "precision", "recall")}
    nothing = figures(labelled_as(labelled.place, "lesions"), held(np.zeros(SHAPE, bool)))
    assert nothing["recall"] is None
    assert nothing["dice"] == 0.0


def constant_segmenter(dimensions, bias):
    """A network that says the same of every pixel."""
    spec = PretrainSpec("unet", "small", dimensions, CHANNELS, KINDS, WINDOWS, "nodes", (), 0, 1)
    network = network_of_spec(spec)
    module = new_segmenter(network, 0)
    module.head.weight.data.zero_()
    module.head.bias.data.fill_(bias)
    size = 1.0 if dimensions == 2 else 2.0
    return SegmenterModel(
        unet_weights(module), network, CHANNELS, KINDS, WINDOWS, 16, (size, size), "lesion"
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_what_has_no_data_is_never_target(scan, dimensions):
    labelled, _, values = scan
    known = np.isfinite(values).all(axis=0)
    for bias, expected in ((4.0, known), (-4.0, np.zeros(SHAPE, bool))):
        found = np.zeros(SHAPE, bool)
        seen = np.zeros(SHAPE, int)
        for box, mask in segmented(labelled.place, constant_segmenter(dimensions, bias)):
            found[box.box] = mask
            seen[box.box] += 1
        assert (seen == 1).all()
        if dimensions == 2 or bias < 0:
            np.testing.assert_array_equal(found, expected)
        else:  # a block without data beside it ends within it
            assert not found[~known].any()
            assert found[known].mean() > 0.9


@pytest.mark.parametrize("dimensions", [2, 3])
def test_cut_slices_teach_and_are_judged_as_whole_ones(
    scan, held, dimensions, tmp_path, monkeypatch
):
    whole = learned_and_judged(scan[0], held(scan[1]), dimensions)
    monkeypatch.setattr(metadata, "TILE_PIXELS", 10)
    monkeypatch.setattr(metadata, "MAX_SLAB_BYTES", 2 * 4 * 2 * 10 * 10)
    cut = taken_in(tmp_path)
    assert read_meta(Storage.at(cut[0].place.root), cut[0].place.name).is_cut
    for one, other in zip(
        whole, learned_and_judged(cut[0], held(scan[1]), dimensions), strict=True
    ):
        np.testing.assert_equal(one, other)


def learned_and_judged(labelled, truth, dimensions):
    """What is learned from a scan, what a segmenter draws on it, and how that is judged."""
    place, model = labelled.place, noisy_segmenter(dimensions)
    seen = view(dimensions, 1.0 if dimensions == 2 else 2.0)
    lessons = [(e.values, e.target, e.weight) for e in examples_of(labelled, truth, seen, 2**20)]
    mask = np.zeros(SHAPE, bool)
    for box, target in segmented(place, model):
        mask[box.box] = target
    assert 0.1 < mask.mean() < 0.9
    bricks = list(segmented_bricks(place, model, 0))
    assert [b for b, _ in bricks] == list(read_meta(Storage.at(place.root), place.name).bricks(0))
    for brick, target in bricks:
        np.testing.assert_array_equal(target, mask[brick.box])
    return lessons, mask, figures(segmented(place, model), truth)


def noisy_segmenter(dimensions):
    """A network that says here this, there that."""
    spec = PretrainSpec("unet", "small", dimensions, CHANNELS, KINDS, WINDOWS, "nodes", (), 0, 1)
    network = network_of_spec(spec)
    size = 1.0 if dimensions == 2 else 2.0
    return SegmenterModel(
        unet_weights(new_segmenter(network, 3)), network, CHANNELS, KINDS, WINDOWS, 16, (size, size)
    )
