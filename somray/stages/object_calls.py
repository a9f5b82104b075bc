"""Objects called by all that is known: rule, cohort, organ mask, a person's word; no pixel is read.

Once every scan of the protocol has been looked at (`objects`), the cohort's voice is heard, and each object gets its
name, its reason and its row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from somray.domain.run import ScanPlace
from somray.domain.tables import ObjectRow, values_for
from somray.domain.work import Needs, Result
from somray.io.ome.image import finish_labels
from somray.io.storage import Storage
from somray.kernels.objects.calls import ObjectEvidence, Word, call_objects
from somray.kernels.objects.found import LESION, FoundObject
from somray.kernels.objects.prior import Occurrence
from somray.stages.objects import GROUP

__all__ = ["CALL_NEEDS", "COLORS", "CallItem", "call", "object_of"]

CALL_NEEDS = Needs(cpus=0.1)

COLORS = {
    "lesion": (220, 40, 40, 255),
    "physiological": (60, 120, 220, 255),
    "doubt": (230, 180, 40, 255),
}


@dataclass(frozen=True)
class CallItem:
    """One scan whose objects are called.

    Args:
        place: the scan.
        times: per time index the objects, as `find` told them.
        occurrences: of each, in the same order; (None, None) where the cohort was not asked.
        words: a person's.
    """

    place: ScanPlace
    times: tuple[tuple[Mapping[str, Any], ...], ...]  # Any: fields of a FoundObject
    occurrences: tuple[tuple[tuple[float | None, int | None], ...], ...]
    words: tuple[Word, ...] = ()


def object_of(facts: Mapping[str, Any]) -> FoundObject:  # Any: fields of a FoundObject
    """Read an object back from what `find` told of it."""
    own = {k: v for k, v in facts.items() if k not in ("centroid_mm", "organ", "organ_reason")}
    own["centroid"] = tuple(own["centroid"])
    return FoundObject(**own)


def call(item: CallItem, shared: object = None) -> Result:
    """Call the objects of one scan and mark `labels/objects` complete.

    Returns:
        Rows of `objects`; value: `lesions`, per time index the numbers of those called lesion.
    """
    rows: list[ObjectRow] = []
    lesions: list[list[int]] = []
    for t, (facts, asked) in enumerate(zip(item.times, item.occurrences, strict=True)):
        evidence = [_evidence(one, heard) for one, heard in zip(facts, asked, strict=True)]
        called = call_objects([object_of(one) for one in facts], evidence, item.words)
        rows += [_row(item, t, o, e) for o, e in zip(called, evidence, strict=True)]
        lesions.append([o.number for o in called if o.called == LESION])
    storage = Storage.at(item.place.root)
    classes = {r.object_id: r.called if r.name is None else f"{r.called} ({r.name})" for r in rows}
    colors = {r.object_id: COLORS[r.called] for r in rows}
    finish_labels(storage, item.place.name, GROUP, classes, colors)
    return Result(rows={"objects": rows}, value={"lesions": lesions})


def _evidence(
    facts: Mapping[str, Any], heard: tuple[float | None, int | None]
) -> ObjectEvidence:  # Any: fields of a FoundObject
    fraction, subjects = heard
    asked = None if fraction is None or subjects is None else Occurrence(fraction, subjects)
    x, y, z = facts["centroid_mm"]
    return ObjectEvidence((x, y, z), asked, facts["organ"], facts["organ_reason"])


def _row(item: CallItem, t: int, found: FoundObject, known: ObjectEvidence) -> ObjectRow:
    x, y, z = known.centroid_mm
    return ObjectRow(
        subject=item.place.subject,
        session=item.place.session,
        t=t,
        object_id=found.number,
        centroid_z_mm=z,
        centroid_y_mm=y,
        centroid_x_mm=x,
        peak_intensity=found.peak,
        mean_intensity=found.mean,
        cohort_fraction=known.occurrence.fraction if known.occurrence else None,
        cohort_subjects=known.occurrence.subjects if known.occurrence else None,
        organ=known.organ,
        **values_for(ObjectRow, found),
    )
