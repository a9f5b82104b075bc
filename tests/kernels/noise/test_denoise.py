"""Slices noisier than the reference are denoised before a teacher looks at them, others never."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK

from somray import Teacher
from somray.errors import ShapeError
from somray.kernels.features.slab import HALO_Z
from somray.kernels.features.view import ScanSlices, calmed, gather, view_of
from somray.kernels.noise.denoise import calmed_plane, reference_noise
from somray.kernels.teacher.apply import Transfer, apply_teacher
from somray.kernels.teacher.fit import TeacherSpec, fit_teacher
from tests.kernels.teacher.test_teacher_inputs import CHANNELS, SPACING, scene

LESION = 3
WINDOW = (-150.0, 250.0)
SAME = (SPACING, SPACING)


def white(images, sigma, channel=0, seed=1):
    worse = images.copy()
    worse[:, channel] += sigma * np.random.default_rng(seed).normal(size=worse[:, channel].shape)
    return worse.astype(np.float32)


def fitted(modality="CT", denoise="auto", **options):
    image, _ = scene(modality)
    spec = TeacherSpec(modality, CHANNELS[modality], denoise=denoise, **options)
    spacing = (1.0, *SPACING) if options.get("dimensions") == 3 else SPACING
    return image, fit_teacher(image, spec, spacing).model


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize("modality", sorted(CHANNELS))
def test_quiet_slices_do_not_change_by_a_bit(modality):
    _, model = fitted(modality)
    images = np.concatenate([scene(modality, seed=seed)[0] for seed in range(3)])
    slices = ScanSlices(images, SPACING)
    found = calmed(view_of(model), slices)
    assert found.images is images
    with_it, none = (
        Transfer(model).label(slices),
        Transfer(replace(model, denoise="none")).label(slices),
    )
    assert with_it.labels.tobytes() == none.labels.tobytes()
    assert with_it.confidence.tobytes() == none.confidence.tobytes()


@pytest.mark.parametrize("modality", ["CT", "MR", "XCT"])
def test_a_noisy_slice_is_labelled_better_and_a_quiet_channel_stays(modality):
    image, model = fitted(modality)
    low, high = model.windows[0]
    worse = white(image, 0.15 * (high - low))
    clean = apply_teacher(model, image, SPACING).labels
    auto = apply_teacher(model, worse, SPACING).labels
    none = apply_teacher(replace(model, denoise="none"), worse, SPACING).labels
    assert (auto == clean).mean() > (none == clean).mean()
    seen = calmed(view_of(model), ScanSlices(worse, SPACING)).images
    assert np.array_equal(seen[:, 1:], worse[:, 1:])


def test_uptake_is_left_alone():
    image, model = fitted("PETCT", windows=(WINDOW, None))
    worse = white(white(image, 1.0, channel=1), 60.0)
    for denoise in ("auto", "nlm"):
        view = replace(view_of(model), denoise=denoise)
        seen = calmed(view, ScanSlices(worse, SPACING)).images
        assert not np.array_equal(seen[:, 0], worse[:, 0])
        assert np.array_equal(seen[:, 1], worse[:, 1])
    assert model.noise[1] == ()
    assert fitted("PET")[1].noise == ((),)


def test_as_much_noise_is_left_as_the_reference_holds_at_least():
    rng = np.random.default_rng(0)
    plane = (50 + 10 * rng.normal(size=(128, 128))).astype(np.float32)
    (noise,) = reference_noise(plane[None, None], (WINDOW,), ("CT",))
    worse = plane + (30 * rng.normal(size=plane.shape)).astype(np.float32)
    found = calmed_plane(worse, WINDOW, noise, SAME)
    assert 10 < found.std() < 0.55 * worse.std()
    assert calmed_plane(worse, WINDOW, None, SAME).std() < 0.3 * worse.std()
    assert calmed_plane(plane, WINDOW, noise, SAME) is None


def test_a_reference_that_does_not_tell_its_noise_leaves_every_slice_as_it_is():
    flat = np.full((1, 1, 12, 12), 50.0, np.float32)
    (noise,) = reference_noise(flat, (WINDOW,), ("CT",))
    assert min(noise) > 1000
    assert calmed_plane(white(np.zeros((1, 1, 64, 64)), 60.0)[0, 0], WINDOW, noise, SAME) is None


def test_smaller_pixels_are_not_taken_for_noise():
    rng = np.random.default_rng(0)
    fine = (50 + 20 * rng.normal(size=(200, 200))).astype(np.float32)
    coarse = fine.reshape(100, 2, 100, 2).mean(axis=(1, 3))
    (noise,) = reference_noise(coarse[None, None], (WINDOW,), ("CT",))
    own, reference = (0.5, 0.5), (1.0, 1.0)
    assert calmed_plane(fine, WINDOW, noise, (own, reference)) is None
    assert calmed_plane(fine, WINDOW, noise, (reference, reference)) is not None
    worse = (50 + 80 * rng.normal(size=(200, 200))).astype(np.float32)
    assert calmed_plane(worse, WINDOW, noise, (own, reference)).std() < 40


@pytest.mark.parametrize("dimensions", [2, 3])
def test_labels_do_not_depend_on_how_a_scan_is_cut(dimensions):
    _, model = fitted(dimensions=dimensions, smoothing_mm=0)
    images = np.concatenate([scene("CT", size=40, seed=s)[0] for s in range(7)])
    images[2:5] = white(images[2:5], 60.0)
    images[3, 0, 5:9, 30] = np.nan
    look = {"spacing_z_mm": 1.0} if dimensions == 3 else {}
    whole = apply_teacher(model, images, SPACING, **look)
    none = apply_teacher(replace(model, denoise="none"), images, SPACING, **look)
    assert not np.array_equal(whole.labels, none.labels)
    halo = HALO_Z if dimensions == 3 else 0
    for z in range(0, 7, 2):
        end = min(z + 2, 7)
        first, last = max(0, z - halo), min(7, end + halo)
        cut = {"context": (z - first, last - end), "threads": 2, **look}
        part = apply_teacher(model, images[first:last], SPACING, **cut)
        assert np.array_equal(part.labels, whole.labels[z:end])
        assert np.array_equal(part.confidence, whole.confidence[z:end])
    assert np.array_equal(whole.labels == 0, np.isnan(images[:, 0]))


def test_slices_are_denoised_once_and_alike_for_labels_and_features():
    image, model = fitted()
    given = white(image, 60.0)
    noisy = ScanSlices(given, SPACING)
    once = calmed(view_of(model), noisy)
    assert calmed(view_of(model), once) is once
    assert given.tobytes() == white(image, 60.0).tobytes()
    assert np.array_equal(Transfer(model).label(once).labels, Transfer(model).label(noisy).labels)
    assert np.array_equal(gather(view_of(model), once), gather(view_of(model), noisy))


def test_nlm_denoises_the_reference_too():
    image, auto = fitted()
    _, nlm = fitted(denoise="nlm")
    seen = calmed(view_of(nlm), ScanSlices(image, SPACING)).images
    assert not np.array_equal(seen, image)
    assert not np.array_equal(nlm.center, auto.center)
    assert nlm.noise == auto.noise


def test_auto_fits_its_reference_as_it_is():
    images = np.concatenate([scene("CT")[0]] * 3)
    images[2:] = white(images[2:], 60.0)
    spec = TeacherSpec("CT", ("CT",))
    auto, none = (
        fit_teacher(images, replace(spec, denoise=d), SPACING).model for d in ("auto", "none")
    )
    assert auto.codebook.weights.tobytes() == none.codebook.weights.tobytes()


def test_a_carried_teacher_keeps_the_noise_of_its_own_reference():
    image, first = fitted()
    later = fit_teacher(white(image, 60.0), TeacherSpec("CT", ("CT",)), SPACING, previous=first)
    assert later.model.noise == first.noise
    spec = TeacherSpec("CT", ("CT",), refit=True)
    refitted = fit_teacher(white(image, 60.0), spec, SPACING, previous=first).model
    assert min(refitted.noise[0]) > max(first.noise[0])
    old = replace(first, noise=(), denoise="none")
    spec = TeacherSpec("CT", ("CT",), denoise="none")
    known = fit_teacher(image, spec, SPACING, previous=old).model
    assert known.noise == first.noise
    assert known.denoise == "none"


def test_a_model_of_before_never_denoises():
    image, model = fitted()
    old = replace(model, denoise="none", noise=())
    slices = ScanSlices(white(image, 60.0), SPACING)
    assert calmed(view_of(old), slices) is slices
    unknown = calmed(view_of(replace(old, denoise="auto")), slices)
    assert np.array_equal(unknown.images, slices.images)


def test_infinite_values_and_other_words_are_refused():
    image, model = fitted()
    worse = white(image, 60.0)
    worse[0, 0, 5, 5] = np.inf
    for spacing in (SPACING, (0.5, 0.5)):
        with pytest.raises(ShapeError, match="infinite"):
            apply_teacher(model, worse, spacing)
    with pytest.raises(ShapeError, match="unknown denoise 'bm3d'"):
        fit_teacher(image, TeacherSpec("CT", ("CT",), denoise="bm3d"), SPACING)


def test_an_array_of_any_type_is_judged_alike():
    image = np.rint(scene("CT")[0][0, 0])
    teacher = Teacher(modality="CT", denoise="auto").fit(image)
    worse = np.rint(white(image[None, None], 60.0)[0, 0])
    found = [teacher.predict(worse.astype(kind)) for kind in ("f4", "f8", "i2", "i4")]
    assert all(np.array_equal(f, found[0]) for f in found)
    assert teacher.drift(worse.astype("i2")) == teacher.drift(worse)


@pytest.fixture(scope="module")
def abdomen(real_data):
    """A portal-venous abdomen's slices, and their pixel size."""
    path = real_data / "ct_abdomen_CRLM1004" / "ct.nii.gz"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    scan = SimpleITK.ReadImage(str(path))
    planes = SimpleITK.GetArrayFromImage(scan)[18:23].astype(np.float32)
    return planes[:, None], scan.GetSpacing()[1::-1]


@pytest.mark.parametrize(("sigma", "gain"), [(40.0, 0.003), (60.0, 0.01)])
def test_a_noisy_slice_of_real_ct_is_clearly_better_and_a_clean_one_the_same(abdomen, sigma, gain):
    images, spacing = abdomen
    model = fit_teacher(images[2:3], TeacherSpec("CT", ("CT",)), spacing).model
    none = replace(model, denoise="none")
    beside = images[[1, 3]]
    clean = apply_teacher(none, beside, spacing).labels
    assert np.array_equal(apply_teacher(model, beside, spacing).labels, clean)
    worse = white(beside, sigma)
    found = [
        dice(apply_teacher(m, worse, spacing).labels == LESION, clean == LESION)
        for m in (none, model)
    ]
    print(f"{sigma:g} HU: Dice {found[0]:.4f} as it is, {found[1]:.4f} denoised")
    assert found[1] > found[0] + gain
