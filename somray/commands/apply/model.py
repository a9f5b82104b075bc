"""Apply a fitted model to a new scan: direct centroid transfer, the student, or a segmenter of few labelled scans."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from somray.commands.export.masks import check_form, write_mask
from somray.commands.export.scans import StoredScan, told
from somray.commands.export.sources import source_grid
from somray.commands.words import asked_protocols, check_word
from somray.config import ProtocolConfig
from somray.domain.brick import Brick
from somray.domain.run import ScanPlace
from somray.domain.scan import Scan
from somray.domain.segmenter import SegmenterModel
from somray.domain.teacher import TeacherModel
from somray.errors import ConfigError, DataError, ExportError
from somray.io.cohort.place import place_of
from somray.io.models import read_segmenter
from somray.io.ome.image import read_meta, write_label_brick
from somray.io.ome.metadata import ScanMeta
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage
from somray.kernels.teacher.apply import scaled_windows
from somray.pipeline.units.protocol import ingest_item
from somray.stages import ingest
from somray.stages.drift import judge
from somray.stages.finetune.judge import segmented_bricks
from somray.stages.segment import labels
from somray.stages.segment.rows import BrickItem, SliceCount, joined_counts
from somray.stages.segment.scales import all_scales, scales_for
from somray.stages.segment.som import run_som, sign_som
from somray.stages.segment.student import run_student

__all__ = ["METHODS", "apply_model"]

METHODS = ("som", "student", "finetuned")
"""What can be applied, and the label group that it writes."""


def apply_model(
    location: str,
    protocol: str,
    sources: list[str],
    out: Path,
    method: str,
    form: str | None = None,
) -> dict[str, Any]:
    """Segment a new scan with a model of a run, on this machine.

    `sources` holds one file, folder or fsspec URL per channel, in the protocol's order. The scan is written below
    `out` as OME-Zarr with `labels/METHOD`; with `form` (nifti, nrrd, dicom-seg, rtstruct) the mask lies beside it
    too.

    Returns:
        Place of the scan, method, the target's area per slice in mm², how well the teacher carries over (`drift`;
        networks learned from it), codes of what was assumed of the scan (`repairs`), and in words what speaks
        against the answer (`doubts`); with `form` also `files`, `left_out` and `notes` as `export`.

    Raises:
        ConfigError: protocol, method, format or number of channels do not fit the run.
        DataError: the scan cannot be used.
    """
    if form is not None:
        check_form(form)
    run = open_run(location)
    teacher, model = _models(run, protocol, method)
    config = run.config.protocols[protocol]
    if len(sources) != len(config.channels):
        raise ConfigError(
            f"protocol {protocol!r} has channels {', '.join(config.channels)}; "
            f"{len(sources)} sources given, name the further ones with --channel"
        )
    root = Storage.at(out).root
    paths = tuple(place_of(source, Path.cwd(), "SCAN") for source in sources)
    scan = Scan("new", "t0", protocol, paths, sources[0])
    facts = _ingested(root, scan, config)
    level = facts.get("uptake_level")
    place = ScanPlace(root, scan.subject, scan.session)
    windows = scaled_windows(teacher, level)
    target = config.teacher.target
    value = teacher.value_of(target)
    asked = BrickItem(place, target, Brick(0, 0, 0, 0, 0, 0, 0), level, windows, value=value)
    areas, signatures = _segment(asked, method, model)
    classes = tuple(teacher.class_names.items()) if method == "som" else ((value, target),)
    labels.close_labels(labels.LabelItem(place, method, classes=classes))
    labels.publish(labels.PublishItem(place, (method,)))
    stored = StoredScan(root, scan, target, config.irregular, identity="")
    return {
        "scan": Storage.at(root).uri(place.name),
        "method": method,
        "target": target,
        "target_area_mm2": areas,
        "drift": _drift(teacher, signatures or _signed(asked, teacher)),
        "repairs": facts["repairs"],
        "doubts": _doubts(run, protocol, facts["unit"]),
        **({} if form is None else _written(stored, method, form)),
    }


def _ingested(root: str, scan: Scan, config: ProtocolConfig) -> Mapping[str, Any]:
    """Read the scan; return what its pixels tell.

    Raises:
        DataError: it cannot be used; there is no manifest to be corrected here.
    """
    try:
        return ingest.run(ingest_item(root, scan, config)).value
    except DataError as error:
        raise DataError(error.code, error.message.replace(" in the manifest", "")) from error


def _doubts(run: StoredRun, protocol: str, unit: str) -> list[str]:
    """Say where a scan is in another unit than the protocol's own, which `run` would set aside."""
    scans = run.table("scans")
    done = scans[(scans["protocol"] == protocol) & (scans["status"] == "done")]
    own = sorted({str(one) for one in done["unit"].dropna()})
    if not own or unit in own:
        return []
    return [
        f"its values are in {unit}, those of protocol {protocol} in {' or '.join(own)}; export it in that unit"
    ]


