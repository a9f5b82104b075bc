"""Colours that classes and lesions wear wherever a run is seen: in viewers, exported files and the report.

Classes that one protocol shows together differ by 20 (ΔE 2000) and more for people who see no green, too; a first
set after Okabe & Ito, "Color Universal Design", 2008, did not (background and normal: 3). Colours are red, green,
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
    "background": (201, 205, 209),
    "normal": (20, 128, 111),
    "lesion": (217, 84, 30),
    "defect": (217, 84, 30),
    "boundary": (230, 184, 32),
}
FURTHER_CLASSES: tuple[Rgb, ...] = (
    (86, 180, 233), (191, 217, 141), (61, 44, 141), (91, 58, 140), (127, 184, 240), (142, 91, 208),
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
