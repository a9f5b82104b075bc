"""Masks from outside, as `somray measure` leaves them: what run.json says, and what pictures ask of a teacher."""

from typing import Any

import numpy as np

from somray.config import CohortConfig, ProtocolConfig
from somray.domain.teacher import Codebook, TeacherModel
from somray.io.run import StoredRun

__all__ = ["FOREIGN", "measured", "stand_in", "with_foreign"]

FOREIGN = "foreign"
"""The method, and the label group, of masks that somray did not draw."""


def measured(run: StoredRun) -> dict[str, Any]:  # Any: JSON
    """Return what a run says of masks from outside; {} where it segmented by itself."""
    try:
        return dict(run.info.get("measured", {}))
    except (FileNotFoundError, ValueError):
        return {}


def with_foreign(config: CohortConfig) -> CohortConfig:
    """Say in a configuration that its protocols segment by none of our methods."""
    protocols = {
        name: protocol.model_copy(update={"segment": FOREIGN})
        for name, protocol in config.protocols.items()
    }
    return config.model_copy(update={"protocols": protocols})


def stand_in(config: ProtocolConfig) -> TeacherModel:
    """Make a teacher that classes nothing, for the windows and the target of a protocol."""
    return TeacherModel(
        codebook=Codebook(np.zeros((1, 0), np.float32), (1, 1)),
        modality=config.modality,
        channels=tuple(config.channels),
        windows=config.windows,  # type: ignore[arg-type]  # pictures find a window where there is none
        features=(),
        center=np.zeros(0, np.float32),
        scale=np.ones(0, np.float32),
        feature_weights=np.ones(0, np.float32),
        node_classes=np.ones(1, np.uint8),
        class_names={1: config.teacher.target},
    )
