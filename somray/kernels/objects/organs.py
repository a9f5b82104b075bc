"""Organs by name: one vocabulary for many tools' names, and what an object in an organ is called.

An organ mask never finds a lesion. It names where an object lies, and calls it physiological in two cases only:
FDG is hot in the organ as a whole, or a person excluded the organ. A lesion of the liver is a lesion.
"""

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from somray.errors import ShapeError

__all__ = [
    "HOT_AS_A_WHOLE",
    "MOST",
    "PHYSIOLOGICAL",
    "OrganVerdict",
    "Shares",
    "add_shares",
    "canonical",
    "named_by_organ",
    "organ_shares",
    "side_of",
    "unmatched",
]

Shares = dict[int, dict[int, int]]
"""Object → organ value → voxels; value 0 counts what lies in no organ. Keys ascend."""

MOST = 0.5
"""Share of an object, from which on it is its organ's."""

PHYSIOLOGICAL: dict[str, str] = {
    "brain": "grey matter lives on glucose",
    "heart": "heart muscle takes up glucose, how much depends on the last meal",
    "kidney": "FDG leaves the body through the kidneys",
    "ureter": "urine holds FDG",
    "urinary_bladder": "urine holds FDG",
    "urethra": "urine holds FDG",
    "parotid_gland": "saliva holds FDG",
    "submandibular_gland": "saliva holds FDG",
    "sublingual_gland": "saliva holds FDG",
    "tonsil": "lymphoid tissue is active",
    "thymus": "active in the young and after chemotherapy",
    "larynx": "muscles of the voice work when the patient speaks",
    "tongue": "its muscles work when the patient speaks",
    "eye": "its muscles are always at work",
    "thyroid": "now and then active throughout",
    "esophagus": "its muscle and its mouth to the stomach take up FDG",
    "stomach": "its wall takes up FDG",
    "duodenum": "its wall takes up FDG",
    "small_bowel": "muscle and lymphoid tissue of its wall take up FDG",
    "colon": "its wall takes up FDG, more under metformin",
    "liver": "takes up more FDG than blood, evenly",
    "spleen": "takes up about as much FDG as the liver, evenly",
    "testis": "takes up FDG",
    "uterus": "its lining takes up FDG during menstruation",
    "ovary": "takes up FDG around ovulation",
    "breast": "glandular tissue takes up FDG, most while nursing",
    "bone_marrow": "active after chemotherapy and growth factors, evenly",
    "skeletal_muscle": "takes up FDG after exercise or a meal",
}
"""Organ to why FDG is physiological there, for a person who reads the object's row."""

HOT_AS_A_WHOLE = frozenset({"brain", "heart", "kidney", "ureter", "urinary_bladder", "urethra"})
"""Organs that FDG makes hot throughout: nothing in them can be told from them by uptake. The others of
`PHYSIOLOGICAL` are hot in part, at times or evenly, and hold lesions: they merely give a name."""

_SIDES = {"left": "left", "l": "left", "lt": "left", "lh": "left",
          "right": "right", "r": "right", "rt": "right", "rh": "right"}  # fmt: skip
