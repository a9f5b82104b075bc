"""A protocol, and the whole cohort."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from somray.config.base import Name, Strict
from somray.config.objects import ObjectsConfig
from somray.config.parts import (
    IntensityConfig,
    LesionConfig,
    RegistrationConfig,
    ResourcesConfig,
    StudentConfig,
)
from somray.config.pretrain import PretrainConfig
from somray.config.teacher import TeacherConfig
from somray.domain.work import digest_of

__all__ = ["PRETRAINED", "CohortConfig", "ProtocolConfig"]

PRETRAINED = "pretrained"
_SECRET = re.compile(r"[^/]*://(?:[^/@]*:[^/@]*@|[^?]*[?])")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f]")

OrganValue = Annotated[int, Field(ge=1, lt=2**24)]  # readers give float32, exact up to here
SizeMm = Annotated[float, Field(gt=0, lt=1e6)]
OrganName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$"),
]


class ProtocolConfig(Strict):
    """Scans acquired alike: one teacher, one student."""

    modality: Literal["CT", "PET", "PETCT", "MR", "XCT", "other"] = Field(
        default="other", description="chooses the rules for windows, classes and objects"
    )
    channels: list[Name] = Field(
        default=[],
        description="names in order, one row of the manifest each; PETCT has CT and PET, all others their "
        "modality, where left out",
    )
    intensity: dict[Name, IntensityConfig] = Field(
        default={}, description="channel to window; chosen automatically where left out"
    )
    teacher: TeacherConfig = TeacherConfig()
    student: StudentConfig = StudentConfig()
    pretrain: PretrainConfig | None = Field(
        default=None,
        description="an encoder that learns from all scans, without any label; `{}` for the defaults, none where "
        "left out",
    )
    segment: Literal["student", "som"] = Field(
        default="student",
        description="whose masks are followed as lesions: the student's, or direct transfer's (som, which trains "
        "no student)",
    )
    registration: RegistrationConfig = RegistrationConfig()
    objects: ObjectsConfig = ObjectsConfig()
    lesions: LesionConfig = LesionConfig()
    anatomy: dict[OrganValue, OrganName] = Field(
        default={},
        description="value of the organ mask to organ, as in {5: spleen}; where left out, the names stand "
        "in the mask's own header or in a file beside it",
    )
    exclude: list[OrganName] = Field(
        default=[],
        description="organs of the mask in which nothing is a lesion, in any modality; a name without a "
        "side means both, a value without a name is 'organ 5'",
    )
    irregular: Literal["refuse", "resample"] = Field(
        default="refuse",
        description="series with uneven gaps or a tilted gantry: set aside, or resampled",
    )
    spacing_mm: tuple[SizeMm, SizeMm, SizeMm] | None = Field(
        default=None,
        description="voxel size [z, y, x] in mm of scans whose files name none; what a file names is kept",
    )
    repair_fraction: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="NaN, infinite values and padding up to this share are repaired; a scan with more is set "
        "aside",
    )

    in_place: Literal["never", "auto"] = Field(
        default="never",
        description="auto: an OME-Zarr of float32 on a disk, whose chunks suit, is not copied into the run but "
        "read where it lies, and must stay there; never: the run holds all of it",
    )

    @model_validator(mode="before")
    @classmethod
    def _default_channels(cls, data: Any) -> Any:  # Any: raw YAML
        if isinstance(data, dict) and data.get("channels") in (None, []):
            modality = data.get("modality", "other")
            default = ["CT", "PET"] if modality == "PETCT" else [str(modality)]
            return {**data, "channels": default}
        return data

    @field_validator("anatomy", mode="before")
    @classmethod
    def _value_first(cls, value: Any) -> Any:  # Any: raw YAML
        if isinstance(value, dict):
            for name, number in value.items():
                if isinstance(number, int) and not str(name).isdigit():
                    raise ValueError(f"the mask's value comes first: write {{{number}: {name}}}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "ProtocolConfig":
        if len(set(self.channels)) != len(self.channels):
            raise ValueError(f"channels must differ, got {self.channels}")
        for name in self.intensity:
            if name not in self.channels:
                raise ValueError(f"intensity names channel {name!r}; channels are {self.channels}")
        if self.objects.rule == "lung" and self.modality != "CT":
            raise ValueError(
                f"objects.rule: lung reads Hounsfield units and is for modality CT, not {self.modality}; leave it out"
            )
        asked = self.pretraining if self.starts_pretrained else None
        if asked is not None and (asked.encoder != "unet" or asked.grid_mm is not None):
            raise ValueError(
                "student.encoder: pretrained needs an encoder like the student: leave pretrain.encoder and "
                "pretrain.grid_mm out"
            )
        return self

    @property
    def starts_pretrained(self) -> bool:
        """Whether the student starts from this run's own encoder."""
        return self.student.encoder == PRETRAINED

    @property
    def pretraining(self) -> PretrainConfig | None:
        """What is pretrained; None where nothing asks for it."""
        return self.pretrain or (PretrainConfig() if self.starts_pretrained else None)

    @property
    def windows(self) -> tuple[tuple[float, float] | None, ...]:
        """Per channel the window, or None where it is chosen automatically."""
        chosen = [self.intensity.get(c, IntensityConfig()).window for c in self.channels]
        return tuple(None if isinstance(w, str) else w for w in chosen)


class CohortConfig(Strict):
    """The whole configuration."""

    scans: str = Field(description="manifest, .csv or .parquet, relative to this file")
    output: str = Field(description="path or fsspec URL of the run, relative to this file")
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,
        description="of everything random; the same seed gives the same bits",
    )
    protocols: dict[Name, ProtocolConfig] = Field(
        min_length=1, description="name to settings: scans that were acquired alike"
    )
    resources: ResourcesConfig = Field(
        default=ResourcesConfig(), description="what a run may take; never changes a result"
    )

    @field_validator("scans")
    @classmethod
    def _is_on_a_disk(cls, value: str) -> str:
        if "://" in value:
            raise ValueError(
                "a manifest is read from a disk, though what it names may be URLs; copy it beside this file"
            )
        return value

    @field_validator("output")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        """Refuse nothing at all, and a password or signature, which would stand in the run and every message."""
        if not value.strip():
            raise ValueError("is empty; name a folder, such as run, which need not exist")
        if _UNSEEN.search(value.strip()):
            raise ValueError(
                "holds a line break, a tab or a sign that cannot be seen; write it anew"
            )
        if _SECRET.match(value):
            raise ValueError(
                "holds a password or signature, which would stand in the run and its logs; give it by the "
                "environment (for s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and leave it out here"
            )
        return value

    def digest(self) -> str:
        """Hash what decides results: everything but places and resources."""
        data = self.model_dump(mode="json", exclude={"scans", "output", "resources"})
        for protocol in data["protocols"].values():  # what nothing asks for changes nothing
            if protocol["pretrain"] is None:
                del protocol["pretrain"]
            if protocol["student"]["encoder"] is None:
                del protocol["student"]["encoder"]
            if protocol["in_place"] == "never":
                del protocol["in_place"]
            if not protocol["lesions"]["local_thickness"]:
                del protocol["lesions"]["local_thickness"]
        return digest_of(data)
