"""Masks to the scans that they outline, by layout and name, and by header: never scans of their own.

What a name calls a mask is one only if its values are whole numbers and few; what no name calls one, but lies on
another source's grid and holds few whole numbers, is one too.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from somray.errors import DataError
from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.grids import is_same_grid, overlap_fraction
from somray.io.cohort.survey.naming.names import fits, is_mask, stem_of, tokens
from somray.io.cohort.survey.naming.words import IMAGE, LESION, MASK, ORGANS, PLAIN
from somray.io.cohort.survey.scans import Gathered
from somray.io.readers import open_source

__all__ = ["LEAST_OVERLAP", "give_masks", "give_truth", "part_masks"]

MOST_BYTES = 64 << 20  # of a file whose values are looked at; larger ones are believed
MOST_LABELS = 256  # a mask of a whole body has 117
FEW_LABELS = 32  # of a file that no name calls a mask
MOST_STEPS = 0.1  # of neighbours in a mask that may differ
MOST_BESIDE = 12  # files of a folder whose values are looked at where no name tells
MOST_SMALL = 150  # of which `MOST_BYTES` are not reached: one for each organ of a body
MOST_ALIKE = 3  # a name that more files have names nobody
SEEN = 3  # files of a folder
LEAST_OVERLAP = 0.01
_ANSWERS = frozenset(("pred", "preds", "prediction", "predictions", "predicted", "inference"))
_LOOKS = 5  # slices looked at


def part_masks(found: Sequence[Found], search: Search) -> None:
    """Part sources into images and masks, by names and layouts, then by values."""
    beside: dict[Path, list[Found]] = defaultdict(list)
    seen: dict[Path, list[str]] = defaultdict(list)
    for one in found:
        if not (one.is_lesion or one.is_organ) or one.facts:  # series of DICOM say what they are
            one.is_lesion = one.is_organ = False
            search.images.append(one)
            beside[one.folder].append(one)
            continue
        kind = "mask"
        if not _is_believed(one.path, seen[one.path.parent]):
            kind = _kind(one.path, MOST_LABELS)
            seen[one.path.parent].append(kind)
        if kind == "mask":
            search.masks.append(one)
        elif kind == "fractions":
            why = "is named like a mask but holds fractions; write whole labels"
            search.leave_out(one.path, "mask", why)
        else:
            one.is_lesion = one.is_organ = False
            if is_mask(one.path.name):
                search.note(
                    f"{one.path}: is named like a mask but holds an image's values; taken for a scan"
                )
            search.images.append(one)
    for ones in (*beside.values(), *_called_alike(search.images)):
        if 1 < len(ones) <= MOST_BESIDE or _are_small(ones):
            for one in _unnamed(ones):
                search.masks.append(one)
                one.is_lesion = not one.is_organ
    masks = {id(one) for one in search.masks}
    search.images[:] = [one for one in search.images if id(one) not in masks]


def _called_alike(images: Sequence[Found]) -> list[list[Found]]:
    """Group images of several folders under one name, such as a network's answers beside what it was asked."""
    names: dict[str, list[Found]] = defaultdict(list)
    for one in images:
        names[re.sub(r"_\d{4}$", "", stem_of(one.path.name))].append(one)
    few = (o for stem, o in names.items() if len(o) <= MOST_ALIKE and re.search(r"\d", stem))
    return [ones for ones in few if len({one.folder for one in ones}) == len(ones)]


def _is_believed(path: Path, seen: Sequence[str]) -> bool:
    """Whether a name's word is taken for it: of a large file, or of a folder that is called nothing else.

    One that is called more (COVID-19-CT-Seg_20cases) is believed when its first files were seen to hold masks.
    """
    words = {*tokens(path.parent.name)}
    if not words & MASK:
        return _is_large(path)
    if words <= MASK | LESION | ORGANS | PLAIN | IMAGE:
        return True
    return len(seen) >= SEEN and set(seen) == {"mask"}


def _is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > MOST_BYTES


def _are_small(ones: Sequence[Found]) -> bool:
    files = [one.path for one in ones if one.path.is_file()]
    return 1 < len(files) <= MOST_SMALL and sum(f.stat().st_size for f in files) <= MOST_BYTES


def _unnamed(ones: Sequence[Found]) -> list[Found]:
    """Find masks among the sources of one folder that share a grid: few whole numbers beside an image."""
    files = [o for o in ones if not o.path.is_dir() and o.facts is None and not _is_large(o.path)]
    partners = {id(o): _partners(o, ones) for o in files}
    kinds = {id(o): _kind(o.path, FEW_LABELS) for o in files if partners[id(o)]}
    masks = [o for o in files if kinds.get(id(o)) == "mask"]
    return [o for o in masks if any(kinds.get(id(p)) != "mask" for p in partners[id(o)])]


def _partners(one: Found, ones: Sequence[Found]) -> list[Found]:
    own = one.header.geometry
    return [o for o in ones if o is not one and is_same_grid(own, o.header.geometry)]


def _kind(path: Path, most: int) -> str:
    """Tell a mask, fractions from 0 to 1, or an image by a few slices; an image where it cannot be read."""
    try:
        with open_source(path, "resample") as source:
            size_z = source.header.shape[1]
            places = sorted({round(z) for z in np.linspace(0, size_z - 1, _LOOKS)})
            planes = [source.read(0, z, z + 1)[0] for z in places]
    except DataError:
        return "image"
    seen = np.unique(np.concatenate([np.unique(plane) for plane in planes]))
    seen = seen[np.isfinite(seen)]
    if not seen.size or seen.min() < 0:
        return "image"
    if np.abs(seen - np.rint(seen)).max() < 1e-3:
        is_few = seen.size <= most and seen.max() < 65536
        return "mask" if is_few and (seen.size <= FEW_LABELS or _is_flat(planes)) else "image"
    return "fractions" if seen.max() <= 1 else "image"


