"""Units of length as people spell them in headers."""

import unicodedata

__all__ = ["is_pixel", "mm_per_unit"]

_WORDS = {
    1e-7: ("å", "a", "angstrom", "ångström", "angström"),
    1e-6: ("nm", "nano", "nanometer", "nanometre"),
    1e-3: ("um", "μm", "mum", "micron", "micro", "micrometer", "micrometre", "mic"),
    1.0: ("mm", "milli", "millimeter", "millimetre"),
    10.0: ("cm", "centi", "centimeter", "centimetre"),
    1000.0: ("m", "meter", "metre"),
    25.4: ("in", "inch", "inche", '"'),
}
_MM = {word: factor for factor, words in _WORDS.items() for word in words}
_NOTHING = frozenset(("", "?", "??", "???", "????", "none", "unknown", "n/a", "na", "unspecified"))
_PIXELS = frozenset(("pixel", "pix", "px", "voxel", "vox", "sample", "index"))


def mm_per_unit(word: str) -> float | None:
    """Return the mm in a unit of length; None where the word names none.

    Raises:
        ValueError: the word is no unit of length that is known.
    """
    plain = _plain(word)
    if plain in _NOTHING or plain in _PIXELS:
        return None
    factor = _MM.get(plain, _MM.get(plain.removesuffix("s")))
    if factor is None:
        raise ValueError("no unit of length")
    return factor


def is_pixel(word: str) -> bool:
    """Tell whether a header counts in voxels, so that it names no size of them."""
    plain = _plain(word)
    return plain in _PIXELS or plain.removesuffix("s") in _PIXELS


def _plain(word: str) -> str:
    """Bring both micro signs to one, and case and blanks away."""
    return unicodedata.normalize("NFKC", word).strip().strip("'").casefold()
