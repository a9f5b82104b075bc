"""The answer to one scan: the mask of `somray apply` as DICOM-SEG, and its volumes as a structured report.

Each connected lesion is a segment, the largest first; what is too small to be a lesion, and what comes after the
largest, stands together in one more. All segments together are the mask, voxel by voxel.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray

from somray import __version__
from somray.commands.apply.model import apply_model
from somray.commands.dicom_node.journal import PastAnswer
from somray.commands.dicom_node.plan import ScanCase
from somray.commands.dicom_node.settings import NodeSettings, RefusalError
from somray.commands.export.scans import StoredScan, labels_of
from somray.commands.export.sources import SourceGrid, on_slices, source_grid
from somray.commands.words import counted
from somray.domain.brick import Brick
from somray.domain.palette import class_rgba, lesion_rgba
from somray.domain.scan import Scan
from somray.errors import DataError, ExportError
from somray.io.readers import open_source
from somray.io.run import StoredRun
from somray.io.storage import Storage
from somray.io.writers.dicom.seg import write_seg
from somray.io.writers.dicom.slices import MOST_BYTES, Remarks, SliceMask, read_slices
from somray.io.writers.dicom.structured import Findings, MeasuredSegment, write_structured
from somray.io.writers.voxels import LabelMap, Segment, Voxels
from somray.kernels.lesions.instances import lesions

__all__ = ["MadeAnswer", "answer_case", "case_key", "method_of"]

MOST_LESIONS = 99  # with a segment of their own
MIN_VOXELS = 5  # of a lesion, where the protocol does not say
DOUBTED_REPAIRS = ("lossy_compressed", "resampled_z", "untilted", "suv_slices_disagree")


@dataclass(frozen=True)
class MadeAnswer:
    """Objects that are ready to be sent, and what they are.

    `objects` are DICOM files, segmentations first; `told` stands in the journal; `text` names nobody.
    """

    objects: list[bytes]
    told: PastAnswer
    text: str


def method_of(settings: NodeSettings, case: ScanCase) -> str:
    """Return what segments: som, student or finetuned."""
    return settings.method or case.protocol.config.segment


def case_key(settings: NodeSettings, run: StoredRun, case: ScanCase) -> str:
    """Tell answers apart: equal where files, model and what is asked for are equal."""
    method = method_of(settings, case)
    parts = [
        __version__, case.protocol.name, method, settings.report, _model_digest(run, case),
        *[channel.digest for channel in case.channels],
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _model_digest(run: StoredRun, case: ScanCase) -> str:
    """Digest of model.json, which names its tensors by their content."""
    info = run.model_info(case.protocol.name)
    return hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()


def answer_case(
    settings: NodeSettings, run: StoredRun, case: ScanCase, past: tuple[PastAnswer, ...], work: Path
) -> MadeAnswer:
    """Segment a scan and write the objects.

    `past` are earlier answers to it, when it had other slices; `work` is a folder that is removed later.

    Raises:
        RefusalError: the scan cannot be used, or its answer not be written.
    """
    method, config = method_of(settings, case), case.protocol.config
    paths = [str(channel.folder) for channel in case.channels]
    try:
        applied = apply_model(run.root, case.protocol.name, paths, work / "applied", method)
        root = Storage.at(work / "applied").root
        scan = Scan("new", "t0", case.protocol.name, tuple(paths), "series")
        stored = StoredScan(root, scan, config.teacher.target, config.irregular, identity="")
        grid = source_grid(stored, 0)
        if not grid.files:
            raise RefusalError("no_answer", f"its slices cannot be referred to ({grid.why})")
        maker = _Maker(settings, run, case, past, _verdicts(run, case, applied, stored))
        return maker.made(stored, grid, Storage.at(work / "objects"))
    except DataError as error:
        raise RefusalError(error.code, error.message.replace(str(work), "…")) from error
    except ExportError as error:
        raise RefusalError("no_answer", str(error).replace(str(work), "…")) from error


def _verdicts(
    run: StoredRun, case: ScanCase, applied: Mapping[str, Any], stored: StoredScan
) -> list[tuple[str, str, str]]:
    """Return what speaks against the answer: code, short words, and the whole reason."""
    found = []
    drift = applied["drift"]
    if drift and drift["status"] == "drifted":
        found.append(("DRIFTED", "drifted", str(drift["reason"])))
    teacher = run.teacher(case.protocol.name)
    why = {} if teacher is None else teacher.doubtful
    if stored.target in why:
        found.append(("DOUBTFUL", "class doubtful", why[stored.target]))
    with open_source(str(case.channels[0].folder), stored.irregular) as source:
        repairs = [code for code in source.header.repairs if code in DOUBTED_REPAIRS]
    if repairs:
        found.append(("REPAIRED", "scan repaired", f"the scan needed {', '.join(repairs)}"))
    return found


@dataclass(frozen=True)
class _Maker:
    """Writes the objects of one answer."""

    settings: NodeSettings
    run: StoredRun
    case: ScanCase
    past: tuple[PastAnswer, ...]
    verdicts: list[tuple[str, str, str]]

    def made(self, stored: StoredScan, grid: SourceGrid, storage: Storage) -> MadeAnswer:
        """Write a segmentation, and a report where one is asked for, of each time point."""
        labels = labels_of(stored, method_of(self.settings, self.case))
        masks, reports, words = [], [], []
        for t, files in enumerate(grid.files):
            _check_size(len(files) * int(np.prod(files[0].plane.shape)))
            drawn = _drawn(labels, t, self.case)
            remarks = self._remarks(stored.target, drawn)
            pixels = on_slices(drawn.labels, t, files)
            slices, segments = read_slices(files), drawn.labels.segments
            mask = SliceMask(slices, pixels, segments, "lesions", __version__, remarks)
            write_seg(storage, f"mask{t}.dcm", mask)
            masks.append(storage.read_bytes(f"mask{t}.dcm"))
            words.append(drawn.text)
            if self.settings.report:
                found = self._findings(drawn, mask, remarks)
                slices = read_slices(files)  # the writer of the mask changed its headers
                write_structured(storage, f"report{t}.dcm", f"mask{t}.dcm", slices, found)
                reports.append(storage.read_bytes(f"report{t}.dcm"))
        objects = [*masks, *reports]
        images = len(self.case.channels[0].series.instances)
        key = case_key(self.settings, self.run, self.case)
        told = PastAnswer(key, images, tuple(_uids(data) for data in objects), len(reports))
        doubts = "".join(f"; {short}" for _, short, _ in self.verdicts)
        return MadeAnswer(objects, told, f"{self.case.protocol.name}: {'; '.join(words)}{doubts}")

    def _remarks(self, target: str, drawn: "_DrawnLesions") -> Remarks:
        """Say what is found, how, and what speaks against it."""
        case, method = self.case, method_of(self.settings, self.case)
        series = [f"somray {target} ({method})"]
        series += ["none found"] if drawn.is_empty else []
        series += ["supersedes an earlier one"] if self.past else []
        series += [f"DOUBTFUL: {', '.join(v[1] for v in self.verdicts)}"] if self.verdicts else []
        text = "No lesion found." if drawn.is_empty else "Found by a program, not reviewed."
        text += "".join(f" {code}: {why}." for code, _, why in self.verdicts)
        if self.past:
            was, now = self.past[-1].images, len(case.channels[0].series.instances)
            text += f" An earlier answer was to {was} images, this one is to {now}."
        digest = _model_digest(self.run, case)[:16]
        name = case.protocol.name
        return Remarks(
            series="; ".join(series),
            content=f"{target} by {method}, model {digest}, {name}",
            segment=text,
            parameters=(("protocol", name), ("method", method), ("model", digest)),
            earlier=tuple(series for past in self.past for series, _ in past.masks),
            further=_headers(case),
        )

    def _findings(self, drawn: "_DrawnLesions", mask: SliceMask, remarks: Remarks) -> Findings:
        verdicts = [(code, short.capitalize()) for code, short, _ in self.verdicts]
        if drawn.is_empty:
            verdicts.insert(0, ("NONE_FOUND", "No lesion found"))
        numbered = enumerate(mask.present, start=1)
        return Findings(
            lesions=tuple(
                MeasuredSegment(number, segment.name, drawn.lesions_ml[segment.value - 1])
                for number, segment in numbered
                if segment.value <= len(drawn.lesions_ml)
            ),
            total_ml=drawn.total_ml,
            verdicts=tuple(verdicts) or (("NO_DOUBT", "Nothing speaks against it"),),
            model=remarks.parameters,
            description=remarks.series.replace("somray", "somray volumes of", 1),
            earlier=tuple(one for past in self.past for one in past.written),
            further=remarks.further,
        )


@dataclass(frozen=True)
class _DrawnLesions:
    """The target in parts: lesions that count from 1, the largest first, and all others together after them."""

    labels: LabelMap
    lesions_ml: list[float]
    rest_ml: float

    @property
    def total_ml(self) -> float:
        return sum(self.lesions_ml) + self.rest_ml

    @property
    def is_empty(self) -> bool:
        return self.total_ml == 0

    @property
    def text(self) -> str:
        return f"{counted(len(self.lesions_ml), 'lesion')}, {self.total_ml:.3g} ml"


def _headers(case: ScanCase) -> tuple[Any, ...]:  # Any: pydicom
    """Return the headers of the further channels' slices."""
    return tuple(
        pydicom.dcmread(file, stop_before_pixels=True, force=True)
        for channel in case.channels[1:]
        for file in sorted(channel.folder.iterdir())
    )


