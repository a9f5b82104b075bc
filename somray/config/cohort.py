"""A protocol, and the whole cohort."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from somray.config.base import Name, Strict
from somray.config.parts import (
    IntensityConfig,
    LesionConfig,
    RegistrationConfig,
    ResourcesConfig,
    StudentConfig,
)
from somray.config.teacher import TeacherConfig
from somray.domain.work import digest_of

__all__ = ["CohortConfig", "ProtocolConfig"]


class ProtocolConfig(Strict):
    """Scans acquired alike: one teacher, one student."""

    modality: Literal["CT", "PET", "PETCT", "MR", "XCT", "other"] = "other"
    channels: list[Name] = Field(default=[])
    intensity: dict[Name, IntensityConfig] = Field(default={})
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    segment: Literal["student", "som"] = "student"
    registration: RegistrationConfig = RegistrationConfig()
    lesions: LesionConfig = LesionConfig()
    irregular: Literal["refuse", "resample"] = "refuse"
    repair_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01

    @model_validator(mode="before")
    @classmethod
    def _default_channels(cls, data: Any) -> Any:  # Any: raw YAML
        if isinstance(data, dict) and not data.get("channels"):
            modality = data.get("modality", "other")
            default = ["CT", "PET"] if modality == "PETCT" else [str(modality)]
            return {**data, "channels": default}
        return data

    @model_validator(mode="after")
    def _consistent(self) -> "ProtocolConfig":
        if len(set(self.channels)) != len(self.channels):
            raise ValueError(f"channels must differ, got {self.channels}")
        for name in self.intensity:
            if name not in self.channels:
                raise ValueError(f"intensity names channel {name!r}; channels are {self.channels}")
        return self

    @property
    def windows(self) -> tuple[tuple[float, float] | None, ...]:
        """Per channel the window, or None where it is chosen automatically."""
        chosen = [self.intensity.get(c, IntensityConfig()).window for c in self.channels]
        return tuple(None if isinstance(w, str) else w for w in chosen)


class CohortConfig(Strict):
    """The whole configuration."""

    scans: Annotated[str, Field(description="manifest, .csv or .parquet, relative to this file")]
    output: Annotated[
        str, Field(description="path or fsspec URL of the run, relative to this file")
    ]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    protocols: Annotated[dict[Name, ProtocolConfig], Field(min_length=1)]
    resources: ResourcesConfig = ResourcesConfig()

    def digest(self) -> str:
        """Hash what decides results: everything but places and resources."""
        data = self.model_dump(mode="json", exclude={"scans", "output", "resources"})
        return digest_of(data)
