"""Painted masks: palettes give indices, colors labels in their order, soft edges are refused."""

import numpy as np
import pytest
import tifffile
from imagecodecs import png_encode
from PIL import Image

from somray.errors import DataError
from somray.io.masks.label_masks import LabelMask
from somray.io.masks.opening import open_mask

RED, GREEN, BLUE = (255, 0, 0), (0, 200, 0), (0, 0, 255)
PLAN = np.array([[0, 1, 1, 3], [0, 2, 3, 3], [0, 0, 2, 2]])


def painted(plan, colors=((0, 0, 0), RED, GREEN, BLUE), alpha=False):
    """Paint a plan of indices."""
    found = np.array(colors, dtype=np.uint8)[plan]
    opaque = np.full((*plan.shape, 1), 255, np.uint8)
    return np.concatenate([found, opaque], axis=-1) if alpha else found


def read(path):
    with open_mask(str(path)) as source:
        source.verify()
        return source.read(0, 0, source.header.shape[1]).astype(int)


IN_ORDER = np.array([0, 3, 2, 1])[PLAN]  # blue is the least number, red the largest


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_palettes_indices_are_the_labels(tmp_path, bits):
    plan = PLAN % 2**bits
    picture = Image.fromarray(plan.astype(np.uint8), mode="P")
    picture.putpalette([0, 0, 0, *RED, *RED, 9, 9, 9])  # two entries of one color stay two
    picture.save(tmp_path / "m.png", bits=bits, transparency=0)
    np.testing.assert_array_equal(read(tmp_path / "m.png")[0], plan)
    with LabelMask(str(tmp_path / "m.png")) as mask:
        assert not mask.is_placed


def test_a_palette_in_tiff_gives_its_indices_slice_by_slice(tmp_path):
    colors = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype(np.uint16)
    stack = np.stack([PLAN, PLAN[::-1]]).astype(np.uint8)
    tifffile.imwrite(tmp_path / "m.tif", stack, photometric="palette", colormap=colors)
    np.testing.assert_array_equal(read(tmp_path / "m.tif"), stack)


@pytest.mark.parametrize("name", ["m.png", "m.tif"])
@pytest.mark.parametrize("alpha", [False, True])
def test_colors_are_labels_in_their_order_and_black_is_none(tmp_path, name, alpha):
    picture = painted(PLAN, alpha=alpha)
    if name == "m.png":
        (tmp_path / name).write_bytes(png_encode(picture))
    else:
        how = {"extrasamples": ["unassalpha"]} if alpha else {}
        tifffile.imwrite(tmp_path / name, picture, photometric="rgb", **how)
    np.testing.assert_array_equal(read(tmp_path / name)[0], IN_ORDER)


def test_colors_of_all_slices_are_told_apart_together(tmp_path):
    plans = [np.zeros_like(PLAN), np.where(PLAN == 1, 1, 0), PLAN]
    for n, plan in enumerate(plans):
        (tmp_path / f"m{n}.png").write_bytes(png_encode(painted(plan)))
    expected = np.array([0, 3, 2, 1])[np.stack(plans)]
    np.testing.assert_array_equal(read(tmp_path), expected)


def test_what_is_transparent_is_no_label_and_gray_is_its_own_value(tmp_path):
    picture = painted(PLAN, alpha=True)
    picture[..., 3][PLAN == 1] = 0
    (tmp_path / "m.png").write_bytes(png_encode(picture))
    np.testing.assert_array_equal(read(tmp_path / "m.png")[0], np.where(PLAN == 1, 0, IN_ORDER))
    gray = painted(PLAN, ((0, 0, 0), (7, 7, 7), (128, 128, 128), (255, 255, 255)))
    (tmp_path / "g.png").write_bytes(png_encode(gray))
    np.testing.assert_array_equal(read(tmp_path / "g.png")[0], np.array([0, 7, 128, 255])[PLAN])


def test_soft_edges_are_refused_in_one_sentence(tmp_path):
    soft = np.zeros((20, 20, 3), np.uint8)
    soft[..., 0] = np.arange(400).reshape(20, 20) % 70
    (tmp_path / "m.png").write_bytes(png_encode(soft))
    with pytest.raises(DataError, match=r"more than 64 colors.*antialiasing"):
        read(tmp_path / "m.png")


def test_slices_of_several_sizes_and_cut_files_are_refused(tmp_path):
    (tmp_path / "m0.png").write_bytes(png_encode(painted(PLAN)))
    (tmp_path / "m1.png").write_bytes(png_encode(painted(PLAN[:2])))
    with pytest.raises(DataError, match=r"\[mixed_series\]"):
        read(tmp_path)
    whole = (tmp_path / "m0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:60])
    with pytest.raises(DataError, match=r"\[truncated\]"):
        read(tmp_path / "cut.png")
