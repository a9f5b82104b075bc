"""Where bodies take up FDG without being ill: a table of places, sizes and strengths, and how well one fits.

A place is told in the body's own frame (`frame`): height 0 at the shoulder line, 1 where the legs part;
millimetres to the left of the midline of an average trunk; depth 0 at the front, 1 at the back. A place alone
hides nothing: an organ takes the one object (or the few) that fits it best in place, size and strength together,
and everything else there stays what it is.

Numbers come from anatomy and from reviews of normal uptake (A. Shammas, R. Lim, M. Charron, "Pediatric FDG PET/CT:
physiologic uptake, normal variants, and benign conditions", 2009; G. Cook, M. Maisey, I. Fogelman, "Normal
variants, artefacts and interpretative pitfalls in PET imaging", 1999), with margins for other bodies; none was
fitted to a lesion's place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from somray.kernels.objects.frame import BodyPlace

__all__ = ["ORGANS", "Hot", "Organ", "fit"]

Range = tuple[float, float]
ANYWHERE: Range = (-np.inf, np.inf)

HEIGHT_MARGIN, LEFT_MARGIN_MM, DEPTH_MARGIN, OCTAVES_MARGIN = 0.06, 10.0, 0.12, 1.0
"""How far outside its range a figure may lie before it does not fit at all (sizes and strengths in octaves)."""


@dataclass(frozen=True)
class Hot:
    """What an organ is recognised by.

    Args:
        place: where its centre lies.
        volume_ml: of the object.
        ratio: its peak over the background.
        stands_out: how much it stands out (`find.stands_out`).
        sphericity: 1 for a ball.
        elongation: its longest spread over the second one, 1 for a ball or a disc.
        fluid: whether its hot part is as dense as water; None without CT.
        has_ct: whether CT was measured.
    """

    place: BodyPlace
    volume_ml: float
    ratio: float
    stands_out: float
    sphericity: float
    elongation: float
    fluid: bool | None = None
    has_ct: bool = False


@dataclass(frozen=True)
class Organ:
    """A place of normal uptake.

    Args:
        name: as TotalSegmentator spells it, where it does.
        why: what takes up tracer there.
        height: of its centre in the body's frame.
        left_mm: of its centre.
        depth: of its centre.
        volume_ml: of the hot object.
        ratio: of its peak over the background.
        most: how many objects it may take.
        up_to: what stands out more than this is not believed to be normal.
        round_up_to: nor what is rounder.
        long_from: nor what is less elongated.
        holds_lesions: whether what is hotter inside it is looked at for itself.
        is_fluid: whether CT must show water.
        without_ct: whether it is asked only where no CT shows what it is.
    """

    name: str
    why: str
    height: Range
    left_mm: Range
    depth: Range = ANYWHERE
    volume_ml: Range = (0.0, np.inf)
    ratio: Range = (0.0, np.inf)
    most: int = 1
    up_to: float = np.inf
    round_up_to: float = np.inf
    long_from: float = 0.0
    holds_lesions: bool = False
    is_fluid: bool = False
    without_ct: bool = False


ORGANS: tuple[Organ, ...] = (
    Organ("brain", "the brain burns glucose", (-0.65, -0.12), (-45, 45), volume_ml=(150, 2500),
          ratio=(3.0, np.inf), most=2),
    Organ("heart", "heart muscle takes up tracer", (0.1, 0.36), (0, 80), (0.1, 0.6),
          volume_ml=(12, 1200), ratio=(2.5, np.inf), round_up_to=0.92),
    Organ("urinary_bladder", "urine collects there", (0.68, 1.0), (-25, 25), (0.1, 0.72),
          volume_ml=(8, 1200), ratio=(5.0, np.inf), is_fluid=True),
    Organ("kidney_left", "the kidney excretes tracer", (0.34, 0.5), (35, 90), (0.5, 0.95),
          volume_ml=(10, 400), ratio=(3.0, np.inf)),
    Organ("kidney_right", "the kidney excretes tracer", (0.34, 0.52), (-90, -35), (0.5, 0.95),
          volume_ml=(10, 400), ratio=(3.0, np.inf)),
    Organ("liver", "the liver's own uptake", (0.24, 0.55), (-160, 30), volume_ml=(500, 3500),
          ratio=(1.5, np.inf), holds_lesions=True),
    Organ("spleen", "the spleen's own uptake", (0.26, 0.5), (60, 160), (0.4, 1.0),
          volume_ml=(80, 700), ratio=(1.5, 6.0), up_to=5.0, holds_lesions=True),
    Organ("kidney", "urine collects in its pelvis", (0.36, 0.58), (28, 80), (0.5, 0.88),
          volume_ml=(0.3, 25), ratio=(3.0, np.inf), most=4),
    Organ("kidney", "urine collects in its pelvis", (0.36, 0.58), (-80, -28), (0.5, 0.88),
          volume_ml=(0.3, 25), ratio=(3.0, np.inf), most=4),
    Organ("ureter", "urine flows there", (0.45, 0.85), (18, 60), (0.35, 0.8),
          volume_ml=(0.3, 20), ratio=(3.0, np.inf), most=4, long_from=2.0),
    Organ("ureter", "urine flows there", (0.45, 0.85), (-60, -18), (0.35, 0.8),
          volume_ml=(0.3, 20), ratio=(3.0, np.inf), most=4, long_from=2.0),
    Organ("genitals", "urine and gonads", (0.86, 1.3), (-25, 25), (0.0, 0.6),
          volume_ml=(1, 200), most=2),
    Organ("nose", "mucosa and muscles of speech", (-0.4, -0.13), (-6, 6), (-0.1, 0.4),
          volume_ml=(1, 120), ratio=(2.0, 10.0), most=4, up_to=6.0),
    Organ("mouth", "mucosa and muscles of speech", (-0.2, -0.06), (-10, 10), (-0.1, 0.24),
          volume_ml=(1, 120), ratio=(2.0, 10.0), most=4, up_to=5.0),
    Organ("larynx", "muscles of the voice", (-0.12, 0.06), (-6, 6), (0.0, 0.33),
          volume_ml=(1, 120), ratio=(2.0, 8.0), most=2, up_to=5.0),
    Organ("marrow", "marrow of the spine", (-0.15, 0.95), (-6, 6), (0.62, 1.0),
          volume_ml=(1, 60), ratio=(1.5, 5.0), most=40, up_to=4.0, without_ct=True),
    Organ("bowel", "gut wall and content", (0.34, 0.95), (-130, 130), (0.0, 0.66),
          volume_ml=(2, 1500), ratio=(2.0, 14.0), most=40, up_to=4.5, round_up_to=0.7),
    Organ("bowel", "gut wall and content", (0.34, 0.95), (-130, 130), (0.0, 0.66),
          volume_ml=(25, 1500), ratio=(2.0, 6.0), most=40, up_to=3.0, round_up_to=0.88),
    Organ("bowel", "gut wall and content", (0.3, 0.95), (-130, 130), (0.0, 0.66),
          volume_ml=(2, 1500), ratio=(2.0, 8.0), most=40, up_to=1.2, round_up_to=0.9),
)  # fmt: skip
"""In the order in which they choose."""


def fit(organ: Organ, hot: Hot) -> float:
    """Return how well an object fits an organ, 1 for in every way, 0 for not at all."""
    if organ.without_ct and hot.has_ct:
        return 0.0
    too_round = hot.sphericity > organ.round_up_to or hot.elongation < organ.long_from
    if hot.stands_out > organ.up_to or too_round or (organ.is_fluid and hot.fluid is False):
        return 0.0
    sizes: Sequence[tuple[float, Range]] = (
        (hot.volume_ml, organ.volume_ml),
        (hot.ratio, organ.ratio),
    )
    shares = [
        _share(hot.place.height, organ.height, HEIGHT_MARGIN),
        _share(hot.place.left_mm, organ.left_mm, LEFT_MARGIN_MM),
        _share(hot.place.depth, organ.depth, DEPTH_MARGIN),
        *(
            _share(_octave(value), (_octave(a), _octave(b)), OCTAVES_MARGIN)
            for value, (a, b) in sizes
        ),
    ]
    return float(np.prod(shares))


def _octave(value: float) -> float:
    return float(np.log2(value)) if 0 < value < np.inf else (np.inf if value > 0 else -np.inf)


def _share(value: float, limits: Range, margin: float) -> float:
    """Return 1 inside the limits, falling to 0 at a margin outside."""
    off = max(limits[0] - value, value - limits[1], 0.0)
    return max(0.0, 1.0 - off / margin)
