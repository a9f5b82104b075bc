"""Colours that classes and lesions wear wherever a run is seen: in viewers, exported files and the report.

Classes: after Okabe & Ito, "Color Universal Design", 2008, told apart by the colour-blind. Colours are red, green,
blue and, where there are four, opacity, each 0 to 255. No colour decides a result.
"""

from collections.abc import Mapping

__all__ = [
    "FURTHER_CLASSES",
    "NAMED_CLASSES",
    "Rgb",
    "Rgba",
    "class_rgb",
    "class_rgba",
    "lesion_rgba",
]

Rgb = tuple[int, int, int]
Rgba = tuple[int, int, int, int]

NAMED_CLASSES: Mapping[str, Rgb] = {
    "background": (138, 143, 148),
    "normal": (27, 158, 137),
    "lesion": (217, 84, 30),
    "defect": (217, 84, 30),
    "boundary": (230, 184, 32),
}
FURTHER_CLASSES: tuple[Rgb, ...] = (
    (86, 180, 233), (204, 121, 167), (54, 103, 192), (166, 118, 29), (127, 95, 168), (102, 166, 30),
    (194, 24, 91), (77, 124, 138),
)  # fmt: skip
"""Of label values from 5 on, in their order."""

# Lesions are numbered and have no colours of their own; neighbours in number differ in hue.
_LESIONS: tuple[Rgb, ...] = (
    (220, 40, 40), (250, 190, 40), (60, 180, 75), (70, 130, 220), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (170, 110, 40),
)  # fmt: skip

# What covers most of a slice lets the image through; what is looked for does not.
_OPACITY = {"background": 60, "normal": 90, "lesion": 200, "defect": 200, "boundary": 160}
_FURTHER_OPACITY = 140
_OPAQUE = 255
_FIRST_FURTHER = 5


def class_rgb(name: str, value: int) -> Rgb:
    """Return the colour of a class; a further class is told by its label value."""
    if name in NAMED_CLASSES:
        return NAMED_CLASSES[name]
    return FURTHER_CLASSES[(value - _FIRST_FURTHER) % len(FURTHER_CLASSES)]


def class_rgba(name: str, value: int) -> Rgba:
    """Return the colour of a class as it lies over an image; 0, no data, is not seen."""
    opacity = 0 if value == 0 else _OPACITY.get(name, _FURTHER_OPACITY)
    return (*class_rgb(name, value), opacity)


def lesion_rgba(number: int) -> Rgba:
    """Return the colour of a lesion, the same in all sessions; it comes again after eight."""
    return (*_LESIONS[number % len(_LESIONS)], _OPAQUE)
