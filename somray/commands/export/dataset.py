"""A run as data sets that networks learn from: one a protocol, one case a scan and time point.

Images and labels lie on the run's grid, where all channels of a scan lie together. By itself the label is `lesions`,
as one class named after the target; `student` is the target too, `som` all classes. Labels count from 0 without a gap;
what is doubtful may have the highest (`doubt`). Voxels without data are background, and get the lowest value that
their channel has in the scan, since networks take no NaN. `dataset.json` is written last.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.commands.export.doubt import ScanDoubts, doubts_of
from somray.commands.export.request import ExportRequest
from somray.commands.export.scans import StoredScan, chosen_scans, labels_of, told
from somray.domain.brick import Brick
from somray.errors import ConfigError, ExportError
from somray.io.ome.image import read_channel_box
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage
from somray.io.writers.nifti import write_nifti
from somray.io.writers.voxels import LabelMap, Voxels

__all__ = ["ENDING", "IGNORE", "Case", "Dataset", "ImageWriter", "Layout", "filled", "write_datasets"]  # fmt: skip

ENDING = ".nii.gz"
IGNORE = "ignore"
"""nnU-Net's name for a label that says nothing."""
BACKGROUND = ("no data", "background")  # classes that are 0
MOST_DATASETS = 999
MUCH = 0.5  # share of a target under doubt that a person is told of


@dataclass(frozen=True)
class Dataset:
    """One data set.

    Args:
        storage: where it goes.
        folder: its name there.
        protocol: whose scans it holds.
        label: which mask.
        names: name of each label, in order; the first is the background, the last may be `IGNORE`.
        values: value of the mask to label, where the label is som; else all values are the target.
        ignores: whether doubtful voxels have the last label.
    """

    storage: Storage
    folder: str
    protocol: str
    label: str
    names: tuple[str, ...]
    values: dict[int, int]
    ignores: bool


@dataclass(eq=False)
class Case:
    """One case of a data set; its counts grow while it is written.

    Args:
        name: of its files.
        stored: the scan.
        t: the time point.
        voxels: with or without data.
        target: those of any label but the background, before doubt.
        target_ignored: those of them that are doubtful.
        ignored: all that are doubtful.
        by_reason: doubtful voxels by reason; one may have several.
    """

    name: str
    stored: StoredScan
    t: int
    voxels: int = 0
    target: int = 0
    target_ignored: int = 0
    ignored: int = 0
    by_reason: dict[str, int] = field(default_factory=dict)

    def count(self, labels: NDArray[np.uint8], doubts: dict[str, NDArray[np.bool_]]) -> None:
        """Take a piece of it into account."""
        self.voxels += labels.size
        self.target += int(np.count_nonzero(labels))
        if doubts:
            anywhere = np.logical_or.reduce(list(doubts.values()))
            self.ignored += int(anywhere.sum())
            self.target_ignored += int(np.count_nonzero(labels[anywhere]))
        for reason, where in doubts.items():
            self.by_reason[reason] = self.by_reason.get(reason, 0) + int(where.sum())


Fill = tuple[float, bool]
"""What voxels without data of a channel get, and whether there are any."""
ImageWriter = Callable[[Dataset, Case, list[Fill]], list[str]]


@dataclass(frozen=True)
class Layout:
    """How a form lays a data set out.

    Args:
        form: as the person asks for it.
        folder: its name, with places for a number and a plain name.
        write_images: writes a case's images, and returns their names.
        describe: writes what stands beside the files, last of all dataset.json, and returns the names.
        refuse: says why a scan cannot be a case; "" where it can.
        ignores: whether doubtful voxels are marked where nobody says.
    """

    form: str
    folder: str
    write_images: ImageWriter
    describe: Callable[[StoredRun, Dataset, list[Case]], list[str]]
    refuse: Callable[[StoredScan], str]
    ignores: bool


