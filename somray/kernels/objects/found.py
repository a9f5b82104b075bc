"""An object of one scan: where it is, what it measures, what it was called."""

from dataclasses import dataclass

__all__ = ["CALLS", "DOUBT", "LESION", "PHYSIOLOGICAL", "FoundObject"]

LESION, PHYSIOLOGICAL, DOUBT = "lesion", "physiological", "doubt"

CALLS = (LESION, PHYSIOLOGICAL, DOUBT)


@dataclass(frozen=True)
class FoundObject:
    """One object, as the columns of the table `objects` tell it.

    Args:
        number: its value in the label array, from 1.
        called: one of `CALLS`.
        reason: what decided, with the figures, in words.
        salience: see `tree`, in mm^1.5 of log2; None where a map drew it.
        volume_mm3: on the grid that it was found on.
        centroid: mean voxel index (z, y, x) on that grid.
        peak: highest value of the lesion channel.
        mean: mean value of the lesion channel.
        contrast_log2: log2 of its mean over what surrounds it; None where a map drew it.
        sphericity: 1 for a ball.
        name: organ or place that it was recognised as.
        by: rule, cohort, anatomy or configuration.
        level: value that it was cut at; None where a map drew it.
        cut_fraction: share of its surface where nothing was scanned.
        ct_mean_hu: mean CT of its hottest part; None without CT.
        ct_std_hu: spread of CT in the same.
        height_fraction: 0 at the neck, 1 where the legs part; None where the scan does not tell.
        midline_mm: distance from the body's midline, to the left positive.
        depth_mm: least distance from the body's surface.
        twin: how well the mirror image of another object matches it, 0 to 1.
        landmark: height, mm to the left and depth in the body's frame, ml, peak over background; what other
            subjects are asked for (`prior`); None where the scan shows no landmarks.
    """

    number: int
    called: str
    reason: str
    salience: float | None
    volume_mm3: float
    centroid: tuple[float, float, float]
    peak: float
    mean: float
    contrast_log2: float | None
    sphericity: float
    name: str | None = None
    by: str = "rule"
    level: float | None = None
    cut_fraction: float = 0.0
    ct_mean_hu: float | None = None
    ct_std_hu: float | None = None
    height_fraction: float | None = None
    midline_mm: float | None = None
    depth_mm: float | None = None
    twin: float | None = None
    landmark: tuple[float, float, float, float, float] | None = None