_FILLERS = frozenset({"the", "of", "entire", "whole", "structure", "both"})
_SYNONYMS = {
    "brain": "cerebrum cerebellum brainstem brain_stem brain_parenchyma cerebral_cortex cerebellum_cortex "
    "cerebral_white_matter cerebellum_white_matter grey_matter gray_matter white_matter caudate "
    "caudate_nucleus putamen pallidum lentiform_nucleus thalamus thalamus_proper hippocampus amygdala "
    "insular_cortex frontal_lobe parietal_lobe occipital_lobe temporal_lobe",
    "heart": "myocardium heart_myocardium cardiac_muscle heart_muscle heart_ventricle heart_atrium ventricle_heart "
    "cardiac_ventricle atrial_appendage",
    "kidney": "kidneys renal_cortex kidney_cortex renal_pelvis",
    "ureter": "ureters",
    "urinary_bladder": "bladder bladder_urinary vesica_urinaria",
    "parotid_gland": "parotid parotids parotid_glands glnd_parotid",
    "submandibular_gland": "submandibular submandibulars submandibular_glands glnd_submand glnd_submandibular",
    "sublingual_gland": "sublingual sublingual_glands",
    "tonsil": "tonsils palatine_tonsil palatine_tonsils",
    "thyroid": "thyroid_gland glnd_thyroid thyroid_lobe",
    "esophagus": "oesophagus",
    "small_bowel": "small_intestine small_intestines jejunum ileum bowel_small",
    "colon": "large_intestine large_bowel bowel_large sigmoid sigmoid_colon rectum",
    "eye": "eyes eyeball eyeballs globe",
    "testis": "testes testicle testicles",
    "ovary": "ovaries",
    "breast": "breasts",
    "uterus": "uterus_corpus endometrium",
    "adrenal_gland": "adrenal_glands adrenal adrenals suprarenal_gland",
    "lung": "lungs",
    "skeletal_muscle": "skeletal_muscles",
}
_KNOWN = {alias: organ for organ, aliases in _SYNONYMS.items() for alias in aliases.split()}
# Words that mean the heart only beside a side: a ventricle without one may be the brain's.
_SIDED = {"ventricle": "heart", "atrium": "heart"}


@dataclass(frozen=True)
class OrganVerdict:
    """What the organ mask says of one object.

    Args:
        organ: canonical name of the organ that holds most of it; None where no organ does.
        share: part of its voxels in that organ.
        verdict: physiological, or None where the mask alone decides nothing.
        reason: why, in words; empty without a verdict.
    """

    organ: str | None
    share: float
    verdict: str | None
    reason: str = ""


def canonical(name: str) -> str:
    """Bring an organ's name to one vocabulary, without its side.

    `kidney_left`, `Kidneys`, `Kidney_L`, `Left kidney` are all `kidney`. A name that is not known keeps its
    words; only whole names are synonyms, so that a `kidney_cyst` or `liver tumor` is no kidney and no liver.
    """
    words = _words(name)
    kept = [w for w in words if w not in _SIDES and w not in _FILLERS]
    plain = "_".join(kept or words)
    if len(kept) < len(words) and side_of(name) and plain in _SIDED:
        return _SIDED[plain]
    return _KNOWN.get(plain, plain)


def side_of(name: str) -> str:
    """Return left, right, or an empty text where a name tells no side or both."""
    found = {_SIDES[word] for word in _words(name) if word in _SIDES}
    return found.pop() if len(found) == 1 else ""


def _words(name: str) -> list[str]:
    """Cut at spaces, signs and changes from small to capital letters, in lower case."""
    plain = re.sub(r"\([^()]*\)", " ", name)  # SNOMED: kidney structure (body structure)
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return [word for word in re.split(r"[\W_]+", parted.casefold()) if word]


def organ_shares(objects: NDArray[np.integer], organs: NDArray[np.integer], count: int) -> Shares:
    """Count the voxels of each object in each organ, on a whole volume or on one slab of it.

    Args:
        objects: (z, y, x), 0 for none, else 1 to `count`.
        organs: values of the organ mask, same shape.
        count: objects of the volume.

    Returns:
        Counts of the objects met here; `add_shares` makes the whole of slabs.

    Raises:
        ShapeError: the shapes differ or an object's number lies outside 0 to `count`.
    """
    if objects.shape != organs.shape:
        raise ShapeError(f"objects {objects.shape} and organs {organs.shape} differ in shape")
    met = objects != 0
    numbers = objects[met].astype(np.int64)
    if numbers.size and (numbers.min() < 1 or numbers.max() > count):
        raise ShapeError(f"objects are numbered 1 to {count}, got {numbers.min()}..{numbers.max()}")
    values, places = np.unique(organs[met], return_inverse=True)
    pairs, voxels = np.unique(numbers * max(values.size, 1) + places.ravel(), return_counts=True)
    shares: Shares = {}
    for pair, number in zip(pairs.tolist(), voxels.tolist(), strict=True):
        one, place = divmod(pair, values.size)
        shares.setdefault(one, {})[int(values[place])] = number
    return shares


