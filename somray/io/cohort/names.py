"""What file and folder names tell: modality, mask or image, subject, session.

Guesses for a first manifest that a person then corrects; nothing else in somray looks at names. Patients'
names never come from headers.
"""

import re
from collections.abc import Iterable

__all__ = [
    "fits",
    "is_mask",
    "is_plain",
    "is_session",
    "modality_of",
    "safe_id",
    "stem_of",
    "tokens",
]

_SUFFIXES = re.compile(
    r"\.(nii|nii\.gz|hdr|img|nrrd|nhdr|mha|mhd|tiff?|btf|dcm|ima)(\.gz)?$", re.IGNORECASE
)
_MASK = {"mask", "masks", "label", "labels", "seg", "segs", "segmentation", "truth", "gt", "roi", "voi",
         "lumen", "contour",
         "lesions", "gtv"}  # fmt: skip
_IMAGE = {"image", "img", "scan", "vol", "volume"}
_MODALITIES = {
    "CT": {"ct", "cect", "ldct", "hu"},
    "PET": {"pet", "pt", "suv", "suvbw", "fdg", "bqml"},
    "MR": {"mr", "mri", "t1", "t2", "t1w", "t2w", "flair", "dwi", "adc", "dce", "dce4d"},
    "XCT": {"xct", "uct", "µct", "microct", "xray", "tomo"},
}
_PLAIN = {
    "dicom",
    "dicoms",
    "dcm",
    "nifti",
    "nii",
    "images",
    "series",
    "data",
    "raw",
    "tiff",
    "tif",
    "slices",
    "axial",
}
_SESSION = re.compile(
    r"(baseline|follow-?up|pre|post|week|wk|day|month|year|visit|session|ses|scan|time|tp|t|v)[-_ ]?\d{0,4}",
    re.IGNORECASE,
)


def stem_of(name: str) -> str:
    """Return a name without the endings of scan files."""
    return _SUFFIXES.sub("", name)


def tokens(name: str) -> list[str]:
    """Cut a name into lower-case words at anything that is neither letter nor digit."""
    return [word for word in re.split(r"[^0-9a-zµ]+", stem_of(name).lower()) if word]


def is_mask(name: str) -> bool:
    """Whether a name speaks of a mask rather than an image."""
    return bool(_MASK & set(tokens(name)))


def modality_of(names: Iterable[str]) -> str | None:
    """Return CT, PET, MR or XCT by the first name (nearest first) that says one and only one."""
    for name in names:
        words = set(tokens(name))
        found = [modality for modality, known in _MODALITIES.items() if known & words]
        if len(found) == 1:
            return found[0]
    return None


def fits(mask: str, image: str) -> int:
    """Return how many words a mask's name shares with an image's; 0 where it does not belong to it.

    `CT_mask` fits `CT_image`, `weave_150_phase_labels` fits `weave_150`, `lung_mask` fits neither.
    """
    own = [word for word in tokens(mask) if word not in _MASK]
    other = [word for word in tokens(image) if word not in _IMAGE]
    return len(other) if other and own[: len(other)] == other else 0


def is_plain(name: str) -> bool:
    """Whether a folder's name says what lies in it, not whose it is: DICOM, CT, pet_images."""
    plain = set.union(_PLAIN, _IMAGE, *_MODALITIES.values())
    return set(tokens(name)) <= plain


def is_session(name: str) -> bool:
    """Whether a name is that of a time point, such as week2, baseline or ses-01."""
    return bool(_SESSION.fullmatch(stem_of(name)))


def safe_id(name: str) -> str:
    """Make a name that the manifest accepts as subject or session."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem_of(name)).lstrip("._-")[:64] or "s"
