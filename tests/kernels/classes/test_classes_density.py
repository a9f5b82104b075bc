"""What CT tells beside PET: tissue by HU, lung inside the body, boundaries, and nothing of what is hot."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from somray.errors import ShapeError
from somray.kernels.classes.density import (
    DENSITY_REASONS,
    density_facts,
    retold_values,
    tell_by_density,
)
from somray.kernels.classes.told import joined_told, sums_by_class, told_of
from somray.kernels.features.view import ScanSlices, gather, view_of
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher.reference import Standard, describe, merge_descriptions

BACKGROUND, NORMAL, LESION, BOUNDARY, FAT, LUNG, DENSE, PHYSIOLOGICAL = 1, 2, 3, 4, 5, 6, 7, 10
COLD = (BACKGROUND, NORMAL, BOUNDARY)
SPACING = (1.0, 1.0)


def told(ct, labels=None, spacing=SPACING, values=COLD):
    found = np.full(np.shape(ct), NORMAL, np.uint8) if labels is None else labels.copy()
    tell_by_density(found, np.asarray(ct, "f4"), spacing, values)
    return found


def disc(size, middle, radius):
    y, x = np.mgrid[:size, :size]
    return np.hypot(y - middle[0], x - middle[1]) < radius


def chest(size=160, noise=0.0, lung=-820.0):
    """Air, skin fat, muscle, two lungs, a bone, a pocket of gas; (y, x) HU without partial volume."""
    middle = size / 2
    ct = np.full((size, size), -1000.0)
    ct[disc(size, (middle, middle), 0.45 * size)] = -100.0
    ct[disc(size, (middle, middle), 0.40 * size)] = 50.0
    for side in (-1, 1):
        ct[disc(size, (middle, middle + side * 0.2 * size), 0.13 * size)] = lung
    ct[disc(size, (0.77 * size, middle), 0.06 * size)] = 400.0
    ct[disc(size, (0.23 * size, middle), 0.04 * size)] = -980.0
    return ct + np.random.default_rng(1).normal(0, noise, ct.shape)


@pytest.mark.parametrize(
    ("hu", "expected"),
    [(-1000, BACKGROUND), (-201, BACKGROUND), (-199, FAT), (-31, FAT), (-29, NORMAL), (129, NORMAL),
     (131, DENSE), (3000, DENSE)],
)  # fmt: skip
def test_even_tissue_is_called_by_its_hu(hu, expected):
    assert (told(np.full((9, 9), float(hu))) == expected).all()


def test_a_chest_shows_its_tissues_where_they_are():
    ct = chest(noise=25.0)
    found = told(ct)
    clean = chest()
    expected = np.select([clean < -900, clean < -500, clean < -50, clean > 200], [1, 6, 5, 7], 2)
    inside = ndimage.minimum_filter(expected, 5) == ndimage.maximum_filter(expected, 5)
    for value in (BACKGROUND, NORMAL, FAT, LUNG, DENSE):
        assert (found == value)[inside & (expected == value)].mean() > 0.99


def test_a_boundary_lies_where_ct_is_steep_and_is_thin():
    found, ct = told(chest()), chest()
    boundary = found == BOUNDARY
    changes = ndimage.maximum_filter(ct, 5) - ndimage.minimum_filter(ct, 5)
    assert 0.01 < boundary.mean() < 0.08
    assert (changes[boundary] > 200).all()
    assert all(boundary[row, :20].any() for row in range(60, 100))  # the skin


def test_fat_beside_muscle_is_no_boundary():
    ct = np.full((20, 20), 50.0)
    ct[:, 10:] = -100.0
    found = told(ct)
    assert set(np.unique(found)) == {NORMAL, FAT}


def test_noise_alone_makes_no_boundary():
    ct = np.random.default_rng(0).normal(50, 40, (200, 200))
    assert not (told(ct) == BOUNDARY).any()


def test_what_the_border_cuts_and_what_is_gas_is_no_lung():
    whole = chest()
    assert (told(whole) == LUNG).any()
    assert not (told(whole[:, 50:110]) == LUNG).any()
    assert not (told(chest(lung=-960.0)) == LUNG).any()


def test_a_pocket_below_four_square_centimetres_is_gas():
    ct = np.full((60, 60), 50.0)
    ct[disc(60, (30, 30), 10)] = -800.0
    assert not (told(ct) == LUNG).any()
    assert (told(ct, spacing=(1.5, 1.5)) == LUNG).any()


@pytest.mark.parametrize("seed", range(3))
def test_regions_are_those_that_scipy_finds(seed):
    noise = np.random.default_rng(seed).normal(size=(120, 140))
    ct = np.where(ndimage.gaussian_filter(noise, 2.5) > 0.02, -800.0, 50.0)
    region, count = ndimage.label(ct < -200)
    around = np.pad(ct, 1, mode="edge")
    rise = np.hypot(around[2:, 1:-1] - around[:-2, 1:-1], around[1:-1, 2:] - around[1:-1, :-2])
    number = np.arange(count + 1)
    cut = np.isin(number, np.r_[region[0], region[-1], region[:, 0], region[:, -1]])
    large = np.bincount(region.ravel(), minlength=count + 1) >= 16
    is_lung = large & ~cut & np.isin(number, region[rise <= 200])
    is_lung[0] = False
    found = told(ct, spacing=(5.0, 5.0))  # no mean: 4 cm² are 16 pixels
    assert np.array_equal(found == LUNG, is_lung[region])
    assert 2 < is_lung.sum() < count


def test_what_is_not_asked_for_stays_to_the_pixel():
    labels = np.random.default_rng(0).integers(0, 12, (160, 160)).astype(np.uint8)
    found = told(chest(), labels)
    kept = ~np.isin(labels, COLD)
    assert np.array_equal(found[kept], labels[kept])
    assert np.array_equal(told(chest(), labels, values=()), labels)
    assert set(np.unique(found[~kept])) == {1, 2, 4, 5, 6, 7}


def test_pixels_without_data_are_air_to_their_neighbours():
    ct = np.full((12, 12), 50.0)
    ct[:, 6:] = np.nan
    found = told(ct)
    assert (found[:, :4] == NORMAL).all()
    assert (found[:, 5] == BOUNDARY).all()


def test_planes_of_other_shapes_are_refused():
    with pytest.raises(ShapeError, match="one shape"):
        told(np.zeros((3, 4)), np.zeros((4, 3), np.uint8))
    with pytest.raises(ShapeError, match="one shape"):
        told(np.zeros((3, 4)), np.zeros((3, 4), np.int32))
    assert told(np.zeros((0, 4))).shape == (0, 4)


def test_only_pet_beside_ct_is_told_anew_and_what_a_person_names_stays():
    assert retold_values(density_facts(("CT", "PET"), "lesion")) == COLD
    assert retold_values(density_facts(("CT", "PET"), "lesion", {"normal": [1]})) == (1, 4)
    assert not density_facts(("CT", "PET"), "normal")
    assert not density_facts(("CT",), "lesion")
    assert not density_facts(("PET",), "lesion")
    assert not retold_values({"subject_level": 2.0})


def hot_chest(seed=0):
    """A chest with a lesion beside the lung and a hot bladder of urine: (2, y, x)."""
    rng = np.random.default_rng(seed)
    ct = chest(noise=12.0)
    pet = np.where(ct > -500, 0.7, 0.2)
    lesion, urine = disc(160, (80, 80), 9), disc(160, (105, 62), 9)
    ct[lesion], ct[urine] = rng.normal(50, 12, lesion.sum()), rng.normal(3, 12, urine.sum())
    pet[lesion], pet[urine] = 8.0, 12.0
    pet = ndimage.gaussian_filter(pet, 2.0) * rng.uniform(0.95, 1.05, ct.shape)
    return np.stack([ct, pet]).astype("f4")


@pytest.fixture(scope="module")
def fit():
    return fit_teacher(hot_chest()[None], TeacherSpec("PETCT", ("CT", "PET")), SPACING)


def without_density(model):
    extra = {name: v for name, v in model.extra.items() if not name.startswith("density_")}
    return replace(model, extra=extra)


def test_lesion_and_physiological_are_the_same_bits_as_without_it(fit):
    image = hot_chest(3)[None]
    with_it = apply_teacher(fit.model, image, SPACING)
    bare = apply_teacher(without_density(fit.model), image, SPACING)
    for value in (0, LESION, PHYSIOLOGICAL):
        assert np.array_equal(with_it.labels == value, bare.labels == value)
        assert value == 0 or (with_it.labels == value).any()
    assert np.array_equal(with_it.confidence, bare.confidence)
    assert set(np.unique(with_it.labels)) == {1, 2, 3, 4, 5, 6, 7, 10}


def test_slices_threads_and_the_order_of_channels_change_no_class(fit):
    images = np.stack([hot_chest(seed) for seed in range(3)])
    together = apply_teacher(fit.model, images, SPACING, threads=2).labels
    alone = [apply_teacher(fit.model, image[None], SPACING).labels[0] for image in images]
    assert np.array_equal(together, alone)
    inner = apply_teacher(fit.model, images, SPACING, context=(1, 1)).labels
    assert np.array_equal(inner, together[1:2])
    turned = fit_teacher(images[:1, ::-1], TeacherSpec("PETCT", ("PET", "CT")), SPACING).model
    found = apply_teacher(turned, images[:1, ::-1], SPACING).labels
    assert (found == together[:1]).mean() > 0.99


def test_the_model_names_the_classes_and_says_why(fit):
    names = {5: "fat", 6: "lung", 7: "dense"}
    assert names.items() <= fit.model.class_names.items()
    for name in DENSITY_REASONS:
        assert fit.model.reasons[name] == DENSITY_REASONS[name]
    assert "lesion level" in fit.model.reasons["lesion"]


def test_a_teacher_carried_over_keeps_what_is_told(fit):
    spec = TeacherSpec("PETCT", ("CT", "PET"), refit=True)
    later = fit_teacher(hot_chest(4)[None], spec, SPACING, previous=fit.model).model
    assert retold_values(later.extra) == COLD
    assert later.class_names == fit.model.class_names
    older = fit_teacher(hot_chest(4)[None], spec, SPACING, previous=without_density(fit.model))
    assert not retold_values(older.model.extra)


def test_a_persons_word_about_nodes_beats_density(fit):
    chosen = [int(n) for n in np.flatnonzero(fit.model.node_classes == NORMAL)]
    spec = TeacherSpec("PETCT", ("CT", "PET"), classes={"normal": chosen})
    model = fit_teacher(hot_chest()[None], spec, SPACING).model
    labels = apply_teacher(model, hot_chest()[None], SPACING).labels
    bare = apply_teacher(without_density(model), hot_chest()[None], SPACING).labels
    assert np.array_equal(labels == NORMAL, (bare == NORMAL) | (labels == NORMAL))
    assert ((labels == NORMAL) >= (bare == NORMAL)).all()
    assert model.reasons["normal"].startswith("named by the configuration")


def test_the_table_describes_the_classes_as_the_map_shows_them():
    spec = TeacherSpec("PETCT", ("CT", "PET"), smoothing_mm=0)
    fit = fit_teacher(hot_chest()[None], spec, SPACING)
    labels = apply_teacher(fit.model, hot_chest()[None], SPACING).labels
    rows = [
        r for r in fit.cluster_rows if (r.kind, r.channel, r.feature) == ("class", "CT", "mean3")
    ]
    share = {r.class_name: r.share_fraction for r in rows}
    for value, name in fit.model.class_names.items():
        assert share[name] == pytest.approx((labels == value).mean(), abs=1e-4)
    assert all(r.mean is not None for r in rows)
    level = {r.class_name: r.mean for r in rows}
    assert level["lung"] < level["fat"] < level["dense"]


def test_the_table_of_a_cohort_adds_up_what_ct_tells():
    spec, images = TeacherSpec("PETCT", ("CT", "PET")), np.stack([hot_chest(n) for n in (0, 1)])
    model = fit_teacher(images, spec, SPACING).model
    view, standard = view_of(model), Standard(model.center, model.scale, model.feature_weights)
    parts = []
    for image in images:
        slices = ScanSlices(image[None], SPACING)
        features = standard.standardised(gather(view, slices))
        parts.append(
            describe(features, standard, model.codebook.weights, told=told_of(view, slices))
        )
    joined = merge_descriptions(parts)
    both = sums_by_class(model, joined.groups, joined.told)
    assert np.array_equal(
        both.counts, sum(sums_by_class(model, p.groups, p.told).counts for p in parts)
    )
    assert both.counts[LUNG] > 0
    assert both.counts.sum() == images[:, 0].size
    assert joined_told([None, None]) is None


def test_ct_alone_tells_a_reference_nothing():
    ct = hot_chest()[None, :1]
    model = fit_teacher(ct, TeacherSpec("CT", ("CT",)), SPACING).model
    assert told_of(view_of(model), ScanSlices(ct, SPACING)) is None
