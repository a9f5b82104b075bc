"""Masks as outlines on slices, session by session, in the windows that radiologists use."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of
from somray.domain.teacher import TeacherModel
from somray.report.choose import reference_slices, slices_to_show
from somray.report.data import ReportData, Row, ScanPixels
from somray.report.drawing.blocks import (
    Block,
    Gallery,
    Key,
    KeyEntry,
    Notice,
    Picture,
    Section,
    Text,
)
from somray.report.drawing.display import DisplayWindow, grey, presets
from somray.report.drawing.listing import plural
from somray.report.drawing.style import OUTLINES
from somray.report.drawing.tiles import Outline, TileText, outline_path, tile
from somray.report.notices import NOT_ACCURACY, doubts

__all__ = ["OUTLINE_NAMES", "masks_section", "outlines_of", "target_areas", "windows_of"]

OUTLINE_NAMES = {
    "student": "student",
    "som": "SOM, direct transfer",
    "truth": "reference truth",
}


def target_areas(data: ReportData, scan: Row) -> dict[tuple[int, int], float]:
    """Return the target's area of each (t, z) of a scan.

    By the method that the protocol segments with, by direct transfer while that is not done yet, {} while
    neither is.
    """
    method = data.protocol(scan["protocol"]).segment
    return _areas_by(data, scan, method) or _areas_by(data, scan, "som")


def _areas_by(data: ReportData, scan: Row, method: str) -> dict[tuple[int, int], float]:
    rows = data.rows("slices", protocol=scan["protocol"], subject=scan["subject"],
                     session=scan["session"], method=method)  # fmt: skip
    return {(r["t"], r["z"]): r["target_area_mm2"] for r in rows}


def windows_of(
    pixels: ScanPixels, teacher: TeacherModel, images: NDArray[np.float32]
) -> list[tuple[DisplayWindow, ...]]:
    """Choose each channel's windows for all pictures (n, c, y, x) of a scan together."""
    return [
        presets(
            pixels.units[number],
            teacher.windows[number],
            images[:, number],
            channel.is_uptake,
        )
        for number, channel in enumerate(channels_of(teacher.modality, pixels.meta.channels))
    ]


def outlines_of(pixels: ScanPixels, target: int, t: int, z: int) -> dict[str, NDArray[np.bool_]]:
    """Return the masks of one slice that exist: SOM, student, truth."""
    found: dict[str, NDArray[np.bool_]] = {}
    som, student = pixels.label("som", t, z), pixels.label("student", t, z)
    if som is not None:
        found["som"] = som == target
    if student is not None:
        found["student"] = student > 0
    truth = pixels.truth(t, z)
    if truth is not None:
        found["truth"] = truth
    return found


def masks_section(data: ReportData, scans: list[Row], protocol: str, prefix: str) -> Section:
    """Show each session's slices with the masks as outlines."""
    teacher = data.teacher(protocol)
    title = "Masks on slices"
    done = [s for s in scans if s["status"] == "done"]
    if teacher is None or not done:
        why = "the protocol has no teacher" if teacher is None else "no session of it is done"
        return Section(f"{prefix}-masks", title, (Text(f"Nothing to show: {why}."),))
    target = data.protocol(protocol).teacher.target
    blocks: list[Block] = [*doubts(teacher, (target,))]
    if data.protocol(protocol).segment == "student":
        blocks.append(NOT_ACCURACY)
    blocks.append(Text(
        f"Outlines show the target class “{target}”. Slices are those with the most target and others "
        "spread over it; slices of different sessions with the same index need not show the same anatomy. "
        "Images lie as they are stored; letters at the edge tell the patient's direction "
        "(L left, P posterior, S superior …)."
    ))  # fmt: skip
    blocks += [_session(data, scan, teacher, prefix) for scan in done]
    return Section(f"{prefix}-masks", title, tuple(blocks))


def _session(data: ReportData, scan: Row, teacher: TeacherModel, prefix: str) -> Section:
    title = f"Session {scan['session']}"
    if scan["days"] is not None:
        title += f", day {scan['days']:g}"
    anchor = f"{prefix}-masks-{scan['session']}"
    pixels = data.scan(scan["subject"], scan["session"])
    if pixels is None or not {"som", "student"} & set(pixels.labels):
        return Section(anchor, title, (Text("Nothing to show: this scan has no finished mask."),))
    return Section(anchor, title, tuple(_pictures(data, scan, pixels, teacher)))


