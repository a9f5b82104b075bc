"""A run as raw data sets of nnU-Net v2: one file a channel, doubtful voxels as its ignore label."""

from somray.commands.export.dataset import (
    ENDING,
    Case,
    Dataset,
    Fill,
    Layout,
    filled,
)
from somray.commands.export.scans import StoredScan
from somray.commands.export.statement import describe, summary
from somray.domain.channel import channels_of
from somray.io.run import StoredRun
from somray.io.writers.nifti import is_sheared, write_nifti
from somray.io.writers.voxels import Voxels

__all__ = ["NNUNET"]


def _refuse(stored: StoredScan) -> str:
    if is_sheared(stored.meta.geometry):
        return "its grid is sheared; nnU-Net reads through SimpleITK, which refuses that"
    return ""


def _write_images(dataset: Dataset, case: Case, fills: list[Fill]) -> list[str]:
    names = []
    for channel, (low, _) in enumerate(fills):
        name = f"{dataset.folder}/imagesTr/{case.name}_{channel:04d}{ENDING}"
        read = filled(case.stored, channel, case.t, low)
        image = Voxels(case.stored.meta.geometry, 1, "float32", read)
        write_nifti(dataset.storage, name, image, is_label=False)
        names.append(name)
    return names


def _describe(run: StoredRun, dataset: Dataset, cases: list[Case]) -> list[str]:
    """Write dataset.json; nnU-Net normalizes a channel by its name, and "CT" is the one that keeps HU."""
    protocol = run.config.protocols[dataset.protocol]
    seen = channels_of(protocol.modality, protocol.channels)
    facts = {
        "channel_names": {
            str(n): "CT" if channel.kind == "CT" else channel.name for n, channel in enumerate(seen)
        },
        "labels": {name: number for number, name in enumerate(dataset.names)},
        "numTraining": len(cases),
        "file_ending": ENDING,
        "name": dataset.protocol,
        "description": summary(run, dataset),
    }
    return describe(run, dataset, cases, facts)


NNUNET = Layout("nnunet", "Dataset{:03d}_{}", _write_images, _describe, _refuse, ignores=True)
"""nnU-Net's ignore label counts in no loss, so doubt costs nothing there but pixels."""