def _drawn(labels: LabelMap, t: int, case: ScanCase) -> _DrawnLesions:
    """Part the target of one time point into lesions."""
    geometry, config = labels.geometry, case.protocol.config
    target, least_mm3 = config.teacher.target, config.lesions.min_volume_mm3
    of_what = f"{case.channels[0].digest} {t}"  # lesions of one answer alone: nobody follows them
    depth, rows, columns = geometry.shape
    whole = labels.voxels.read(Brick.of_slices(t, 0, depth, (rows, columns)))
    mask = np.isin(whole, [s.value for s in labels.segments if s.is_finding])
    least = MIN_VOXELS * geometry.voxel_mm3 if least_mm3 is None else least_mm3
    parts, counts, rest = _ranked(mask, geometry.spacing_mm, least)
    segments = [
        Segment(n, f"{target} {n}", lesion_rgba(n), is_finding=True, tracking=f"{of_what} {n}")
        for n in range(1, len(counts) + 1)
    ]
    if rest or not counts:
        name = f"{target}, small parts" if rest else target
        segments.append(Segment(len(counts) + 1, name, class_rgba(target, 3), is_finding=True))

    def read(box: Brick) -> Any:  # Any: numpy integers
        return parts[box.box]

    drawn = LabelMap(Voxels(geometry, labels.voxels.times, "uint8", read), tuple(segments))
    ml = geometry.voxel_mm3 / 1000
    return _DrawnLesions(drawn, [count * ml for count in counts], rest * ml)


