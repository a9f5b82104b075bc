"""A run as a task of the Medical Segmentation Decathlon, whose dataset.json MONAI reads: one file a case.

Nothing there ignores a label by itself, so doubtful voxels are marked only where a person asks for it.
"""

import numpy as np
from numpy.typing import NDArray

from somray.commands.export.dataset import ENDING, Case, Dataset, Fill, Layout, filled
from somray.commands.export.statement import describe, summary
from somray.domain.brick import Brick
from somray.domain.channel import channels_of
from somray.io.run import StoredRun
from somray.io.writers.nifti import write_nifti
from somray.io.writers.voxels import Voxels

__all__ = ["DECATHLON"]


def _write_images(dataset: Dataset, case: Case, fills: list[Fill]) -> list[str]:
    readers = [filled(case.stored, c, case.t, low) for c, (low, _) in enumerate(fills)]

    def read(box: Brick) -> NDArray[np.float32]:
        return readers[box.t](box)  # the fourth axis is the channel here

    name = f"{dataset.folder}/imagesTr/{case.name}{ENDING}"
    image = Voxels(case.stored.meta.geometry, len(readers), "float32", read)
    write_nifti(dataset.storage, name, image, is_label=False)
    return [name]


def _describe(run: StoredRun, dataset: Dataset, cases: list[Case]) -> list[str]:
    protocol = run.config.protocols[dataset.protocol]
    seen = channels_of(protocol.modality, protocol.channels)
    training = [
        {
            "image": f"./imagesTr/{case.name}{ENDING}",
            "label": f"./labelsTr/{case.name}{ENDING}",
        }
        for case in cases
    ]
    facts = {
        "name": dataset.protocol,
        "description": summary(run, dataset),
        "reference": "",
        "licence": "",
        "release": "",
        "tensorImageSize": "3D" if len(seen) == 1 else "4D",
        "modality": {str(n): channel.name for n, channel in enumerate(seen)},
        "labels": {str(number): name for number, name in enumerate(dataset.names)},
        "numTraining": len(cases),
        "numTest": 0,
        "training": training,
        "test": [],
    }
    return describe(run, dataset, cases, facts)


DECATHLON = Layout(
    "decathlon", "Task{:03d}_{}", _write_images, _describe, lambda stored: "", ignores=False
)
"""As MONAI's `load_decathlon_datalist` reads it."""
