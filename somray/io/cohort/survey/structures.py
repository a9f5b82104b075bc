"""RT Structure Sets to the scans that they were drawn on: by the series that they name, else by frame of reference."""

from collections.abc import Sequence
from pathlib import Path

from somray.errors import DataError
from somray.io.cohort.survey.dicom_series import SeriesFacts
from somray.io.cohort.survey.found import Found, Search
from somray.io.cohort.survey.grids import overlap_fraction
from somray.io.cohort.survey.masks import LEAST_OVERLAP, give_truth
from somray.io.cohort.survey.naming.names import tokens
from somray.io.cohort.survey.naming.words import LESION, ORGANS
from somray.io.cohort.survey.scans import Gathered
from somray.io.masks.opening import open_mask
from somray.io.masks.rtstruct import regions_of

__all__ = ["give_structures", "structures_of"]

_TARGETS = ("GTV", "CTV", "PTV")  # interpreted types
_ORGANS = ("ORGAN", "AVOIDANCE")


def structures_of(file: Path, root: Path, facts: SeriesFacts, search: Search) -> list[Found]:
    """Look at one structure set; what cannot be drawn is left out."""
    try:
        drawn = [region for region in regions_of(file) if region.contours]
        with open_mask(str(file)) as source:
            header = source.header
    except DataError as error:
        search.refuse(file, error)
        return []
    targets = [r for r in drawn if r.kind in _TARGETS or LESION & set(tokens(r.name))]
    organs = [r for r in drawn if r.kind in _ORGANS or ORGANS & set(tokens(r.name))]
    if targets and len(targets) < len(drawn):
        search.note(
            f"{file}: {len(targets)} of its {len(drawn)} regions are called targets, and all of them count as truth; "
            "choose one with `#channel=NAME` behind its path"
        )
    return [Found(file, root, header, "other", facts, is_organ=bool(organs) and not targets)]


def give_structures(scans: Sequence[Gathered], search: Search) -> None:
    """Give every scan its structure set, in place; what fits none, or more than one, is noted."""
    for one in search.structures:
        own = _scans_of(one, scans)
        if len(own) != 1:
            which = "was drawn on no first channel that is here"
            which = f"lies on {len(own)} scans" if own else which
            why = f"is an RTSTRUCT that {which}; name it in `truth` or `anatomy`"
            search.leave_out(one.path, "mask", why)
        elif not one.is_organ:
            give_truth(own[0], one, search)
        elif own[0].anatomy is None:
            own[0].anatomy = one.path
        else:
            search.leave_out(one.path, "mask", f"organs beside those of {own[0].anatomy.name}")


def _scans_of(one: Found, scans: Sequence[Gathered]) -> list[Gathered]:
    """Find the scans whose first channel a structure set was drawn on."""
    facts = one.facts
    if facts is None:
        return []
    known = {id(s): s.first.facts for s in scans}
    named = [s for s in scans if any(i.facts and i.facts.uid in facts.drawn_on for i in s.images)]
    if named:  # by its series; one of a PET lies on no slice of the CT beside it
        return [s for s in named if (own := known[id(s)]) and own.uid in facts.drawn_on]
    framed = [
        s for s in scans if (own := known[id(s)]) and facts.frame and own.frame == facts.frame
    ]
    if framed:
        return framed
    places = (one.path.parent, one.path.parent.parent)
    near = [s for s in scans if s.first.folder in places or s.first.folder.parent in places]
    unknown = [s for s in near if (own := known[id(s)]) is None or not (own.frame and facts.frame)]
    return [
        s
        for s in unknown
        if overlap_fraction(s.first.header.geometry, one.header.geometry) >= LEAST_OVERLAP
    ]