def _check_size(pixels: int) -> None:
    if pixels > MOST_BYTES:
        raise RefusalError(
            "no_answer",
            f"its mask takes {pixels >> 20} MiB, at most {MOST_BYTES >> 20} go into one object",
        )


def _ranked(
    mask: NDArray[np.bool_], spacing_mm: tuple[float, float, float], least_mm3: float
) -> tuple[NDArray[np.uint8], list[int], int]:
    """Number the parts of a mask by size; what is small or comes late takes the number after the last.

    Returns:
        (z, y, x) uint8, voxels of each number, and of the rest together.
    """
    numbered = lesions(mask, spacing_mm, least_mm3)
    counts = np.bincount(numbered.ravel())[1:]
    order = np.argsort(-counts, kind="stable")[:MOST_LESIONS]
    lookup = np.zeros(len(counts) + 1, dtype=np.uint8)
    lookup[order + 1] = np.arange(1, len(order) + 1, dtype=np.uint8)
    parts = lookup[numbered]
    rest = mask & (parts == 0)
    parts[rest] = len(order) + 1
    return parts, [int(counts[n]) for n in order], int(rest.sum())


def _uids(data: bytes) -> tuple[str, str]:
    """Return series and instance of one of our own objects."""
    head = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return str(head.SeriesInstanceUID), str(head.SOPInstanceUID)