def _written(stored: StoredScan, method: str, form: str) -> dict[str, Any]:
    """Write the mask in another format beside the scan."""
    try:
        files, note = write_mask(stored, method, form, stored.storage, source_grid(stored, 0))
    except (ExportError, DataError) as error:
        reason = told(stored.scan, method, reason=str(error))
        return {"files": [], "left_out": [reason], "notes": []}
    notes = [told(stored.scan, method, note=note)] if note else []
    return {"files": files, "left_out": [], "notes": notes}


def _models(run: StoredRun, protocol: str, method: str) -> tuple[TeacherModel, Any]:
    """Return the teacher, and the model of the method: itself, the student or the segmenter."""
    asked_protocols(run.config.protocols, protocol)
    check_word("--method", method, METHODS)
    teacher = run.teacher(protocol)
    if method == "finetuned" and teacher is not None:
        if "segmenter" not in run.model_info(protocol):
            raise ConfigError(
                f"{run.root}: protocol {protocol!r} has no segmenter; `somray finetune {run.root}` makes one of the "
                "scans that have a truth"
            )
        return teacher, read_segmenter(run.storage, protocol)
    model = teacher if method == "som" else run.student(protocol)
    if teacher is None or model is None:
        what = "teacher" if teacher is None else "student"
        other = "" if teacher is None else " (segment: som); --method som takes the map"
        raise ConfigError(
            f"{run.root}: protocol {protocol!r} has no {what}{other or '; let the run finish'}"
        )
    return teacher, model


def _drift(teacher: TeacherModel, signatures: list[dict[str, Any]]) -> dict[str, Any] | None:
    found = judge(teacher, tuple(signatures)) if signatures else None
    return None if found is None else asdict(found)


def _segment(asked: BrickItem, method: str, model: Any) -> tuple[list[float], list[dict[str, Any]]]:
    """Return the target's area in each slice, and the signatures of bricks by direct transfer."""
    if method == "finetuned":
        return _finetuned(asked, model), []
    by_map, place = method == "som", asked.place
    function: Any = run_som if by_map else run_student  # each has its rows
    meta = read_meta(Storage.at(place.root), place.name)
    labels.open_labels(labels.LabelItem(place, method))
    times, _, depth, *plane = meta.shape
    bricks = meta.bricks()
    if not by_map and model.sees_volumes:
        bricks = [Brick.of_slices(t, 0, depth, (plane[0], plane[1])) for t in range(times)]
    items = _items(asked, meta, model) if by_map else (replace(asked, brick=b) for b in bricks)
    areas: list[float] = []
    signatures: list[dict[str, Any]] = []
    counts: list[SliceCount] = []
    for item in items:
        result = function(item, model)
        areas += [row.target_area_mm2 for row in result.rows.get("slices", ())]
        counts += [SliceCount.from_json(one) for one in result.value.get("counts", ())]
        if by_map:
            signatures.append(result.value["signature"])
    _, dy, dx = meta.geometry.spacing_mm
    areas += [count.labels[asked.value] * dy * dx for count in joined_counts(counts)]
    return areas, signatures


def _items(asked: BrickItem, meta: ScanMeta, teacher: TeacherModel) -> Iterator[BrickItem]:
    """Yield the bricks of a scan as its teacher looks at them."""
    depth = meta.shape[2]
    scales = all_scales(asked.place, meta, asked.level, teacher) if meta.is_cut else {}
    for brick in meta.bricks():
        span = brick.z0, brick.z1
        told = scales_for(scales, brick.t, span, depth, teacher.dimensions) if scales else ()
        yield replace(asked, brick=brick, scales=told)


def _signed(asked: BrickItem, teacher: TeacherModel) -> list[dict[str, Any]]:
    """Look at a scan with the map that a network learned from: the network takes any scan for one of its own."""
    meta = read_meta(Storage.at(asked.place.root), asked.place.name)
    return [sign_som(item, teacher) for item in _items(asked, meta, teacher)]


def _finetuned(asked: BrickItem, model: SegmenterModel) -> list[float]:
    """Draw what a segmenter finds; return the target's area in each slice."""
    place, storage = asked.place, Storage.at(asked.place.root)
    meta = read_meta(storage, place.name)
    labels.open_labels(labels.LabelItem(place, "finetuned"))
    _, dy, dx = meta.geometry.spacing_mm
    areas: list[float] = []
    for t in range(meta.shape[0]):
        counts = np.zeros(meta.shape[2], dtype=np.int64)
        for brick, target in segmented_bricks(place, model, t):
            value = target * np.uint8(asked.value)
            write_label_brick(storage, place.name, "finetuned", brick, value)
            counts[brick.z0 : brick.z1] += np.count_nonzero(target, axis=(1, 2))
        areas += [float(n) * dy * dx for n in counts]
    return areas
