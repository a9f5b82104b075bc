"""PET/CT lesions against experts' masks: centroids of one subject carried over to seven others.

`SOMRAY_TEST_DATA=… python -m pytest tests/benchmarks/bench_lesions.py --bench -s` prints the tables and
holds the teacher to its goals; without `--bench` two subjects run, thinned out, as a test that it works.

Nothing that the teacher does uses a mask. The masks judge, and they choose what is marked "truth": the best
PET threshold of each subject, and the radius of a sphere in the middle of the crop, which is a cheat since
the data are cropped 5 cm around the tumour. Shifted crops lose 4 cm at the low sides of y and x, and
of z too; their level of uptake and reference slice are their own.

Chosen by these figures, on DEVELOPED_ON alone but for the vote's radius, for which the other four were seen
too (`SMOOTHING_MM` in `teacher_spec.py`): `HOT_SHARE` in `classes_uptake.py`, `LEVEL_HU` and
`DENSITY_MM` in `feature_weights.py`, the windows of PETCT in `windows.py`, the rating of slices in
`reference.py`. An earlier rule was made with the masks of all eight, and the soft-tissue limits of
`tissue_density.py` are still its own: the other four are held out from what came after only.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from somray.domain.channel import channels_of
from somray.kernels.classes.smoothing import smooth_classes
from somray.kernels.features import feature_stack
from somray.kernels.features.uptake import BODY_HU, is_soft_tissue
from somray.kernels.features.uptake_level import subject_histogram, subject_level
from somray.kernels.teacher.apply import scaled_windows
from somray.kernels.teacher.fit import TeacherSpec, apply_teacher, fit_teacher
from somray.kernels.teacher.interest import slice_interest
from somray.kernels.teacher.spec import SMOOTHING_MM

DEVELOPED_ON = ("001", "003", "014", "022")
REPORTED_ON = ("002", "004", "012", "031")
CHANNELS = ("CT", "PET")
LESION = 3
CUT_MM = 40.0
MOST_SPREAD, MOST_LOST = 0.05, 0.01

pytestmark = pytest.mark.bench


@dataclass
class Scan:
    image: np.ndarray
    mask: np.ndarray
    spacing_mm: tuple[float, float, float]

    def __post_init__(self):
        self.level = subject_level(
            subject_histogram(self.image, channels_of("PETCT", CHANNELS)), "PETCT"
        )

    def cut(self, axes):
        """Lose 4 cm at the low side of some axes (z, y, x)."""
        steps = [round(CUT_MM / s) if axis in axes else 0 for axis, s in enumerate(self.spacing_mm)]
        z, y, x = (slice(n, None) for n in steps)
        return Scan(self.image[z, :, y, x], self.mask[z, y, x], self.spacing_mm)

    def thinned(self, every):
        return Scan(self.image[::every], self.mask[::every], self.spacing_mm)

    @property
    def pet(self):
        return np.nan_to_num(self.image[:, 1])

    @property
    def soft(self):
        return is_soft_tissue(self.image[:, 0])


def load(root, subject):
    """Read CT, PET on CT's grid, and the experts' mask."""
    import SimpleITK

    folder = root / f"petct_sarcoma_cohort/STS_{subject}"
    if subject == "002":
        folder = root / "petct_sarcoma_STS002"
    ct = SimpleITK.ReadImage(str(folder / "CT_image.nii.gz"), SimpleITK.sitkFloat32)
    pet = SimpleITK.ReadImage(str(folder / "PET_image.nii.gz"), SimpleITK.sitkFloat32)
    pet = SimpleITK.Resample(
        pet, ct, SimpleITK.Transform(), SimpleITK.sitkLinear, float("nan"), SimpleITK.sitkFloat32
    )
    mask = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / "CT_mask.nii.gz"))) > 0
    image = np.stack([SimpleITK.GetArrayFromImage(ct), SimpleITK.GetArrayFromImage(pet)], axis=1)
    return Scan(image, mask, ct.GetSpacing()[::-1])


def dice(found, mask):
    return float(2 * (found & mask).sum() / max(int(found.sum() + mask.sum()), 1))


def fitted(scan):
    """Fit as the pipeline does: on the slice that is worth most, with the scan's own level."""
    rates = [slice_interest(s, "PETCT", (None, None), CHANNELS, scan.level) for s in scan.image]
    best = int(np.argmax(rates))
    spec = TeacherSpec("PETCT", CHANNELS)
    return fit_teacher(
        scan.image[best : best + 1], spec, scan.spacing_mm[1:], scan.level, threads=2
    ).model