def add_shares(parts: Iterable[Shares]) -> Shares:
    """Add the counts of slabs, in any order."""
    total: Shares = {}
    for part in parts:
        for one, counts in part.items():
            mine = total.setdefault(one, {})
            for value, voxels in counts.items():
                mine[value] = mine.get(value, 0) + voxels
    return {one: dict(sorted(total[one].items())) for one in sorted(total)}


def named_by_organ(
    shares: Shares, names: Mapping[int, str], exclude: Collection[str], has_fdg: bool
) -> dict[int, OrganVerdict]:
    """Name each object by its organ, and call it physiological where the organ says so.

    Args:
        shares: of `organ_shares`, added over the volume.
        names: value of the mask to organ; a value without a name is `organ VALUE`.
        exclude: organs in which nothing is a lesion; a name without a side means both sides.
        has_fdg: whether uptake was measured; without it (CT, MR, XCT) only `exclude` acts.

    Returns:
        Object to verdict, objects ascending.
    """
    values = sorted({value for counts in shares.values() for value in counts if value})
    told = {value: names.get(value, f"organ {value}") for value in values}
    reasons = {
        value: why for value, name in told.items() if (why := _reason(name, exclude, has_fdg))
    }
    organs = {value: canonical(name) for value, name in told.items()}
    return {one: _verdict(shares[one], organs, reasons) for one in sorted(shares)}


def _reason(name: str, exclude: Collection[str], has_fdg: bool) -> str:
    """Tell why an object in an organ is physiological; empty where it need not be."""
    organ = canonical(name)
    if any(_means(wanted, name) for wanted in exclude):
        return f"lies in {organ}, which the configuration excludes"
    if has_fdg and organ in HOT_AS_A_WHOLE:
        return f"lies in {organ}: {PHYSIOLOGICAL[organ]}"
    return ""


def _verdict(
    counts: Mapping[int, int], organs: Mapping[int, str], reasons: Mapping[int, str]
) -> OrganVerdict:
    """Judge one object by its voxels per value."""
    total = sum(counts.values())
    acting = {value: voxels for value, voxels in counts.items() if value in reasons}
    is_physiological = 0 < sum(acting.values()) >= MOST * total
    considered = acting if is_physiological else counts
    per_organ: dict[str, int] = {}
    for value, voxels in considered.items():
        if value:
            per_organ[organs[value]] = per_organ.get(organs[value], 0) + voxels
    if not per_organ:
        return OrganVerdict(None, 0.0, None)
    organ = min(per_organ, key=lambda name: (-per_organ[name], name))
    share = per_organ[organ] / total
    if not is_physiological:
        return OrganVerdict(organ, share, None)
    value = max((v for v in acting if organs[v] == organ), key=lambda v: (acting[v], -v))
    return OrganVerdict(organ, share, "physiological", reasons[value])


def _means(wanted: str, name: str) -> bool:
    """Whether a name of `exclude` means an organ of the mask."""
    if canonical(wanted) != canonical(name):
        return False
    return side_of(wanted) in ("", side_of(name))


def unmatched(exclude: Collection[str], names: Mapping[int, str]) -> dict[str, tuple[str, ...]]:
    """Find names of `exclude` that the mask's names do not hold, each with the nearest that they do."""
    held = sorted({canonical(name) for name in names.values()})
    return {
        wanted: tuple(difflib.get_close_matches(canonical(wanted), held, 3, cutoff=0.6))
        for wanted in exclude
        if not any(_means(wanted, name) for name in names.values())
        and not _is_unnamed_value(canonical(wanted), names)
    }


def _is_unnamed_value(organ: str, names: Mapping[int, str]) -> bool:
    """Whether a name is `organ VALUE` of a value that has no other name."""
    found = re.fullmatch(r"organ_([0-9]+)", organ)
    return found is not None and int(found[1]) not in names
