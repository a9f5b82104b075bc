"""A run as raw data sets of nnU-Net v2: one a protocol, one case a scan and time point.

Images and labels lie on the run's grid, where all channels of a scan lie together. By itself the label is
`lesions`, as one class named after the target; `student` is the target too, `som` all classes. Labels count
from 0 without a gap, as nnU-Net asks; voxels without data are background, and get the lowest value that their
channel has in the scan, since nnU-Net takes no NaN. `dataset.json` is written last.
"""

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray import __version__
from somray.commands.export.request import ExportRequest
from somray.commands.export.scans import StoredScan, chosen_scans, labels_of, told
from somray.domain.brick import Brick
from somray.domain.channel import channels_of
from somray.errors import ConfigError, ExportError
from somray.io.ome.image import read_channel_box
from somray.io.run import StoredRun, open_run
from somray.io.storage import Storage
from somray.io.writers.nifti import is_sheared, write_nifti
from somray.io.writers.voxels import Voxels

__all__ = ["export_dataset"]

ENDING = ".nii.gz"
BACKGROUND = ("no data", "background")  # classes that are nnU-Net's 0
MOST_DATASETS = 999


@dataclass(frozen=True)
class _Dataset:
    """One data set.

    Args:
        storage: where it goes.
        folder: its name there.
        protocol: whose scans it holds.
        label: which mask.
        names: name of each label, in order; the first is the background.
        values: value of the mask to label, where the label is som; else all values are the target.
    """

    storage: Storage
    folder: str
    protocol: str
    label: str
    names: tuple[str, ...]
    values: dict[int, int]


def export_dataset(location: str, request: ExportRequest) -> dict[str, Any]:  # Any: JSON
    """Write the data sets; see `export_run`.

    Raises:
        ConfigError: unknown protocol, scan or label, several labels, or a folder with other cases.
        StoreError: the run cannot be read or the folder not be written.
    """
    if len(request.labels) > 1 or request.channel is not None:
        raise ConfigError("--format nnunet: takes one --label (lesions by itself) and no --channel")
    run = open_run(location)
    scans, left_out = chosen_scans(run, request)
    label = request.labels[0] if request.labels else "lesions"
    files: list[str] = []
    notes: list[dict[str, Any]] = []
    protocols = sorted({stored.scan.protocol for stored in scans})
    if request.dataset + len(protocols) - 1 > MOST_DATASETS:
        raise ConfigError(f"--dataset {request.dataset}: nnU-Net's numbers end at {MOST_DATASETS}")
    for number, protocol in enumerate(protocols, start=request.dataset):
        storage = Storage.at(request.out)
        dataset = _described(run, storage, protocol, label, number)
        of_protocol = [stored for stored in scans if stored.scan.protocol == protocol]
        _refuse_others(dataset, of_protocol)
        cases = 0
        for stored in of_protocol:
            try:
                written, filled = _write_cases(dataset, stored)
            except ExportError as error:
                left_out.append(told(stored.scan, label, reason=str(error)))
                continue
            files += written
            cases += stored.meta.shape[0]
            if filled:
                note = (
                    f"voxels without data are filled with the lowest value of {', '.join(filled)}"
                )
                notes.append(told(stored.scan, label, note=note))
        if cases:
            files.append(_describe(run, dataset, cases))
    return {"format": "nnunet", "files": files, "left_out": left_out, "notes": notes}


def _described(
    run: StoredRun, storage: Storage, protocol: str, label: str, number: int
) -> _Dataset:
    target = run.config.protocols[protocol].teacher.target
    names, values = ["background", target], {}
    if label == "som":
        teacher = run.teacher(protocol)
        if teacher is None:
            raise ConfigError(
                f"{run.root}: protocol {protocol!r} has no teacher yet; let it finish"
            )
        classes = dict(sorted(teacher.class_names.items()))
        shown = {v: name for v, name in classes.items() if v and name not in BACKGROUND}
        names = ["background", *shown.values()]
        values = {v: n for n, v in enumerate(shown, start=1)}
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", protocol)
    return _Dataset(storage, f"Dataset{number:03d}_{plain}", protocol, label, tuple(names), values)


