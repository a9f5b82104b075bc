"""The stages of a run in one table: their order, what they run, what they wipe, what they cost.

Nothing else lists stages: `status` and tables go by this order, digests by these functions, plans by these
seconds. A stage is added here, with its chain in `chains.py` and its unit in `units/`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from somray.domain.work import StageFunction, Unit
from somray.stages import drift, ingest, object_calls, objects, truth
from somray.stages.evolution import evolve
from somray.stages.pretrain import codebooks, shards
from somray.stages.pretrain import fit as pretrain
from somray.stages.registration import (
    align_sessions,
    align_slices,
    register,
    register_sessions,
    residuals,
)
from somray.stages.segment import labels, rows, scales, som
from somray.stages.segment import student as by_student
from somray.stages.student import fit as student
from somray.stages.teacher import fit as teacher

__all__ = ["STAGES", "Stage"]

Wiped = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        functions: what its units run. Their modules and all that these import decide its results
            (`digests.code_digest`).
        wipes: stage and name of the units whose results are gone once a unit of this stage runs; a name
            stands for all that extend it with "+".
        seconds: of one core for one `measure` of a unit's work, for plans: good to a factor of two
            (tests/benchmarks/LOG.md). 0 where it is not worth counting.
        measure: what `Unit.work` counts. A slice has 512 × 512 pixels.
        unforeseen: what only pixels tell of the number of its units; a plan counts as if there were none.
    """

    functions: tuple[StageFunction, ...]
    wipes: Callable[[Unit], Wiped] = lambda unit: ()
    seconds: float = 0.0
    measure: str = ""
    unforeseen: str = ""


def _of_the_scan(unit: Unit) -> Wiped:
    """Ingest writes a scan's group anew: its bricks and labels are gone, and what was told of them.

    A part of it, or its closing, destroys nothing: it runs between an opening and the mark.
    """
    if "+" in unit.name:
        return ()
    stages = (
        "register", "open", "som", "drift", "segment", "close", "objects", "calls", "residuals",
        "publish", "truth",
    )  # fmt: skip
    own = [("ingest", f"{unit.name}+part"), ("ingest", f"{unit.name}+close")]
    return [*own, *((stage, unit.name) for stage in stages), ("evolve", f"sub-{unit.subject}")]


def _of_the_group(unit: Unit) -> Wiped:
    """An opened label group is empty; the student's two groups are written by the same units."""
    scan, _, label = unit.name.partition("+")
    slabs = ("som", unit.name) if label == "som" else ("segment", f"{scan}+student")
    return [slabs, ("close", unit.name)]


STAGES: Mapping[str, Stage] = {
    "ingest": Stage(
        (ingest.run, ingest.fill, ingest.close), _of_the_scan, 0.07, "slice of one channel",
        "a scan that its pixels condemn (blank, damaged, equal to another file's) is planned as a good one",
    ),
    "register": Stage(
        (
            register.run_slices, align_slices.run, register_sessions.run_sessions,
            align_sessions.run_bridges, align_sessions.run_align,
        ),
        seconds=0.2, measure="pair of slices",
        unforeseen="further pairs of sessions, asked where the first ones contradict each other",
    ),
    "teacher": Stage(
        (teacher.run, teacher.missing),
        lambda unit: [("student", unit.protocol), ("pretrain", unit.protocol)],
        0.03, "slice of one channel, once per pass",
        "further scans, asked where the first ones can teach nothing",
    ),
    "shards": Stage((shards.run, codebooks.run), seconds=0.07, measure="slice of one channel"),
    "pretrain": Stage((pretrain.run,), seconds=0.15, measure="step of one worker"),
    "student": Stage((student.run,), seconds=0.12, measure="step of one worker"),
    "open": Stage((labels.open_labels,), _of_the_group),
    "som": Stage((som.run_som, scales.run_scales), seconds=0.045, measure="slice of one channel"),
    "drift": Stage((drift.run,)),
    "segment": Stage((by_student.run_student,), seconds=0.11, measure="slice"),
    "close": Stage((labels.close_labels, rows.close_counted)),
    "objects": Stage(
        (objects.find,), lambda unit: [("calls", unit.name)], 0.055, "slice of one channel"
    ),
    "calls": Stage((object_calls.call,)),
    "evolve": Stage((evolve.run,), seconds=0.05, measure="slice"),
    "residuals": Stage((residuals.run_slices, residuals.run_sessions), seconds=0.05, measure="slice"),
    "publish": Stage((labels.publish,)),
    "truth": Stage((truth.run,), seconds=0.08, measure="slice of one mask"),
}  # fmt: skip
"""Every stage by name, in the order that `status` shows."""
