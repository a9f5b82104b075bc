"""Colours of series: legible on their page, and apart for everybody."""

import re
from importlib import resources
from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from somray.report.drawing.style import SERIES

# Machado, Oliveira & Fernandes, "A physiologically-based model for simulation of color vision deficiency",
# IEEE TVCG 15, 2009: what is seen without the cones for red, green and blue, of linear RGB.
SIGHTS = {
    "all cones": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
THEMES = ("light", "dark", "print")
LEAST = 11.0  # ΔE 2000 between any two
FIRST_FOUR = 15.0  # most charts have no more
TEXT = 4.5  # contrast: names stand in their line's colour


def theme(name: str) -> dict[str, np.ndarray]:
    """Return a page's colours as linear RGB."""
    text = resources.files("somray.report").joinpath("templates/style.css").read_text("utf-8")
    part = re.findall(r":root \{(.*?)\}", text, re.DOTALL)[THEMES.index(name)]
    found = re.findall(r"--([\w-]+): #([0-9a-f]{3,6});", part)
    codes = {key: code if len(code) == 6 else "".join(2 * c for c in code) for key, code in found}
    return {
        key: _linear(np.array([int(code[at : at + 2], 16) for at in (0, 2, 4)]) / 255)
        for key, code in codes.items()
    }


def _linear(coded: np.ndarray) -> np.ndarray:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _coded(linear: np.ndarray) -> np.ndarray:
    clipped = np.clip(linear, 0, 1)
    return np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)


def series(name: str) -> np.ndarray:
    return np.stack([theme(name)[f"series-{n}"] for n in range(len(SERIES))])


def seen(colours: np.ndarray, sight: str) -> np.ndarray:
    return rgb2lab(_coded(colours @ np.asarray(SIGHTS[sight]).T)[None])[0]


@pytest.mark.parametrize("sight", SIGHTS)
@pytest.mark.parametrize("name", THEMES)
def test_any_two_series_are_told_apart(name, sight):
    found = seen(series(name), sight)
    apart = {(a, b): deltaE_ciede2000(found[a], found[b]) for a, b in combinations(range(len(found)), 2)}  # fmt: skip
    assert min(apart.values()) > LEAST
    assert min(d for (_, b), d in apart.items() if b < 4) > FIRST_FOUR


@pytest.mark.parametrize("name", THEMES)
def test_a_name_in_its_lines_colour_can_be_read(name):
    weights = np.array([0.2126, 0.7152, 0.0722])
    paper, sheet = (theme(name)[key] @ weights for key in ("paper", "sheet"))
    for own in series(name) @ weights:
        for ground in (paper, sheet):
            assert (max(own, ground) + 0.05) / (min(own, ground) + 0.05) >= TEXT