def write_datasets(location: str, request: ExportRequest, layout: Layout) -> dict[str, Any]:
    """Write the data sets; see `export_run`.

    Raises:
        ConfigError: unknown protocol, scan or label, several labels, or a folder with other cases.
        StoreError: the run cannot be read or the folder not be written.
    """
    if len(request.labels) > 1 or request.channel is not None:
        raise ConfigError(
            f"--format {layout.form}: takes one --label (lesions by itself) and no --channel"
        )
    run = open_run(location)
    scans, left_out = chosen_scans(run, request)
    files: list[str] = []
    notes: list[dict[str, Any]] = []
    protocols = sorted({stored.scan.protocol for stored in scans})
    if request.dataset + len(protocols) - 1 > MOST_DATASETS:
        raise ConfigError(f"--dataset {request.dataset}: numbers end at {MOST_DATASETS}")
    for number, protocol in enumerate(protocols, start=request.dataset):
        of_protocol = [stored for stored in scans if stored.scan.protocol == protocol]
        dataset, doubts = _begun(run, request, layout, (number, protocol), of_protocol)
        _refuse_others(dataset, of_protocol)
        cases: list[Case] = []
        for stored, doubt in zip(of_protocol, doubts, strict=True):
            try:
                written, made, gaps = _write_scan(dataset, layout, stored, doubt)
            except ExportError as error:
                left_out.append(told(stored.scan, dataset.label, reason=str(error)))
                continue
            files += written
            cases += made
            notes += [told(stored.scan, dataset.label, note=note) for note in _notes(made, gaps)]
        if cases:
            files += [dataset.storage.uri(name) for name in layout.describe(run, dataset, cases)]
    return {"format": layout.form, "files": files, "left_out": left_out, "notes": notes}


def _begun(
    run: StoredRun,
    request: ExportRequest,
    layout: Layout,
    which: tuple[int, str],
    scans: list[StoredScan],
) -> tuple[Dataset, list[ScanDoubts | None]]:
    """Say what a data set will be, and what is doubtful in each of its scans."""
    number, protocol = which
    label = request.labels[0] if request.labels else "lesions"
    names, values = _names(run, protocol, label)
    doubts: list[ScanDoubts | None] = [None] * len(scans)
    if layout.ignores if request.ignore is None else request.ignore:
        if IGNORE in names:
            raise ConfigError(f"protocol {protocol!r}: a class is called {IGNORE}; add --no-ignore")
        objects = run.table("objects")
        doubts = [doubts_of(stored, label, objects) for stored in scans]
    ignores = any(doubt is not None and doubt.reasons for doubt in doubts)
    folder = layout.folder.format(number, re.sub(r"[^A-Za-z0-9_-]", "-", protocol))
    all_names = (*names, *([IGNORE] if ignores else ()))
    storage = Storage.at(request.out)
    return Dataset(storage, folder, protocol, label, all_names, values, ignores), doubts


def _names(run: StoredRun, protocol: str, label: str) -> tuple[list[str], dict[int, int]]:
    """Return the labels' names, and for som which value of the mask each is."""
    if label != "som":
        return ["background", run.config.protocols[protocol].teacher.target], {}
    teacher = run.teacher(protocol)
    if teacher is None:
        raise ConfigError(f"{run.root}: protocol {protocol!r} has no teacher yet; let it finish")
    classes = dict(sorted(teacher.class_names.items()))
    shown = {v: name for v, name in classes.items() if v and name not in BACKGROUND}
    return ["background", *shown.values()], {v: n for n, v in enumerate(shown, start=1)}


def _case_names(stored: StoredScan) -> list[str]:
    """Name a scan's cases: its own name, with the time point where there are several."""
    name, times = f"sub-{stored.scan.subject}_ses-{stored.scan.session}", stored.meta.shape[0]
    return [name] if times == 1 else [f"{name}_t{t}" for t in range(times)]


def _refuse_others(dataset: Dataset, scans: list[StoredScan]) -> None:
    """Refuse a folder that holds cases of another export: a network would take them for this one's."""
    cases = [case for stored in scans for case in _case_names(stored)]
    there = {
        name.removesuffix(ENDING)
        for name in dataset.storage.names(f"{dataset.folder}/labelsTr")
        if name.endswith(ENDING)
    }
    if others := sorted(there - set(cases)):
        raise ConfigError(
            f"{dataset.storage.uri(dataset.folder)}: holds other cases already ({', '.join(others[:3])}); "
            "give another --out or --dataset"
        )
    if twice := sorted({case for case in cases if cases.count(case) > 1}):
        raise ConfigError(
            f"{twice[0]}: is a time point of one session and another session's own name, and can be one case alone; "
            "export them apart (--session SESSION --dataset NUMBER)"
        )


