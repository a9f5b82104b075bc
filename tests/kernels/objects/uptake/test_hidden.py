"""What a hotter thing tears to pieces is one lesion again; what is whole, faint or a rest of blur is left alone."""

import numpy as np
import pytest
from scipy import ndimage

from somray.kernels.objects.found import LESION
from somray.kernels.objects.uptake import rule
from somray.kernels.objects.uptake.find import uptake_scene
from somray.kernels.objects.uptake.rule import find_hot_objects

SHAPE = (36, 56, 56)
SPACING = (4.0, 4.0, 4.0)
TUMOUR = (18, 26, 20)


def away(centre):
    """Distance from a place in voxels."""
    grid = np.ogrid[tuple(slice(n) for n in SHAPE)]
    return np.sqrt(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)))


def crop(urine=None, uptake=60.0, seed=0):
    """A crop filled by tissue with a patchy tumour of 36 mm radius, and a ball of urine of 20 mm where it is wanted."""
    rng = np.random.default_rng(seed)
    patches = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2.2)
    tumour = away(TUMOUR) <= 9
    pet = rng.normal(1.0, 0.03, SHAPE)
    pet[tumour] = np.clip(4.5 + 1.6 * patches / patches.std(), 2.0, 8.0)[tumour]
    ct = np.full(SHAPE, 45.0)
    if urine is not None:
        pet[away(urine) <= 5], ct[away(urine) <= 5] = uptake, 3.0
    pet = ndimage.gaussian_filter(pet, 1.2)
    return uptake_scene(pet.astype(np.float32), ct.astype(np.float32), SPACING, True), tumour


def overlap(scene, tumour):
    """Dice of all lesions with the tumour."""
    labels, objects = find_hot_objects(scene)
    lesions = np.isin(labels, [o.number for o in objects if o.called == LESION])
    assert {o.number for o in objects} >= set(np.unique(labels[labels > 0]).tolist())
    return 2 * np.count_nonzero(lesions & tumour) / (np.count_nonzero(lesions) + tumour.sum())


@pytest.mark.parametrize(
    ("x", "uptake", "seed"), [(36, 60, 0), (36, 60, 1), (36, 60, 2), (33, 100, 1)]
)
def test_a_tumour_beside_a_bladder_is_found_as_if_alone(x, uptake, seed, monkeypatch):
    alone = overlap(*crop(seed=seed))
    scene, tumour = crop((18, 26, x), uptake, seed)
    assert alone > 0.85
    lost = 0.05 if x == 36 else 0.2  # what touches loses the urine's blur
    assert overlap(scene, tumour) > alone - lost
    monkeypatch.setattr(rule, "with_hidden", lambda scene, parts, least: parts)
    assert overlap(scene, tumour) < 0.5


@pytest.mark.parametrize("uptake", [12.0, 60.0, 300.0])
def test_a_bladder_alone_hides_nothing(uptake):
    scene, tumour = crop((18, 26, 40), uptake)
    quiet = np.where(away(TUMOUR) <= 13, 1.0, scene.pet).astype(np.float32)
    assert overlap(uptake_scene(quiet, scene.ct, SPACING, True), tumour) == 0
