"""Whether two sources were acquired alike: a fingerprint of their headers.

Modality, contrast or phase, device, kernel, contrast agent, sequence; sizes by class, since a field of view is set
anew for every patient.
"""

from somray.io.cohort.survey.found import Found

__all__ = ["is_alike"]

SPACING_RATIO = 2.0  # scans whose voxels differ more were not acquired alike


def is_alike(one: Found, other: Found) -> bool:
    """Whether two sources fit one protocol."""
    mine, theirs = one.header, other.header
    if (one.modality, one.what, one.channel) != (other.modality, other.what, other.channel):
        return False
    if (mine.shape[0] > 1, mine.shape[1] > 1) != (theirs.shape[0] > 1, theirs.shape[1] > 1):
        return False
    if one.facts and other.facts and one.facts.device != other.facts.device:
        return False
    if mine.unit is not None and theirs.unit is not None and mine.unit != theirs.unit:
        return False
    pairs = zip(mine.geometry.spacing_mm, theirs.geometry.spacing_mm, strict=True)
    through, *within = (max(a / b, b / a) for a, b in pairs)
    is_thin = mine.shape[1] == 1 or through <= 2 * SPACING_RATIO
    return is_thin and max(within) <= SPACING_RATIO