def _cases(stored: StoredScan) -> list[str]:
    """Name a scan's cases: its own name, with the time point where there are several."""
    name, times = f"sub-{stored.scan.subject}_ses-{stored.scan.session}", stored.meta.shape[0]
    return [name] if times == 1 else [f"{name}_t{t}" for t in range(times)]


def _refuse_others(dataset: _Dataset, scans: list[StoredScan]) -> None:
    """Refuse a folder that holds cases of another export: nnU-Net would take them for this one's."""
    cases = [case for stored in scans for case in _cases(stored)]
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
    if len(set(cases)) < len(cases):
        raise ConfigError("two scans would be the same case; export their sessions one by one")


def _write_cases(dataset: _Dataset, stored: StoredScan) -> tuple[list[str], list[str]]:
    """Write a scan's images and labels; return their places, and the channels with filled voxels."""
    meta = stored.meta
    if is_sheared(meta.geometry):
        raise ExportError(
            "its grid is sheared; nnU-Net reads through SimpleITK, which refuses that"
        )
    labels = labels_of(stored, dataset.label)
    highest = max((segment.value for segment in labels.segments), default=0)
    table = np.zeros(highest + 1, dtype=np.uint8)
    for segment in labels.segments:
        table[segment.value] = dataset.values.get(segment.value, 0) if dataset.values else 1
    files, filled = [], []
    fills = [_lowest(stored, channel) for channel in range(meta.shape[1])]
    for t, case in enumerate(_cases(stored)):
        for channel, (low, has_gaps) in enumerate(fills):
            name = f"{dataset.folder}/imagesTr/{case}_{channel:04d}{ENDING}"
            image = Voxels(meta.geometry, 1, "float32", _image_reader(stored, channel, t, low))
            write_nifti(dataset.storage, name, image, is_label=False)
            files.append(dataset.storage.uri(name))
            if has_gaps and meta.channels[channel] not in filled:
                filled.append(meta.channels[channel])

        def read(box: Brick, t: int = t) -> NDArray[np.uint8]:
            return np.asarray(table[labels.voxels.read(replace(box, t=t))])

        name = f"{dataset.folder}/labelsTr/{case}{ENDING}"
        write_nifti(dataset.storage, name, Voxels(meta.geometry, 1, "uint8", read))
        files.append(dataset.storage.uri(name))
    return files, filled


def _image_reader(stored: StoredScan, channel: int, t: int, low: float) -> Any:  # Any: a reader
    def read(box: Brick) -> NDArray[np.float32]:
        block = read_channel_box(stored.storage, stored.name, replace(box, t=t), channel)
        return np.where(np.isfinite(block), block, np.float32(low))

    return read


def _lowest(stored: StoredScan, channel: int) -> tuple[float, bool]:
    """Return a channel's lowest value, and whether it has voxels without data."""
    meta, low, has_gaps = stored.meta, np.inf, False
    for brick in meta.bricks():
        block = read_channel_box(stored.storage, stored.name, brick, channel)
        known = np.isfinite(block)
        has_gaps |= not bool(known.all())
        low = min(low, float(block[known].min(initial=np.inf)))
    return (low if np.isfinite(low) else 0.0), has_gaps


def _describe(run: StoredRun, dataset: _Dataset, cases: int) -> str:
    """Write dataset.json; nnU-Net normalizes a channel by its name, and "CT" is the one that keeps HU."""
    protocol = run.config.protocols[dataset.protocol]
    seen = channels_of(protocol.modality, protocol.channels)
    facts = {
        "channel_names": {
            str(n): "CT" if channel.kind == "CT" else channel.name for n, channel in enumerate(seen)
        },
        "labels": {name: number for number, name in enumerate(dataset.names)},
        "numTraining": cases,
        "file_ending": ENDING,
        "name": dataset.protocol,
        "description": f"labels/{dataset.label} of a run of somray {__version__}, made without a human label",
    }
    name = f"{dataset.folder}/dataset.json"
    dataset.storage.write_text(name, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    return dataset.storage.uri(name)
