"""Parts of slices are labelled and summed up to the bit as whole slices are."""

import json
from dataclasses import replace

import numpy as np
import pytest

from somray.errors import ShapeError
from somray.kernels.features.piece import ChannelScale, Piece
from somray.kernels.features.slab import HALO_Z
from somray.kernels.features.view import ScanSlices, gather
from somray.kernels.grids.patch import boxes, grown_box
from somray.kernels.teacher.apply import Transfer
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from somray.kernels.teacher.measure import SliceSource, measure_slice, noise_of_slice
from somray.kernels.teacher.signature import merge_signatures

SHAPE = (5, 77, 107)  # rows and columns that no tile divides


def scene(seed=0, noise=4.0, shape=SHAPE):
    """Draw pores in a solid, (z, y, x), with a gradient, so that no part looks like another."""
    rng = np.random.default_rng(seed)
    z, y, x = np.indices(shape)
    solid = 120 + 0.2 * y + 0.1 * x
    for cy, cx, r in rng.integers([0, 0, 3], [shape[1], shape[2], 9], (14, 3)):
        solid[(y - cy) ** 2 + (x - cx) ** 2 + 4 * (z - 2) ** 2 < r * r] = 35
    return (solid + rng.normal(0, noise, shape)).astype(np.float32)


def with_holes(volume):
    holed = volume.copy()
    holed[1, 28:36, 40:70] = np.nan  # over the borders of four tiles
    holed[2, 60:] = np.nan
    holed[3] = np.nan
    return holed


def fitted(**settings):
    spec = TeacherSpec("XCT", ("XCT",), windows=((0.0, 255.0),), epochs=2, **settings)
    depth = 5 if settings.get("dimensions") == 3 else 1
    spacing = (0.6, 0.5, 0.5)
    return fit_teacher(scene(9)[:depth, None], spec, spacing).model


def pieces_of(transfer, volume, spacing, size):
    """Cut a volume (z, y, x) into pieces with their halo, measured part by part."""
    view, shape = transfer.view, volume.shape[1:]
    scales = []
    for plane in volume:
        source = SliceSource(
            lambda b, plane=plane: plane[None, b[0] : b[1], b[2] : b[3]], shape, spacing, size
        )
        told = json.loads(
            json.dumps([channel.as_json() for channel in measure_slice(view, source)])
        )
        scales.append(tuple(ChannelScale.from_json(one) for one in told))
    deep = HALO_Z if view.dimensions == 3 else 0
    for z in range(len(volume)):
        first, last = max(z - deep, 0), min(z + deep + 1, len(volume))
        for box in boxes(shape, size):
            y0, y1, x0, x1 = grown_box(box, transfer.halo(spacing), shape)
            piece = Piece((y0, x0), shape, box, tuple(scales[first:last]))
            images = volume[first:last, None, y0:y1, x0:x1]
            context = (z - first, last - z - 1)
            yield z, box, ScanSlices(images, spacing, None, context, 0.6, piece=piece)


CASES = {
    "plain": ({}, {}, (0.5, 0.5)),
    "holes": ({}, {"holes": True}, (0.5, 0.5)),
    "finer": ({}, {"holes": True}, (0.31, 0.4)),
    "coarser": ({}, {}, (1.3, 0.9)),
    "noisy": ({"denoise": "auto"}, {"noise": 30.0, "holes": True}, (0.5, 0.5)),
    "noisy, finer": ({"denoise": "auto"}, {"noise": 40.0, "holes": True}, (0.27, 0.3)),
    "always denoised": ({"denoise": "nlm"}, {}, (0.5, 0.5)),
    "voted": ({"smoothing_mm": 0.8}, {"holes": True}, (0.5, 0.5)),
    "three dimensions": ({"dimensions": 3}, {"holes": True}, (0.5, 0.5)),
    "three dimensions, finer, voted": (
        {"dimensions": 3, "smoothing_mm": 0.6},
        {"holes": True},
        (0.31, 0.4),
    ),
}


@pytest.fixture(scope="module")
def models():
    kept = {}

    def model(**settings):
        key = tuple(sorted(settings.items()))
        if key not in kept:
            kept[key] = fitted(**settings)
        return kept[key]

    return model


@pytest.mark.parametrize("name", CASES)
def test_pieces_are_labelled_and_summed_up_as_the_whole_slice(name, models):
    settings, drawn, spacing = CASES[name]
    transfer = Transfer(models(**settings))
    volume = scene(1, drawn.get("noise", 4.0))
    volume = with_holes(volume) if drawn.get("holes") else volume
    whole = transfer.sign(ScanSlices(volume[:, None], spacing, spacing_z_mm=0.6))
    assert set(np.unique(whole.labels)) >= {2, 3}
    signatures = []
    for z, (y0, y1, x0, x1), piece in pieces_of(transfer, volume, spacing, (32, 40)):
        found = transfer.sign(piece)
        signatures.append(found.signature)
        assert np.array_equal(found.labels[0], whole.labels[z, y0:y1, x0:x1])
        assert np.array_equal(found.confidence[0], whole.confidence[z, y0:y1, x0:x1])
    joined = merge_signatures(signatures)
    assert joined.as_json() == whole.signature.as_json()
    if "noisy" in name:
        quiet = Transfer(replace(transfer.model, denoise="none"))
        assert not np.array_equal(
            quiet.label(ScanSlices(volume[:, None], spacing)).labels, whole.labels
        )


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.31, 0.4)])
def test_raw_features_of_pieces_are_those_of_the_whole_slice(models, spacing):
    transfer, volume = Transfer(models()), with_holes(scene(2))
    view, (rows, columns) = transfer.view.fitting, SHAPE[1:]
    image = volume[1]
    drawn = np.full((10, rows, columns), np.nan, np.float32)
    known = np.isfinite(image)
    drawn[:, known] = gather(view, ScanSlices(image[None, None], spacing))
    for z, (y0, y1, x0, x1), piece in pieces_of(transfer, volume[1:2], spacing, (32, 40)):
        assert z == 0
        part = drawn[:, y0:y1, x0:x1]
        found = gather(view, piece)
        assert np.array_equal(found, part[:, np.isfinite(image[y0:y1, x0:x1])])


def test_noise_is_measured_part_by_part_as_in_the_whole(models):
    view, image = Transfer(models(denoise="auto")).view, scene(3, 20.0)[0]
    found = [
        noise_of_slice(
            view,
            SliceSource(lambda b: image[None, b[0] : b[1], b[2] : b[3]], SHAPE[1:], (1, 1), part),
        )[0]
        for part in ((32, 40), (512, 512))
    ]
    assert np.array_equal(found[0].shares, found[1].shares)
    assert np.array_equal(found[0].blocks, found[1].blocks)


def test_infinite_values_are_refused_wherever_they_lie(models):
    transfer, volume = Transfer(models()), scene(4)
    volume[0, 70, 100] = np.inf
    with pytest.raises(ShapeError, match="infinite"):
        list(pieces_of(transfer, volume, (0.5, 0.5), (32, 40)))


def test_pieces_that_know_too_little_of_their_slice_are_refused(models):
    transfer, volume = Transfer(models()), scene(5)
    *_, (_, _, piece) = pieces_of(transfer, volume, (0.31, 0.4), (32, 40))
    bare = replace(
        piece,
        images=piece.images[:, :, 20:],
        piece=replace(piece.piece, corner=(piece.piece.corner[0] + 20, piece.piece.corner[1])),
    )
    with pytest.raises(ShapeError, match="outside"):
        transfer.sign(bare)