def _is_flat(planes: Sequence[NDArray[np.float32]]) -> bool:
    """Whether neighbours are mostly equal, as in a mask; eight bits of an image hold no more values than one."""
    steps = [np.mean(np.diff(plane, axis=1) != 0) for plane in planes if plane.shape[1] > 1]
    return bool(steps) and float(np.mean(steps)) <= MOST_STEPS


def give_masks(scans: Sequence[Gathered], search: Search) -> None:
    """Give every scan its truth and organ masks, in place; what fits none is noted."""
    organs: dict[tuple[int, Path], list[Found]] = defaultdict(list)
    homes: dict[object, list[Gathered]] = defaultdict(list)
    called: dict[str, list[Gathered]] = defaultdict(list)
    for scan in scans:
        for home in {scan.first.who, scan.first.folder, scan.first.folder.parent}:
            homes[home].append(scan)
        called[stem_of(scan.first.path.name)].append(scan)
    for mask in search.masks:
        near = [s for s in homes[mask.who] if mask.when in ("", s.first.when)]
        alike = called[stem_of(mask.path.name)]  # in a folder of its own, under its image's name
        own = _scan_of(mask, near or homes[mask.path.parent] or alike, search)
        if own is None:
            continue
        scan, is_lesion = own, bool(LESION & set(tokens(mask.path.name)))
        is_organs = mask.path.parent.name.lower() == "segmentations" and not is_lesion
        if mask.is_organ or is_organs:
            organs[id(scan), mask.path.parent].append(mask)
        else:
            give_truth(scan, mask, search)
    by_id = {id(scan): scan for scan in scans}
    shared = Counter(folder for _, folder in organs)  # by several scans: each has a file of it
    for (key, folder), masks in organs.items():
        scan = by_id[key]
        others = {one.folder for one in scan.images}
        if scan.truth and folder.name.lower() != "segmentations":
            others.add(scan.truth.parent)
        is_own = folder not in others and shared[folder] == 1
        if scan.anatomy is not None or (len(masks) > 1 and not is_own):
            why = f"organ masks beside {scan.first.path}; one mask, or a folder of its own, may be `anatomy`"
            search.leave_out(masks[0].path, "mask", why)
        else:
            scan.anatomy = folder if is_own and _is_folder_of(folder, masks) else masks[0].path


def give_truth(scan: Gathered, mask: Found, search: Search) -> None:
    """Take a mask for a scan's truth, unless it has one already or a program made it."""
    image = scan.first.path
    if _ANSWERS & {*tokens(mask.path.parent.name), *tokens(mask.path.name)}:
        why = f"by its name a program's answer for {image}, no truth"  # which is what people drew
    elif scan.truth is None:
        scan.truth = mask.path
        return
    else:
        why = f"a second mask for {image}, beside {scan.truth.name}; join them in one file"
    search.leave_out(mask.path, "mask", why)


def _is_folder_of(folder: Path, masks: Sequence[Found]) -> bool:
    """Whether a folder holds these masks and no other file that reads like one."""
    files = {f for f in folder.iterdir() if f.is_file() and not f.name.startswith(".")}
    return len(masks) > 1 or len(files) > 1


def _scan_of(mask: Found, scans: Sequence[Gathered], search: Search) -> Gathered | None:
    """Find the scan whose first channel a mask outlines; note where there is none or more than one."""
    near = [s for s in scans if s.first.who == mask.who and mask.when in ("", s.first.when)]
    near = near or [s for s in scans if mask.path.parent in (s.first.folder, s.first.folder.parent)]
    near = near or [s for s in scans if len(scans) == 1 and s.first.path.name == mask.path.name]
    lying = [s for s in near if _lies_on(mask, s)]
    if near and not lying:
        search.leave_out(mask.path, "mask", f"is a mask, but does not lie on {near[0].first.path}")
        return None
    for better in (
        [s for s in lying if mask.what and mask.what == s.what],
        _best_named(mask, lying),
        [s for s in lying if is_same_grid(mask.header.geometry, s.first.header.geometry)],
    ):
        if len(better) == 1 and _is_of_first(mask, better[0]):
            return better[0]
    if len(lying) == 1 and _is_of_first(mask, lying[0]):
        return lying[0]
    if not lying:
        why = "looks like a mask, but no scan is known to be its own; name it in `truth` or `anatomy` if one is"
    elif len(lying) > 1:
        what = f"is a mask that lies on {len(lying)} scans"
        why = f"{what}; name it in `truth` or `anatomy` of its own"
    else:
        why = "looks like a mask, but of no scan's first channel"
    search.leave_out(mask.path, "mask", why)
    return None


def _best_named(mask: Found, scans: Sequence[Gathered]) -> list[Gathered]:
    scored = [(fits(mask.path.name, scan.first.path.name), scan) for scan in scans]
    best = max((score for score, _ in scored), default=0)
    return [scan for score, scan in scored if score == best] if best else []


def _is_of_first(mask: Found, scan: Gathered) -> bool:
    """Whether nothing says that the mask is of another channel, such as PET_mask beside CT and PET."""
    others = {c.lower() for c in scan.channels[1:]}
    own = {mask.modality.lower(), *mask.what.lower().split("-")}
    return not own & others or scan.channels[0].lower() in own


def _lies_on(mask: Found, scan: Gathered) -> bool:
    """Whether a mask covers part of the scan; one that names no place is taken by its size."""
    grid, own = scan.first.header.geometry, mask.header.geometry
    if "position_assumed" in mask.header.repairs or "position_assumed" in scan.first.header.repairs:
        return grid.shape == own.shape
    return overlap_fraction(grid, own) >= LEAST_OVERLAP