def _write_scan(
    dataset: Dataset, layout: Layout, stored: StoredScan, doubts: ScanDoubts | None
) -> tuple[list[str], list[Case], list[str]]:
    """Write a scan's images and labels; return their places, the cases, and the channels with filled voxels."""
    if why := layout.refuse(stored):
        raise ExportError(why)
    labels = labels_of(stored, dataset.label)
    fills = [_lowest(stored, channel) for channel in range(stored.meta.shape[1])]
    files, cases = [], []
    for t, name in enumerate(_case_names(stored)):
        case = Case(name, stored, t)
        written = layout.write_images(dataset, case, fills)
        place = f"{dataset.folder}/labelsTr/{name}{ENDING}"
        read = _label_reader(dataset, labels, doubts, case)
        write_nifti(dataset.storage, place, Voxels(stored.meta.geometry, 1, "uint8", read))
        files += [dataset.storage.uri(one) for one in (*written, place)]
        cases.append(case)
    gaps = [name for name, fill in zip(stored.meta.channels, fills, strict=True) if fill[1]]
    return files, cases, gaps


def _label_reader(
    dataset: Dataset, labels: LabelMap, doubts: ScanDoubts | None, case: Case
) -> Callable[[Brick], NDArray[np.uint8]]:
    """Give a case's labels box by box, each voxel once, and count them on the way."""
    highest = max((segment.value for segment in labels.segments), default=0)
    table = np.zeros(highest + 1, dtype=np.uint8)
    for segment in labels.segments:
        table[segment.value] = dataset.values.get(segment.value, 0) if dataset.values else 1
    ignore = len(dataset.names) - 1

    def read(box: Brick) -> NDArray[np.uint8]:
        here = replace(box, t=case.t)
        found = np.asarray(table[labels.voxels.read(here)])
        masks = doubts.masks(here) if doubts is not None else {}
        case.count(found, masks)
        for where in masks.values():
            found[where] = ignore
        return found

    return read


def filled(
    stored: StoredScan, channel: int, t: int, low: float
) -> Callable[[Brick], NDArray[np.float32]]:
    """Give a channel's voxels of a time point box by box, those without data as `low`."""

    def read(box: Brick) -> NDArray[np.float32]:
        block = read_channel_box(stored.storage, stored.name, replace(box, t=t), channel)
        return np.where(np.isfinite(block), block, np.float32(low)).astype(np.float32, copy=False)

    return read


def _lowest(stored: StoredScan, channel: int) -> Fill:
    """Return a channel's lowest value, and whether it has voxels without data."""
    meta, low, has_gaps = stored.meta, np.inf, False
    for brick in meta.bricks():
        block = read_channel_box(stored.storage, stored.name, brick, channel)
        known = np.isfinite(block)
        has_gaps |= not bool(known.all())
        low = min(low, float(block[known].min(initial=np.inf)))
    return (low if np.isfinite(low) else 0.0), has_gaps


def _notes(cases: list[Case], gaps: list[str]) -> list[str]:
    """Say what a person should know of a scan's cases."""
    notes = []
    if gaps:
        notes.append(f"voxels without data are filled with the lowest value of {', '.join(gaps)}")
    voxels, ignored = sum(case.voxels for case in cases), sum(case.ignored for case in cases)
    target, doubted = sum(c.target for c in cases), sum(c.target_ignored for c in cases)
    if ignored:
        of = f", and {100 * doubted / target:.3g} % of what is labelled" if target else ""
        notes.append(f"ignored as doubtful: {100 * ignored / voxels:.3g} % of all voxels{of}")
    if target and doubted > MUCH * target:
        notes.append("most of what is labelled is doubtful: look at this scan first")
    return notes