def carried(models, scans):
    """Dice (source, target) of each model on each scan."""
    found = np.zeros((len(models), len(scans)))
    for column, scan in enumerate(scans):
        for row, model in enumerate(models):
            labels = apply_teacher(model, scan.image, scan.spacing_mm[1:], scan.level).labels
            found[row, column] = dice(labels == LESION, scan.mask)
    return found


def best_threshold(scan):
    cuts = np.quantile(scan.pet[scan.mask], np.linspace(0.01, 0.9, 60))
    return max(dice(scan.pet > cut, scan.mask) for cut in cuts)


def best_sphere(scan):
    """Dice of the best sphere around the middle of the crop."""
    axes = [
        (np.arange(n) - (n - 1) / 2) * s
        for n, s in zip(scan.mask.shape, scan.spacing_mm, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    radius = np.sqrt(z**2 + y**2 + x**2)
    return max(dice(radius < r, scan.mask) for r in np.arange(10.0, 120.0, 4.0))


def otsu(values):
    """N. Otsu's threshold (1979) over 512 bins."""
    counts, edges = np.histogram(values, 512)
    centres = (edges[1:] + edges[:-1]) / 2
    weight, moment = np.cumsum(counts), np.cumsum(counts * centres)
    other = weight[-1] - weight
    gain = (moment[-1] * weight / weight[-1] - moment) ** 2 / np.maximum(weight * other, 1)
    return centres[int(np.argmax(gain))]


def voted(mask, spacing):
    """Take the teacher's own vote over a mask (z, y, x)."""
    labels = mask.astype(np.uint8) + 1
    return np.stack([smooth_classes(p, SMOOTHING_MM["PETCT"], spacing) for p in labels]) == 2


def thresholds(scan):
    """Dice of rules of thumb, alone and within soft tissue and voted over as the teacher's lesions are."""

    def soft(cut):
        return dice(voted((scan.pet > cut) & scan.soft, scan.spacing_mm[1:]), scan.mask)

    body = scan.image[:, 0] > BODY_HU
    half = 0.41 * scan.pet[body].max()
    cut, soft_cut = otsu(scan.pet[body]), otsu(scan.pet[scan.soft])
    return {
        "Otsu of the body": dice(scan.pet > cut, scan.mask),
        "Otsu of soft tissue, in it, voted": soft(soft_cut),
        "41 % of maximum": dice(scan.pet > half, scan.mask),
        "41 % of soft tissue's, in it, voted": soft(0.41 * scan.pet[scan.soft].max()),
        "the level itself, in soft tissue, voted": soft(scan.level),
    }


def means_carried(models, references, scans):
    """Dice (source, target) of the hottest of five k-means classes of the same weighted features."""
    from sklearn.cluster import KMeans

    peers = []
    for model, scan in zip(models, references, strict=True):
        best = int(
            np.argmax(
                [slice_interest(s, "PETCT", (None, None), CHANNELS, scan.level) for s in scan.image]
            )
        )
        points = samples(model, scan, best)
        means = KMeans(5, n_init=2, random_state=0).fit(points[np.isfinite(points).all(axis=1)])
        hot = len(model.features) + model.features.index("mean5")
        peers.append((means.cluster_centers_, int(np.argmax(means.cluster_centers_[:, hot]))))
    found = np.zeros((len(models), len(scans)))
    for column, scan in enumerate(scans):
        for row, (model, (centres, hottest)) in enumerate(zip(models, peers, strict=True)):
            inside = total = 0
            for z in range(0, len(scan.image), 2):
                points = np.nan_to_num(samples(model, scan, z))
                near = np.argmin((centres**2).sum(1) - 2 * points @ centres.T, axis=1)
                hot = (near == hottest).reshape(1, *scan.mask[z].shape)
                lesion, mask = voted(hot, scan.spacing_mm[1:])[0], scan.mask[z]
                inside += int((lesion & mask).sum())
                total += int(lesion.sum() + mask.sum())
            found[row, column] = 2 * inside / max(total, 1)
    return found


def samples(model, scan, z):
    windows = scaled_windows(model, scan.level)
    stack = feature_stack(scan.image[z], windows, model.features, scan.spacing_mm[1:])
    points = stack.reshape(len(stack), -1).T
    return (points - model.center) / model.scale * model.feature_weights


def others(matrix):
    """Return the mean of each row over the columns of other subjects."""
    size = len(matrix)
    return (matrix.sum(axis=1) - np.diag(matrix)) / (size - 1)


def row(name, values, names):
    """Print a row per target: all, and the means of those developed and reported on."""
    part = {True: [], False: []}
    for subject, value in zip(names, values, strict=True):
        part[subject in DEVELOPED_ON].append(value)
    cells = " ".join(f"{v:.2f}" for v in values)
    halves = " ".join(
        f"{word} {np.mean(part[key]):.3f}"
        for key, word in ((True, "developed on"), (False, "reported on"))
        if part[key]
    )
    print(f"{name:44s} {cells}  mean {np.mean(values):.3f}  {halves}")


def test_lesions_against_experts_carried_over_from_one_subject(request, real_data):
    timed = bool(request.config.getoption("--bench"))
    names = tuple(sorted(DEVELOPED_ON + REPORTED_ON)) if timed else ("001", "003")
    scans = [load(real_data, name) for name in names]
    if not timed:
        scans = [scan.thinned(6) for scan in scans]
    shifted = [scan.cut((1, 2)) for scan in scans]
    models = [fitted(scan) for scan in scans]
    whole, moved = carried(models, scans), carried(models, shifted)
    again = carried([fitted(scan) for scan in shifted], shifted)
    cut = np.array([best_threshold(scan) for scan in scans])
    print(f"\n{'Dice by target':44s} {' '.join(f' {n}' for n in names)}")
    row("teacher, mean of all sources", whole.mean(axis=0), names)
    row("teacher, shifted crops", moved.mean(axis=0), names)
    row("teacher, shifted crops, fitted on such", again.mean(axis=0), names)
    row("best PET threshold (truth)", cut, names)
    if timed:
        compare(names, scans, shifted, models)
        deeper = carried(models, [scan.cut((0, 1, 2)) for scan in scans])
        row("teacher, shifted along z too", deeper.mean(axis=0), names)
        for radius in (None, 3.0, 7.0):
            other = carried([replace(m, smoothing_mm=radius) for m in models], scans)
            row(f"teacher, smoothing_mm {radius or 0:g}", other.mean(axis=0), names)
    ours, peer = others(whole), (cut.sum() - cut) / (len(cut) - 1)
    for name, own, other, own_moved in zip(names, ours, peer, others(moved), strict=True):
        print(
            f"fitted on {name}: mean over the others {own:.3f}, best threshold of the same {other:.3f}; "
            f"shifted crops {own_moved:.3f}"
        )
    spread = float(np.ptp(whole.mean(axis=1)))
    print(f"spread between fitting subjects {spread:.3f}, shifted {np.ptp(again.mean(axis=1)):.3f}")
    print(f"worst pair {whole.min():.3f}, shifted {moved.min():.3f}")
    assert whole.mean() > 0.6
    if timed:
        assert (ours >= peer).all()
        assert spread <= MOST_SPREAD
        assert moved.mean() >= whole.mean() - MOST_LOST
        assert again.mean() >= whole.mean() - MOST_LOST


def compare(names, scans, shifted, models):
    """Print the rows of peers and cheats."""
    rules = [thresholds(scan) for scan in scans]
    for name in rules[0]:
        row(name, [rule[name] for rule in rules], names)
    row("k-means of 5, hottest, carried, voted", means_carried(models, scans, scans).mean(0), names)
    row("sphere in the middle (truth, cheat)", [best_sphere(s) for s in scans], names)
    row("the same on shifted crops", [best_sphere(s) for s in shifted], names)
    row("best PET threshold, shifted (truth)", [best_threshold(s) for s in shifted], names)
