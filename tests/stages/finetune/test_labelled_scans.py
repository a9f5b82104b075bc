"""What is learned from a scan with a truth, and how a mask is held against it: drawn by hand, voxel by voxel."""

import nibabel as nib
import numpy as np
import pytest

from somray.domain.run import ScanPlace
from somray.domain.segmenter import SegmenterModel
from somray.io.ome.image import read_brick, read_meta
from somray.io.storage import Storage
from somray.kernels.metrics.overlap import agreement
from somray.kernels.pretrain.networks.shapes import network_of_spec
from somray.kernels.pretrain.segmenter import new_segmenter
from somray.kernels.pretrain.spec import PretrainSpec
from somray.kernels.student.network import unet_weights
from somray.stages.finetune.judge import figures, labelled_as, segmented
from somray.stages.finetune.labelled import LabelledScan, examples_of, truth_of
from somray.stages.pretrain.images import EncoderView
from tests.commands.ingested import balls, ingested

SHAPE = (9, 20, 18)
WINDOWS = ((-3.0, 3.0), (-3.0, 3.0))
CHANNELS, KINDS = ("a", "b"), ("other", "other")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A scan whose truth covers slices 3 to 5, and whose lesion is a ball elsewhere; a channel lacks its first rows."""
    folder = tmp_path_factory.mktemp("labelled")
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
    (brick,) = read_meta(Storage.at(run), place.name).bricks(0)
    values = read_brick(Storage.at(run), place.name, brick)
    assert not np.isfinite(values[1, :, :2]).any()
    return LabelledScan(place, str(folder / "truth.nii.gz")), truth > 0, values


def view(dimensions, size_mm):
    return EncoderView(dimensions, (size_mm, size_mm), KINDS, WINDOWS)


def test_the_union_of_labels_is_learned_where_there_is_data(scan):
    labelled, truth, values = scan
    np.testing.assert_array_equal(truth_of(labelled), truth)
    examples = examples_of(labelled, truth, view(2, 1.0), 2**20)
    assert len(examples) == SHAPE[0]
    for z, example in enumerate(examples):
        np.testing.assert_array_equal(example.target, truth[z])
        np.testing.assert_array_equal(example.weight, np.isfinite(values[:, z]).all(axis=0))
        np.testing.assert_array_equal(example.values, values[:, z])


def test_few_slices_are_chosen_with_target_and_without(scan):
    labelled, truth, _ = scan
    most = 6 * truth[0].size * 4
    examples = examples_of(labelled, truth, view(2, 1.0), most)
    shown = [bool(example.target.any()) for example in examples]
    assert (len(shown), sum(shown)) == (6, 3)


def test_a_volume_has_the_share_of_each_block(scan):
    labelled, truth, _ = scan
    (example,) = examples_of(labelled, truth, view(3, 2.0), 2**20)
    assert example.values.shape[1:] == example.target.shape
    assert example.target.ndim == 3
    assert 0 < example.target.max() <= 1
    volume = truth.sum() * 2.0
    block = 2.0 * 2.0 * 2.0
    assert example.target.sum() * block == pytest.approx(volume, rel=0.15)


def test_figures_are_those_of_whole_masks(scan):
    labelled, truth, _ = scan
    z, y, x = np.indices(SHAPE)
    lesion = (x - 8) ** 2 + (y - 9) ** 2 + (2 * z - 8) ** 2 < 3.5**2
    found = figures(labelled_as(labelled.place, "lesions"), truth)
    expected = agreement(lesion, truth)
    assert found == {name: expected[name] for name in ("dice", "iou", "precision", "recall")}
    nothing = figures(labelled_as(labelled.place, "lesions"), np.zeros(SHAPE, bool))
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