def _pictures(
    data: ReportData, scan: Row, pixels: ScanPixels, teacher: TeacherModel
) -> Iterable[Block]:
    protocol = scan["protocol"]
    target = teacher.value_of(data.protocol(protocol).teacher.target)
    areas = target_areas(data, scan)
    t = max(areas, key=lambda key: (areas[key], -key[0], -key[1]), default=(0, 0))[0]
    here = {z: area for (moment, z), area in areas.items() if moment == t}
    references = [
        k.z for k in reference_slices(data, protocol)[0]
        if (k.subject, k.session, k.t) == (scan["subject"], scan["session"], t)
    ]  # fmt: skip
    chosen = slices_to_show(here, pixels.meta.shape[2], references)
    if here and not any(here.values()):
        yield Text(
            "The target class covers nothing in this scan; three slices are shown without it."
        )
    largest = max(chosen, key=lambda z: (here.get(z, 0.0), -z))
    images = {z: pixels.image(t, z) for z in chosen}
    windows = windows_of(pixels, teacher, np.stack(list(images.values())))
    shown: set[str] = set()
    main, further = [], []
    for z in chosen:
        masks = outlines_of(pixels, target, t, z)
        shown |= set(masks)
        first, rest = _slice(pixels, windows, masks, (images[z], z))
        main += first
        further += rest if z == largest else []
    if pixels.truth_trouble is not None:
        yield Notice(pixels.truth_trouble, "warn", "The truth mask cannot be drawn.")
    yield _key(shown)
    yield Gallery(tuple(main), "small", _told(pixels, chosen, t))
    if further:
        yield Gallery(tuple(further), "small", f"Slice {largest} again, in other windows.")


def _told(pixels: ScanPixels, chosen: list[int], t: int) -> str:
    moment = f" at time index {t} of {pixels.meta.shape[0]}" if pixels.meta.shape[0] > 1 else ""
    told = f"{plural(len(chosen), 'slice')} of {pixels.meta.shape[2]}{moment}, counted from 0."
    if "spacing_assumed" in pixels.meta.repairs:
        told += (
            " The file gives no spacing: lengths are in pixels, and tables take a pixel for 1 mm."
        )
    return told


def _key(shown: set[str]) -> Key:
    return Key(
        tuple(
            KeyEntry(OUTLINE_NAMES[name], OUTLINES[name][0], dash=OUTLINES[name][1])
            for name in OUTLINE_NAMES
            if name in shown
        )
    )


def _slice(
    pixels: ScanPixels,
    windows: list[tuple[DisplayWindow, ...]],
    masks: dict[str, NDArray[np.bool_]],
    shown: tuple[NDArray[np.float32], int],
) -> tuple[list[Picture], list[Picture]]:
    """Show every channel of one slice in its main window; the other windows come second."""
    image, z = shown
    frame = pixels.frame
    order = ("student", "truth", "som")  # the thinner, broken lines lie on top
    lines = tuple(
        Outline(outline_path(masks[n], frame.size), *OUTLINES[n]) for n in order if n in masks
    )
    pixel_mm2 = frame.spacing_mm[0] * frame.spacing_mm[1]
    sizes = ", ".join(
        f"{OUTLINE_NAMES[n]} {np.count_nonzero(masks[n]) * pixel_mm2:.0f} {frame.unit}²"
        for n in OUTLINE_NAMES
        if n in masks
    )
    main: list[Picture] = []
    further: list[Picture] = []
    for number, channel in enumerate(pixels.meta.channels):
        for window in windows[number]:
            told = f"{channel}, slice {z}, {window}; target: {sizes}."
            words = TileText(f"{channel} · z {z}", lines, window.inverted)
            markup = tile(grey(image[number], window), frame, f"Outlines on {told}", words)
            picture = Picture(markup, told, f"Outlines on {told}")
            (main if window is windows[number][0] else further).append(picture)
    return main, further
