"""Units of length as files and people spell them, in mm."""

import unicodedata

__all__ = ["is_pixel", "mm_of", "mm_per_unit"]

_PREFIXES = {
    "Y": ("yotta", 24), "Z": ("zetta", 21), "E": ("exa", 18), "P": ("peta", 15), "T": ("tera", 12),
    "G": ("giga", 9), "M": ("mega", 6), "k": ("kilo", 3), "h": ("hecto", 2), "da": ("deca", 1),
    "": ("", 0), "d": ("deci", -1), "c": ("centi", -2), "m": ("milli", -3), "u": ("micro", -6),
    "n": ("nano", -9), "p": ("pico", -12), "f": ("femto", -15), "a": ("atto", -18), "z": ("zepto", -21),
    "y": ("yocto", -24),
}  # fmt: skip
_SYMBOLS = {f"{symbol}m": 10.0 ** (power + 3) for symbol, (_, power) in _PREFIXES.items()}
_WORDS = {
    f"{word}{ending}": 10.0 ** (power + 3)
    for word, power in _PREFIXES.values()
    for ending in ("meter", "meters", "metre", "metres")
} | {"micron": 1e-3, "microns": 1e-3, "angstrom": 1e-7, "angstroms": 1e-7, "å": 1e-7}
_IMPERIAL = {
    "in": 25.4, "inch": 25.4, "inches": 25.4, "thou": 0.0254, "ft": 304.8, "foot": 304.8, "feet": 304.8,
    "yd": 914.4, "yard": 914.4, "mi": 1609344.0, "mile": 1609344.0,
}  # fmt: skip
_MICRO = ("\\u00b5", "\\u00B5", "\\u03bc", "\\u03BC", "Âµ", "Î¼", "µ", "μ")
"""Spellings of the sign for micro, escaped or read in the wrong encoding too."""
_OF_HEADERS = {
    "a": 1e-7, "ångström": 1e-7, "angström": 1e-7, "nano": 1e-6, "micro": 1e-3, "mic": 1e-3, "mum": 1e-3,
    "milli": 1.0, "centi": 10.0, "inche": 25.4, '"': 25.4,
}  # fmt: skip
"""What people write by hand beside them."""
_NOTHING = frozenset(("", "?", "??", "???", "????", "none", "unknown", "n/a", "na", "unspecified"))
_PIXELS = frozenset(("pixel", "pix", "px", "voxel", "vox", "sample", "index"))


def mm_of(unit: object, *, imperial: bool = True) -> float | None:
    """Return one unit in mm, None where it is no length; symbols are told by case first (Mm is a megametre)."""
    text = str(unit or "").strip()
    for sign in _MICRO:
        text = text.replace(sign, "u")
    lower = text.lower()
    found = _SYMBOLS.get(text) or _WORDS.get(lower) or _SYMBOLS.get(lower)
    return found or (_IMPERIAL.get(lower) if imperial else None)


def mm_per_unit(word: str) -> float | None:
    """Return the mm in a unit that a person wrote into a header, in any case; None where the word names none.

    Raises:
        ValueError: the word is no unit of length that is known.
    """
    plain = _plain(word)
    if plain in _NOTHING or plain in _PIXELS:
        return None
    single = plain.removesuffix("s")
    found = (_OF_HEADERS.get(w) or mm_of(w) for w in (plain, single))
    factor = next((mm for mm in found if mm), None)
    if factor is None:
        raise ValueError("no unit of length")
    return factor


def is_pixel(word: str) -> bool:
    """Tell whether a header counts in voxels, so that it names no size of them."""
    return bool({_plain(word), _plain(word).removesuffix("s")} & _PIXELS)


def _plain(word: str) -> str:
    """Bring both micro signs to one, and case and blanks away."""
    return unicodedata.normalize("NFKC", word).strip().strip("'").casefold()
