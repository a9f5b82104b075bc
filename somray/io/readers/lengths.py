"""Units of length as files spell them, in mm."""

__all__ = ["mm_of"]

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


def mm_of(unit: object, *, imperial: bool = True) -> float | None:
    """Return one unit in mm, None where it is no length (pixels, nothing, a word nobody knows).

    Args:
        unit: symbol or word; symbols are told by case first (Mm is a megametre).
        imperial: whether inches and feet count.
    """
    text = str(unit or "").strip()
    for sign in _MICRO:
        text = text.replace(sign, "u")
    lower = text.lower()
    found = _SYMBOLS.get(text) or _WORDS.get(lower) or _SYMBOLS.get(lower)
    return found or (_IMPERIAL.get(lower) if imperial else None)
