"""Does the student see through noise where the teacher cannot?

`SOMRAY_TEST_DATA=… pytest tests/benchmarks/bench_student_noise.py --bench -s` prints a table for each
scan and one over all; `--bench-out FOLDER` takes the pictures. Without `--bench` one small scan runs in a
few seconds, as a test. `-k` with a scan's name runs that one alone.

Every figure is Dice with what the teacher says of the *clean* slice, the mean over the slices beside A
(B and C), which nobody labelled: agreement with the teacher, not accuracy. Beside the student stand
    direct      the teacher on the degraded slice,
    denoised    the teacher on the degraded slice after the best of several denoisers; which one is best is
                chosen with the clean teacher's answer and NLM is told the noise, both in the peer's favour,
    control     a student that trained as long on A alone, without pseudo-labels.
Degradations are made by physics (`streaks.py`), not by what the student trains with. CT's are in HU; in
other modalities one HU is a thousandth of the teacher's window, so that 40 HU are 4 % of it. PET's level
of uptake stays that of the clean scan.
"""

import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, median_filter
from skimage.restoration import denoise_nl_means

from tests.benchmarks.noise_pictures import draw
from tests.benchmarks.streaks import WIDTHS_PER_DEVIATION, Degradation, degraded
from tests.benchmarks.student_cases import (
    FURTHER,
    GOAL,
    labelled,
    lessons,
    mean_dice,
    predicted,
    scans,
    student_spec,
    trained,
)

pytestmark = pytest.mark.bench

WHITE = tuple(Degradation("white", float(s)) for s in (20, 40, 60))
TEXTURE = (Degradation("correlated", 40.0),)
STREAKS = tuple(Degradation(kind, 30.0) for kind in ("starved", "metal"))
COUNTS = tuple(Degradation("counts", share) for share in (0.1, 0.2, 0.3))
SHIFTS = (Degradation("gain", 0.95), Degradation("gain", 1.05))
OFFSETS = tuple(Degradation("offset", s) for s in (-20.0, 20.0))
ROWS = {
    "CT": WHITE + TEXTURE + STREAKS + SHIFTS + OFFSETS,
    "PETCT": WHITE + TEXTURE + STREAKS + COUNTS + SHIFTS + OFFSETS,
    "PET": COUNTS + SHIFTS,
    "MR": WHITE + SHIFTS,
    "XCT": WHITE + TEXTURE + STREAKS + SHIFTS + OFFSETS,
}
QUICK_ROWS = tuple(Degradation(kind, 60.0) for kind in ("white", "starved"))
QUICK = "STS_002"
MUST_WIN = {"white 40 HU", "white 60 HU", "starved 30 HU", "metal 30 HU"}
MEDIANS, STRENGTHS, BLURS_MM = (3, 5, 7), (0.6, 0.8, 1.0), (3.0, 5.0, 8.0)
DRAWN = ("white 60 HU", "starved 60 HU", "starved 30 HU", "counts 0.3")
SEED = 11
QUICK_ASKED = {"steps": 30, "threads": 1}


def scale_of(degradation, scan, channel):
    """Return (factor, offset) that take HU to a channel's values; none for uptake and for gain."""
    if scan.channels[channel] == "CT" or degradation.kind in ("counts", "gain"):
        return 1.0, 0.0
    low, high = scan.teacher.windows[channel]
    factor = (high - low) / 1000.0
    return factor, low + 1000.0 * factor


def struck(degradation, scan):
    """Return the channels that a degradation strikes: uptake by counts, all by gain, else the first."""
    if degradation.kind == "gain":
        return range(len(scan.channels))
    return (scan.channels.index("PET"),) if degradation.kind == "counts" else (0,)


def made_worse(images, degradation, scan):
    """Degrade slices (n, c, y, x); what is drawn belongs to the row and the slice."""
    worse, row = images.copy(), zlib.crc32(degradation.name.encode())
    for index, image in enumerate(worse):
        for channel in struck(degradation, scan):
            rng = np.random.default_rng([SEED, row, index, channel])
            factor, offset = scale_of(degradation, scan, channel)
            hu = (image[channel] - offset) / factor
            found = degraded(hu, degradation, scan.spacing_mm, rng, scan.level)
            image[channel] = found * factor + offset
    return worse


def denoisers(degradation, scan):
    """Return the peers by name, told how strong the noise is in the plane's values."""
    if degradation.kind in ("gain", "offset"):
        return {}
    found = {f"median {n}": partial(median_filter, size=n) for n in MEDIANS}
    counts = degradation.kind == "counts"
    factor = scan.level if counts else scale_of(degradation, scan, struck(degradation, scan)[0])[0]
    sigma = degradation.strength * factor
    told = {"patch_size": 5, "patch_distance": 6, "sigma": sigma, "fast_mode": True}
    for share in STRENGTHS:
        found[f"NLM {share:g}"] = partial(denoise_nl_means, h=share * sigma, **told)
    for width in BLURS_MM if counts else ():
        grain = [width / WIDTHS_PER_DEVIATION / step for step in scan.spacing_mm]
        found[f"Gauss {width:g} mm"] = partial(gaussian_filter, sigma=grain)
    return found


