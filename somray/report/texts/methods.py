"""A protocol's methods in words for a paper, written from what the run really did, and what they rest on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from somray.config import ProtocolConfig
from somray.domain.teacher import TeacherModel
from somray.kernels.objects.lung.rule import LEAST_MM
from somray.report.data import Row, Rows
from somray.report.drawing.table import plural
from somray.report.texts.citations import WORKS

__all__ = ["MethodFacts", "bibliography", "bibtex", "methods_text"]

DETECTORS = {"kaze": ("KAZE", "alcantarilla2012"), "akaze": ("AKAZE", "alcantarilla2013"),
             "sift": ("SIFT", "lowe2004"), "orb": ("ORB", "rublee2011")}  # fmt: skip
ROBUST = {"ransac": ("RANSAC", "fischler1981"), "magsac": ("MAGSAC++", "barath2020")}
MODALITIES = {"XCT": "X-ray micro-CT", "PETCT": "PET/CT", "other": "image"}
_MARK = "["  # citations stand as [key] until they get their numbers


@dataclass(frozen=True)
class MethodFacts:
    """What a run did in one protocol.

    Args:
        config: the protocol's configuration.
        scans: its rows of `scans`.
        teacher: None while there is none.
        student: what `model.json` says of the student; {} while there is none.
        convergence: its rows of `convergence`.
        pairs: (kind, status) to registered pairs.
        has_truth: whether masks were scored.
        info: run.json.
    """

    config: ProtocolConfig
    scans: Rows
    teacher: TeacherModel | None
    student: Mapping[str, Any]  # Any: JSON
    convergence: Rows
    pairs: Mapping[tuple[str, str], int]
    has_truth: bool
    info: Mapping[str, Any]  # Any: JSON


def methods_text(facts: MethodFacts) -> str:
    """Write the methods, citations as numbers in square brackets, a paragraph each for what was done."""
    text = _marked(facts)
    for number, key in enumerate(_cited(text), 1):
        text = text.replace(f"[{key}]", f"[{number}]")
    return text


def bibliography(facts: MethodFacts) -> str:
    """List what the text cites, in its order, one work a line."""
    keys = _cited(_marked(facts))
    return "\n".join(f"[{n}] {WORKS[key].plain}" for n, key in enumerate(keys, 1))


def bibtex(facts: MethodFacts) -> str:
    """Return the same works as BibTeX."""
    return "\n\n".join(WORKS[key].bibtex(key) for key in _cited(_marked(facts)))


def _marked(facts: MethodFacts) -> str:
    parts = (_scans, _teacher, _student, _registration, _lesions, _software)
    told = (" ".join(part(facts)) for part in parts)
    return "\n\n".join(text for text in told if text)


def _cited(text: str) -> list[str]:
    """Return the keys of the works that a text cites, in the order of their first mention."""
    found = {key: text.index(f"{_MARK}{key}]") for key in WORKS if f"{_MARK}{key}]" in text}
    return sorted(found, key=lambda key: found[key])


def _scans(facts: MethodFacts) -> Iterator[str]:
    config, scans = facts.config, facts.scans
    done = [r for r in scans if r["status"] == "done"]
    name = MODALITIES.get(config.modality, config.modality)
    subjects = len({r["subject"] for r in scans})
    version = facts.info.get("somray")
    which = f" (version {version})" if version else ""
    yield (
        f"{plural(len(scans), f'{name} scan')} of {plural(subjects, 'subject')} were processed with somray{which}"
        f"; channels: {', '.join(config.channels)}."
    )
    left_out = len(scans) - len(done)
    if left_out:
        verb = "was" if left_out == 1 else "were"
        yield f"{plural(left_out, 'scan')} {verb} excluded by its quality gate (see the table of failures)."
    if done:
        across, within = (_range(done, f"spacing_{axis}_mm") for axis in "zx")
        yield f"Voxel spacing was {across} mm between slices and {within} mm in the plane."
    yield "Images were stored as OME-Zarr [moore2023] in physical units."
    measured = facts.info.get("measured")
    if measured:
        yield f"Masks were not drawn by somray; they came from outside ({measured['source']}) and were measured by it."
    else:
        yield "No labels were used to fit any model."


def _range(rows: Rows, column: str) -> str:
    values = [r[column] for r in rows if r[column] is not None]
    low, high = (f"{v:.3g}" for v in (min(values, default=1.0), max(values, default=1.0)))
    return low if low == high else f"{low} to {high}"


def _teacher(facts: MethodFacts) -> Iterator[str]:
    config, teacher = facts.config.teacher, facts.teacher
    if teacher is None:
        return
    book = teacher.codebook
    form = f"{book.grid[0]} × {book.grid[1]} {book.topology} nodes{', joined to a torus' if book.wraps else ''}"
    engine = {"minisom": " with MiniSom [vettigli2018]", "torch": " on PyTorch"}.get(
        config.engine, ""
    )
    count = len(teacher.features) * len(teacher.channels)
    per = f" ({len(teacher.features)} of each channel)" if len(teacher.channels) > 1 else ""
    kind = "three-dimensional " if teacher.dimensions == 3 else ""
    names = ", ".join(f.replace("_", " ") for f in teacher.features)
    yield (
        f"Each pixel was described by {count} {kind}features{per}: {names}, standardised on the reference. A "
        f"self-organizing map [kohonen2013] of {form} was fitted{engine} to the features of every pixel of the "
        f"reference ({teacher.fitted_on or 'the slices named'}) in {book.epochs_run or config.epochs} passes of the "
        "batch algorithm" + ("." if config.engine != "minisom" else " or their like.")
    )
    if book.quantization_error is not None and book.topographic_error is not None:
        yield (
            f"Its quantization error was {book.quantization_error:.3f}, its topographic error "
            f"{book.topographic_error:.3f}."
        )
    windows = "; ".join(
        f"{c} {low:g} to {high:g}"
        for c, (low, high) in zip(teacher.channels, teacher.windows, strict=True)
    )
    yield f"Intensities were windowed before ({windows})."
    if teacher.denoise == "nlm":
        yield "Slices were denoised by non-local means [buades2005]."
    elif teacher.denoise == "auto" and any(teacher.noise):
        yield "Slices clearly noisier than the reference were denoised by non-local means [buades2005]."
    classes = ", ".join(name for _, name in sorted(teacher.class_names.items()))
    yield f"Nodes were given to classes by fixed rules on their profiles ({classes}); {config.target} was the target."
    if teacher.doubtful:
        yield f"Classes to be read with care: {', '.join(sorted(teacher.doubtful))}."
    yield "Every other slice was classified by its nearest node (direct transfer)."
    if teacher.smoothing_mm:
        yield f"Class maps were smoothed by a majority vote within {teacher.smoothing_mm:g} mm."


def _student(facts: MethodFacts) -> Iterator[str]:
    config, student = facts.config, facts.student
    if config.segment == "som":
        yield "Masks are those of the self-organizing map; no network was trained."
        return
    if not student:
        return
    history, network = student.get("history", {}), student.get("network", {})
    is_3d = history.get("dimensions") == 3
    name = "three-dimensional U-Net [cicek2016]" if is_3d else "U-Net [ronneberger2015]"
    widths = str(network.get("widths", "")).replace(",", ", ")
    size = f" with {widths} channels at its levels" if widths else ""
    slices = [r for r in facts.convergence if r["stage"] != "cohort"]
    where = ", on volumes at a coarse grid of its own," if is_3d else ""
    yield (
        f"A compact {name}{size}, written in PyTorch [paszke2019], was trained on image intensities{where} to "
        f"repeat the map's masks, first on one slice, then on further slices with its own pseudo-labels "
        f"({', '.join(str(r['stage']) for r in slices)})."
    )
    if history.get("cohort_scans"):
        yield f"In a last round {plural(int(history['cohort_scans']), 'scan')} of the cohort taught it."
    last = next((r for r in reversed(slices) if r["mean_iou"] is not None), None)
    if last is not None:
        yield _agreement(last)
    before, after = (history.get(f"calibration_error_{w}") for w in ("before", "after"))
    if before is not None and after is not None:
        yield (
            f"Probabilities were calibrated by temperature scaling [guo2017] (expected error {before:.4f} before, "
            f"{after:.4f} after)."
        )


def _agreement(last: Row) -> str:
    told = f"Its mean intersection over union with the map after round {last['round']} was {last['mean_iou']:.3f}"
    beside = []
    if last["copy_forward_iou"] is not None:
        beside.append(f"{last['copy_forward_iou']:.3f} for the first slice's mask simply copied")
    if last["control_iou"] is not None:
        beside.append(f"{last['control_iou']:.3f} for equal training on the first slice alone")
    told += f" ({'; '.join(beside)})" if beside else ""
    return f"{told}; this is agreement with the teacher, not accuracy."


def _registration(facts: MethodFacts) -> Iterator[str]:
    config, pairs = facts.config.registration, facts.pairs
    kinds = {kind for kind, _ in pairs}
    detector, detector_work = DETECTORS[config.detector]
    robust, robust_work = ROBUST[config.robust]
    matched = (
        f"{detector} keypoints [{detector_work}] told from outliers by {robust} [{robust_work}]"
    )
    if "slices" in kinds:
        how = (
            f"by intensities (inverse compositional Gauss-Newton [baker2004]) and, where those did not convince, by "
            f"{matched}, the simplest motion that explains them being kept"
            if config.model == "auto"
            else f"by {matched}, as {_article(config.model)}"
        )
        yield f"Neighbouring slices were aligned {how}{_states(pairs, 'slices')}."
    if "sessions" in kinds:
        motion = {
            "auto": "rigid, or affine where that explained more",
            "plane": "in the plane",
        }.get(config.sessions, config.sessions)
        engine = (
            ", with SimpleITK by mutual information [mattes2003]"
            if config.engine == "simpleitk"
            else ""
        )
        yield (
            f"Sessions of a subject were aligned to each other ({motion}{engine})"
            f"{_states(pairs, 'sessions')}; refused pairs were never used."
        )


def _article(model: str) -> str:
    return f"{'an' if model[0] == 'a' else 'a'} {model}"


def _states(pairs: Mapping[tuple[str, str], int], kind: str) -> str:
    counts = {state: pairs.get((kind, state), 0) for state in ("ok", "weak", "refused")}
    told = ", ".join(f"{n} {state}" for state, n in counts.items() if n)
    return f" ({plural(sum(counts.values()), 'pair')}: {told})"


def _lesions(facts: MethodFacts) -> Iterator[str]:
    config = facts.config
    yield _what_lesions_are(config, facts.info.get("measured"))
    if len({r["session"] for r in facts.scans}) > 1:
        yield (
            "Lesions of consecutive sessions were linked where they overlap or lie close after registration, and "
            f"called enlarging or shrinking where their volume changed by more than "
            f"{config.lesions.change_fraction:.0%}."
        )
        by = config.lesions.response
        if config.modality in ("PET", "PETCT"):
            yield (
                f"Responses follow PERCIST [wahl2009] (SUVpeak of the hottest lesion, {by.uptake_fraction:.0%} and "
                f"{by.uptake_floor_suv:g} SUV); they were computed, not judged by a reader."
            )
        elif config.modality in ("CT", "MR"):
            yield (
                f"Responses follow RECIST 1.1 [eisenhauer2009] (targets of {by.target_mm:g} mm or more); they were "
                "computed, not judged by a reader."
            )
    if facts.has_truth:
        yield "Masks were compared with reference masks after the fact; these took no part in fitting or choosing."


_CUT = ("PET", "PETCT", "MR")  # whose rules cut each object themselves


def _what_lesions_are(config: ProtocolConfig, measured: Any) -> str:  # Any: part of a run's record
    if config.objects.rule == "lung" and not measured:
        return (
            "Lesions are what the lung encloses, compact, solid and at least "
            f"{LEAST_MM:g} mm thick, found by a fixed rule on the image."
        )
    drawn = "the student's masks" if config.segment == "student" else "the map's masks"
    drawn = "those masks" if measured else drawn
    least = config.lesions.min_volume_mm3
    size = "of five voxels" if least is None else f"of {least:g} mm³"
    parts = "labels" if measured and measured["as"] == "instances" else "connected parts"
    judged = config.objects.rule == "auto" and not measured
    by = ", called so by a fixed rule on each object" if judged else ""
    drawn += ", borders half way to normal tissue" if judged and config.modality not in _CUT else ""
    return f"Lesions are {parts} {size} or more of the target in {drawn}{by}."


def _software(facts: MethodFacts) -> Iterator[str]:
    info = facts.info
    versions = info.get("versions")
    known = dict(versions) if isinstance(versions, Mapping) else {}
    seed = f" Seed {info['seed']}." if "seed" in info else ""
    works = {"ray": "moritz2018", "numpy": "harris2020", "numba": "lam2015",
             "opencv-python-headless": "bradski2000"}  # fmt: skip
    named = [f"{n} {v}" + (f" [{works[n]}]" if n in works else "") for n, v in known.items()]
    digest = str(info.get("config_digest", ""))[:12]
    config = f" Configuration digest {digest}." if digest else ""
    if named:
        yield f"Software: {', '.join(named)}.{seed}{config}"
    elif seed or config:
        yield f"{seed}{config}".strip()
