"""The cohort's configuration: one YAML, one frozen model, unknown keys refused with the nearest known one.

Everything but `scans`, `output` and `protocols` has a default. `schemas/cohort.v1.json` derives from
these models.
"""

from somray.config.cohort import PRETRAINED, CohortConfig, ProtocolConfig
from somray.config.parse import load_config, parse_config
from somray.config.parts import (
    IntensityConfig,
    LesionConfig,
    RegistrationConfig,
    ResourcesConfig,
    StudentConfig,
)
from somray.config.pretrain import PretrainConfig
from somray.config.teacher import (
    FEATURE_NAMES,
    FURTHER_FEATURES,
    CohortReferenceConfig,
    ReferenceConfig,
    TeacherConfig,
)

__all__ = [
    "FEATURE_NAMES",
    "FURTHER_FEATURES",
    "PRETRAINED",
    "CohortConfig",
    "CohortReferenceConfig",
    "IntensityConfig",
    "LesionConfig",
    "PretrainConfig",
    "ProtocolConfig",
    "ReferenceConfig",
    "RegistrationConfig",
    "ResourcesConfig",
    "StudentConfig",
    "TeacherConfig",
    "load_config",
    "parse_config",
]