def denoised(worse, degradation, scan, denoise):
    """Denoise the channel that was struck; holes stay holes."""
    better, (channel, *_) = worse.copy(), struck(degradation, scan)
    for image in better:
        holes = np.isnan(image[channel])
        filled = np.where(holes, np.nanmin(image[channel]), image[channel])
        image[channel] = np.where(holes, np.nan, denoise(filled))
    return better


def best_denoised(worse, clean, degradation, scan):
    """Return name and mask of the denoiser that the clean slices' teacher likes best."""
    best = (-1.0, "", None)
    for name, denoise in denoisers(degradation, scan).items():
        mask = labelled(scan.teacher, denoised(worse, degradation, scan, denoise), scan)[0]
        best = max(best, (mean_dice(mask, clean), name, mask), key=lambda found: found[0])
    return best[1:]


def students(scan, quick):
    """Train the students that are compared; all from the same slices, A labelled."""
    if quick:
        model = trained(lessons(scan, scan.outward(1)), student_spec(scan, **QUICK_ASKED)).model
        return {"student": model}
    taught = lessons(scan, scan.outward(3))
    whole = trained(taught, student_spec(scan))
    return {"student": whole.model, "control": whole.control}


def compared(scan, models, images, clean, degradation):
    """Measure everything on degraded slices (`degradation` None: on clean ones)."""
    worse = images if degradation is None else made_worse(images, degradation, scan)
    masks = {"direct": labelled(scan.teacher, worse, scan)[0]}
    name, mask = "", None
    if degradation is not None:
        name, mask = best_denoised(worse, clean, degradation, scan)
    if mask is not None:
        masks["denoised"] = mask
    masks |= {kind: predicted(model, worse, scan) for kind, model in models.items()}
    return worse, masks, name


def measured(scan, quick, folder):
    """Print a scan's table and return {row: {method: Dice}}."""
    beside = scan.outward(3)[1:] if not quick else scan.outward(2)[1:]
    images = scan.images[beside]
    clean = labelled(scan.teacher, images, scan)[0]
    models = students(scan, quick)
    rows = QUICK_ROWS if quick else ROWS[scan.modality]
    print(f"\n{scan.name}, {scan.modality}, A = {scan.reference}, measured on {beside}")
    table = {}
    for degradation in (None, *rows):
        worse, masks, peer = compared(scan, models, images, clean, degradation)
        row = "clean" if degradation is None else degradation.name
        table[row] = {kind: mean_dice(mask, clean) for kind, mask in masks.items()}
        cells = "  ".join(f"{kind} {d:.4f}" for kind, d in table[row].items())
        print(f"  {row:20s} {cells}  {peer}", flush=True)
        if row in DRAWN:
            channel = struck(degradation, scan)[0]
            planes = images[0, channel], worse[0, channel]
            path = folder / f"{scan.name}_{row.replace(' ', '_')}.png"
            shown = {kind: mask[0] for kind, mask in masks.items()}
            draw(path, scan.channels[channel], planes, clean[0], shown)
    return table


def summary(tables):
    """Print one table over all scans: direct / denoised / student."""
    names = list(tables)
    print("\n| Dice, direct / denoised / student | " + " | ".join(names) + " |")
    print("| --- " * (len(names) + 1) + "|")
    rows = dict.fromkeys(row for table in tables.values() for row in table)
    for row in rows:
        cells = [
            " / ".join(
                f"{tables[n][row][k]:.3f}".lstrip("0") if k in tables[n][row] else "–"
                for k in ("direct", "denoised", "student")
            )
            if row in tables[n]
            else ""
            for n in names
        ]
        print(f"| {row} | " + " | ".join(cells) + " |")


def not_beaten(tables):
    """Name scan and row wherever a teacher, denoised or not, is at least as good as the student."""
    lost = []
    for name, table in tables.items():
        for row in MUST_WIN & table.keys():
            kind = max(("direct", "denoised"), key=lambda kind, found=table[row]: found[kind])
            ours, peer = table[row]["student"], table[row][kind]
            if ours <= peer:
                lost.append(f"{name}, {row}: {ours:.4f} against {peer:.4f} {kind}")
    return sorted(lost)


@pytest.fixture(scope="module")
def tables():
    """Collect every scan's table and print them together at the end."""
    found = {}
    yield found
    if len(found) > 1:
        summary(found)
        print("\nnot beaten:", *(not_beaten(found) or ["nothing"]), sep="\n  ")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [*GOAL, *FURTHER])
def test_a_student_against_denoised_teachers(name, real_data, request, tables, tmp_path):
    full = request.config.getoption("--bench")
    if not full and name != QUICK:
        pytest.skip("the other scans run with --bench")
    folder = Path(request.config.getoption("--bench-out") or tmp_path)
    found = tables[name] = measured(next(scans(real_data, (name,))), not full, folder)
    print(f"pictures: {folder}")
    assert list(folder.glob(f"{name}_*.png"))
    assert found["clean"]["direct"] == 1.0
    assert found["clean"]["student"] > 0.8
    if not full:
        assert found["white 60 HU"]["direct"] < found["clean"]["student"]
