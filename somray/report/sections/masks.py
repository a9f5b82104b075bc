"""Masks as outlines on slices, session by session, in the windows that radiologists use."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from somray.domain.teacher import TeacherModel
from somray.report.data import Row, Rows, ScanPixels, SubjectData
from somray.report.data.selection import MOST_SLICES as EACH
from somray.report.data.selection import reference_slices, slices_to_show
from somray.report.drawing.blocks import Block, Gallery, Notice, Picture, Section, Text
from somray.report.drawing.table import plural
from somray.report.drawing.tiles import shared_side
from somray.report.figures.outlines import mask_legend, mask_pictures, windows_of
from somray.report.texts.notices import NOT_ACCURACY, doubts

__all__ = ["masks_section"]

TITLE = "Masks on slices"
MOST_SESSIONS = 12  # with pictures: the first and the latest
MOST_SLICES = 18  # of all sessions together
MOST_WINDOWED = 3  # sessions up to which the largest slice is shown in other windows, too
PAGE_PIXELS = 3.5e6  # of all pictures together: about a megabyte


def masks_section(subject: SubjectData, prefix: str) -> Section:
    """Show each session's slices with the masks as outlines."""
    teacher = subject.look
    if teacher is None or not subject.done:
        why = "the protocol has no teacher" if teacher is None else "no session of it is done"
        return Section(f"{prefix}-masks", TITLE, (Text(f"Nothing to show: {why}."),))
    target = subject.config.teacher.target
    blocks: list[Block] = [*doubts(teacher, (target,))]
    if subject.config.segment == "student":
        blocks.append(NOT_ACCURACY)
    blocks.append(Text(
        f"Outlines show the target class “{target}”. Slices are those with the most target and others "
        "spread over it; slices of different sessions with the same index need not show the same anatomy. "
        "Images lie as they are stored; letters at the edge tell the patient's direction "
        "(L left, P posterior, S superior …)."
    ))  # fmt: skip
    pictured = subject.done
    if len(pictured) > MOST_SESSIONS:
        pictured = [*pictured[:1], *pictured[1 - MOST_SESSIONS :]]
        left_out = plural(len(subject.done) - len(pictured), "session")
        blocks.append(
            Text(f"{left_out} between them not pictured; all can be looked through above.")
        )
    share = _Share.of(pictured)
    blocks += [_session(subject, scan, teacher, prefix, share) for scan in pictured]
    return Section(f"{prefix}-masks", TITLE, tuple(blocks))


@dataclass(frozen=True)
class _Share:
    """What each session may show of what a page holds: slices, pixels along a side, further windows."""

    slices: int
    side: int
    windows: bool

    @classmethod
    def of(cls, scans: Rows) -> "_Share":
        """Share a page among scans (rows of `scans`)."""
        slices = max(1, min(EACH, MOST_SLICES // len(scans)))
        channels = max(int(s["shape_c"] or 1) for s in scans)
        windows = len(scans) <= MOST_WINDOWED
        count = len(scans) * channels * (slices + 2 * windows)
        return cls(slices, shared_side(count, PAGE_PIXELS), windows)


def _session(
    subject: SubjectData, scan: Row, teacher: TeacherModel, prefix: str, share: _Share
) -> Section:
    title = f"Session {scan['session']}"
    if scan["days"] is not None:
        title += f", day {scan['days']:g}"
    pixels = subject.scan(scan["session"])
    if pixels is None or not {"som", "student", "foreign"} & set(pixels.labels):
        blocks: tuple[Block, ...] = (Text("Nothing to show: this scan has no finished mask."),)
    else:
        blocks = tuple(_pictures(subject, scan["session"], pixels, teacher, share))
    return Section(f"{prefix}-masks-{scan['session']}", title, blocks)


def _pictures(
    subject: SubjectData, session: str, pixels: ScanPixels, teacher: TeacherModel, share: _Share
) -> Iterator[Block]:
    areas = subject.target_areas(session)
    t = max(areas, key=lambda key: (areas[key], -key[0], -key[1]), default=(0, 0))[0]
    here = {z: area for (moment, z), area in areas.items() if moment == t}
    if here and not any(here.values()):
        yield Text(
            "The target class covers nothing in this scan; three slices are shown without it."
        )
    where = (subject.subject, session, t)
    references = [
        k.z for k in reference_slices(subject.whole).keys if (k.subject, k.session, k.t) == where
    ]
    chosen = slices_to_show(here, pixels.meta.shape[2], references, share.slices)
    largest = max(chosen, key=lambda z: (here.get(z, 0.0), -z))
    images = {z: pixels.image(t, z) for z in chosen}
    windows = windows_of(pixels, teacher, np.stack(list(images.values())))
    target = teacher.value_of(subject.config.teacher.target)
    shown: set[str] = set()
    main: list[Picture] = []
    further: tuple[Picture, ...] = ()
    for z in chosen:
        masks = pixels.masks(target, t, z)
        shown |= set(masks)
        drawn = mask_pictures(pixels, windows, masks, images[z], (z, share.side))
        main += drawn.main
        further = drawn.further if z == largest and share.windows else further
    if pixels.truth_trouble is not None:
        yield Notice(pixels.truth_trouble, "warn", "The truth mask cannot be drawn.")
    yield mask_legend(shown)
    yield Gallery(tuple(main), "small", _told(pixels, len(chosen), t))
    if further:
        yield Gallery(further, "small", f"Slice {largest} again, in other windows.")


def _told(pixels: ScanPixels, count: int, t: int) -> str:
    times, _, depth, *_ = pixels.meta.shape
    moment = f" at time index {t} of {times}" if times > 1 else ""
    told = f"{plural(count, 'slice')} of {depth}{moment}, counted from 0."
    if "spacing_assumed" in pixels.meta.repairs:
        told += (
            " The file gives no spacing: lengths are in pixels, and tables take a pixel for 1 mm."
        )
    return told
