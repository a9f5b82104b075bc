"""How objects are found, cut and called, in plain words with the numbers that apply to a protocol."""

from collections.abc import Iterable

from somray.config import ProtocolConfig
from somray.kernels.objects.calls import CLEAR_FROM, CLEARLY_COMMON_FROM, COMMON_FROM, REACH_MM
from somray.kernels.objects.lung.rule import ATTACHED, LEAST_MM, THICK_MM
from somray.kernels.objects.lung.space import CLOSING_MM
from somray.kernels.objects.organs import HOT_AS_A_WHOLE
from somray.kernels.objects.prior import LEAST_SUBJECTS
from somray.kernels.objects.scan_rule import ScanRule, rule_for
from somray.kernels.objects.uptake.find import GRID_MM, LOWEST_RATIO, UPTAKE_CUT
from somray.kernels.objects.uptake.hidden import BLUR_MM, LEAST_MM3, OUT_FROM
from somray.kernels.objects.uptake.rule import (
    FAINT_MM3,
    FAINT_RATIO,
    FAR_HOTTER,
    FITS_FROM,
    LESION_FROM,
    MOST_CUT,
    SEVERAL,
)
from somray.kernels.objects.uptake.urine import FLUID_HU, FLUID_RATIO
from somray.kernels.objects.uptake.urine import REACH_MM as URINE_REACH_MM
from somray.report.drawing.blocks import Block, Details, Text

__all__ = ["rule_told"]


_BY_INTENSITY = (
    "What stands out from its surroundings is judged by where it lies: a lesion is one-sided and, where a skull is "
    "seen, enclosed by it. What hugs the body's surface or the skull, has a twin on the other side, lies on the "
    "midline as its own mirror image, or runs as a thin string is the body's own. What is one-sided outside the "
    "skull's space is in doubt. Where the normal tissue itself is the surface (a skull-stripped brain), objects are "
    "what the map or the student draws."
)
_DENSE = (
    "On CT what lies outside the body (a table), hugs its surface as a sheet (skin), or is long and far from round as "
    "bones and vessels are, is named so and is not followed; whatever else is dense stays a lesion, in doubt as the "
    "class is."
)
_IN_LUNG = (
    "Objects are what the lung encloses, whatever the map says: the lung's air is closed by a ball of "
    f"{CLOSING_MM:g} mm, and in that space what is compact and at least {LEAST_MM:g} mm thick is cut half way up its "
    "border. What is long or branches is a vessel, what has mostly tissue about it belongs to the hilum or the wall. "
    f"A lesion is solid and has lung about at least {1 - ATTACHED:.0%} of it; what is attached, not solid, cut by the "
    f"view or seen in one slice alone and not as a disc is in doubt, and so is everything in slices more than "
    f"{THICK_MM:g} mm apart. "
    "Masses attached broadly to chest wall, diaphragm or mediastinum are not found."
)
_AS_DRAWN = (
    "Objects are the target's connected parts as the map or the student draws them, neither cut again nor closed; "
    "they are lesions unless one of the following says otherwise. Their borders are settled half way, in intensity, "
    "between what the mask holds and normal tissue: voxels beside it that are past half way join, voxels of its rim "
    "that are not leave. Edges are a class of their own in a map, and no part of its target."
)


def rule_told(config: ProtocolConfig) -> Iterable[Block]:
    """Explain the object step of a protocol, folded away; say where there is none."""
    rule = rule_for(config.modality, tuple(config.channels), config.objects.rule)
    if config.objects.rule == "none":
        yield Text("Lesions are followed as they are drawn; no rule on objects applies here.")
        return
    by_rule = {"map": _AS_DRAWN, "dense": f"{_AS_DRAWN} {_DENSE}", "lung": _IN_LUNG}
    drawn = by_rule.get(rule.name, _BY_INTENSITY)
    told = [_by_uptake(rule), _cut()] if rule.has_uptake else [drawn]
    further = Text(_others(config, rule))
    title = "How the target becomes objects, and what decides what they are called"
    yield Details(title, (*(Text(t) for t in told), further))


def _by_uptake(rule: ScanRule) -> str:
    density = (
        f" What is as dense as water on CT ({FLUID_HU[0]:.0f} to {FLUID_HU[1]:.0f} HU) and {FLUID_RATIO:g} times "
        "as hot as the background is urine; where a bladder shows it, urine and "
        f"{URINE_REACH_MM:g} mm around it are left out and what stands out as a ball beside it is an object of its own."
        if "CT" in rule.kinds
        else ""
    )
    return (
        f"Objects are found on a grid of {GRID_MM:g} mm: uptake over the body's background is cut at every "
        f"level from {LOWEST_RATIO:g} times it on, which gives a tree of parts; from each branch the part is kept that "
        "stands out most, by how hot, how steep at its surface, how large and how round it is, in one score. From "
        f"a score of {LESION_FROM:g} on it stands out as lesions do, below that it is in doubt, as is what was cut "
        f"off at the scan's edge over more than {MOST_CUT:.0%} of its surface. In a whole body, what fits a place "
        f"of normal uptake in place, size and strength by {FITS_FROM:.0%} or more is physiological; an organ "
        f"takes one object or a few, the best fitting first.{density} Where no landmarks are seen, each thing of "
        f"{LEAST_MM3 / 1000:g} ml or more with a score of {OUT_FROM:g} or more is set aside once with {BLUR_MM:g} mm "
        "around it: what it tore to pieces is whole then and takes the place of its pieces. There, too, what has "
        f"{FAINT_MM3 / 1000:g} ml or more and a peak below {FAINT_RATIO:g} times soft tissue outside all objects is in "
        f"doubt, as long as {SEVERAL} lesions are at least {FAR_HOTTER:g} times as hot. Everything else that stands "
        "out is a lesion."
    )


def _cut() -> str:
    rule = UPTAKE_CUT
    small, large = (volume / 1000 for volume in rule.blurred_mm3 or (0.0, 0.0))
    return (
        f"Each object ends at a level of its own, {rule.hot_share:.0%} of the way from what surrounds it "
        f"({rule.near_mm:g} to {rule.far_mm:g} mm around it) to what is hot inside it; the smaller it is below "
        f"{large:g} ml the more it ends half way up its blurred border, up to {small:g} ml there alone. Then "
        f"gaps of up to {2 * rule.closing_mm:g} mm are closed, so that a cold core belongs to it; never across "
        "objects."
    )


def _others(config: ProtocolConfig, rule: ScanRule) -> str:
    told = ["Then others are heard, each beating the ones before."]
    if rule.has_uptake and config.objects.cohort:
        told.append(
            f"The cohort: what is hot in the same place in {COMMON_FROM:.0%} or more of at least {LEAST_SUBJECTS} "
            f"other subjects is physiological; from a score of {CLEAR_FROM:g} on, what is so in "
            f"{CLEARLY_COMMON_FROM:.0%}."
        )
    hot = f" or in one that FDG makes hot throughout ({', '.join(sorted(HOT_AS_A_WHOLE))})"
    told.append(
        "An organ mask, where the manifest names one: what lies mostly in an excluded organ"
        f"{hot.replace('_', ' ') if rule.has_uptake else ''} is physiological."
    )
    told.append(
        f"A person's word in objects.calls: it means the object whose middle is nearest to its point, within "
        f"{REACH_MM:g} mm or the object's radius. Nothing is deleted; a subject's page lists every object with its "
        "reason and the line that overrules it."
    )
    return " ".join(told)
