"""The cohort's configuration: one YAML, one frozen model, unknown keys refused with the nearest known one.

Everything but `scans`, `output` and `protocols` has a default. `schemas/cohort.v1.json` derives from
these models.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from somray.domain.work import digest_of
from somray.errors import ConfigError

__all__ = [
    "CohortConfig",
    "IntensityConfig",
    "LesionConfig",
    "ProtocolConfig",
    "ReferenceConfig",
    "RegistrationConfig",
    "ResourcesConfig",
    "StudentConfig",
    "TeacherConfig",
    "load_config",
    "parse_config",
]

FEATURE_NAMES = (
    "intensity",
    "edge",
    "local_contrast",
    "thickness",
    "mean3",
    "mean5",
    "anisotropy_p",
    "anisotropy_q",
    "ratio_row_column",
    "ratio_local_global",
)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class IntensityConfig(_Model):
    """How one channel's values are windowed before features are computed."""

    window: Annotated[
        tuple[float, float] | Literal["auto"],
        Field(description="low and high value in HU, SUV or raw; what auto chose is recorded"),
    ] = "auto"

    @field_validator("window")
    @classmethod
    def _ascending(cls, value: tuple[float, float] | str) -> tuple[float, float] | str:
        if not isinstance(value, str) and not value[0] < value[1]:
            raise ValueError(f"window must be [low, high] with low < high, got {list(value)}")
        return value


class ReferenceConfig(_Model):
    """The slices that the teacher is fitted on."""

    subject: Name
    session: Name
    slices: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class TeacherConfig(_Model):
    """The self-organizing map and the meaning of its nodes."""

    engine: Literal["somray", "minisom"] = "somray"
    grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = (5, 5)
    epochs: Annotated[int, Field(ge=1, le=10000)] = 20
    features: Literal["all"] | list[str] = "all"
    reference: Literal["auto"] | ReferenceConfig = "auto"
    target: Name = "lesion"
    classes: Annotated[
        Literal["auto"] | dict[Name, list[Annotated[int, Field(ge=0)]]],
        Field(description="class name to node numbers; overrules the rule for those nodes"),
    ] = "auto"

    @field_validator("features")
    @classmethod
    def _known(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list):
            if not value:
                raise ValueError("features must name at least one feature, or be 'all'")
            for name in value:
                if name not in FEATURE_NAMES:
                    near = difflib.get_close_matches(name, FEATURE_NAMES, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"unknown feature {name!r}{hint}")
            if len(set(value)) != len(value):
                raise ValueError("a feature is named twice")
        return value

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The chosen features, in the order of the features table."""
        if isinstance(self.features, str):
            return FEATURE_NAMES
        return tuple(name for name in FEATURE_NAMES if name in self.features)


class StudentConfig(_Model):
    """The U-Net that learns from the teacher."""

    rounds: Annotated[int, Field(ge=1, le=50)] = 3
    tolerance: Annotated[float, Field(ge=0, le=1)] = 0.002
    workers: Annotated[int, Field(ge=1, le=256)] = 1
    steps: Annotated[int, Field(ge=1, le=100000, description="optimizer steps per round")] = 60
    threads: Annotated[
        int, Field(ge=1, le=64, description="CPU threads per worker; part of what fixes the bits")
    ] = 1
    trainer: Annotated[
        Literal["auto", "in_process", "ray_train"],
        Field(description="auto: Ray Train with several workers or a GPU, in the actor otherwise"),
    ] = "auto"


class RegistrationConfig(_Model):
    """How slices and sessions are aligned."""

    detector: Literal["kaze", "akaze", "sift", "orb"] = "kaze"
    model: Literal["auto", "similarity", "affine", "homography"] = "auto"
    pairs: list[Literal["slices", "sessions"]] = ["slices", "sessions"]


class LesionConfig(_Model):
    """What counts as one lesion and as change."""

    min_volume_mm3: Annotated[
        float | None, Field(ge=0, description="smaller parts are left out; 5 voxels where left out")
    ] = None
    change_fraction: Annotated[
        float, Field(gt=0, description="volume change up to this share is 'stable'")
    ] = 0.3
    change_floor_mm3: Annotated[
        float | None, Field(ge=0, description="and up to this volume; 20 voxels where left out")
    ] = None
    reach_mm: Annotated[
        float | None,
        Field(
            ge=0, description="distance that links lesions without overlap; 5 pixels where left out"
        ),
    ] = None


class ProtocolConfig(_Model):
    """Scans acquired alike: one teacher, one student."""

    modality: Literal["CT", "PET", "PETCT", "MR", "XCT", "other"] = "other"
    channels: list[Name] = []
    intensity: dict[Name, IntensityConfig] = {}
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


class ResourcesConfig(_Model):
    """CPUs, GPUs and memory per kind of work; the defaults fit a laptop."""

    workers: Annotated[
        int | None, Field(ge=1, description="CPUs of the embedded Ray; all cores where left out")
    ] = None
    in_flight: Annotated[
        int | None,
        Field(ge=1, description="units under way at once; twice the CPUs where left out"),
    ] = None
    task_memory_mb: Annotated[
        int, Field(ge=256, description="most memory that one task may plan for")
    ] = 4096
    attempts: Annotated[
        int, Field(ge=1, le=20, description="worker deaths that quarantine a unit")
    ] = 3


class CohortConfig(_Model):
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


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    """Return the keys that are allowed where an unknown one was found."""
    model: Any = CohortConfig
    for key in path[:-1]:
        field = model.model_fields.get(key) if hasattr(model, "model_fields") else None
        if field is None:  # a free name such as a protocol's
            continue
        model = _model_within(field.annotation) or model
    return list(model.model_fields)


def _model_within(annotation: Any) -> Any:  # Any: typing objects
    """Find the pydantic model inside an annotation such as dict[str, Model]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if found is not None:
            return found
    return None


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        path = tuple(item["loc"])
        where = ".".join(str(p) for p in path) or "(top level)"
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), _known_keys(path), 1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(f"{where}: unknown key{hint}")
        elif item["type"] == "missing":
            lines.append(f"{where}: missing, it has no default")
        else:
            lines.append(f"{where}: {item['msg'].removeprefix('Value error, ')}")
    return "\n".join(dict.fromkeys(lines))


def parse_config(data: object, overrides: tuple[str, ...] = (), source: str = "") -> CohortConfig:
    """Validate a configuration given as plain data.

    Args:
        data: what YAML gave.
        overrides: `a.b=value` settings, value read as YAML, that win over the file.
        source: name of the file, for messages.

    Raises:
        ConfigError: all problems in one message, each with the key's path.
    """
    if not isinstance(data, dict):
        raise ConfigError(f"{source or 'configuration'}: a mapping of keys is expected at the top")
    merged = _copy(data)
    for override in overrides:
        _override(merged, override)
    try:
        return CohortConfig.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(f"{source or 'configuration'}:\n{_explain(error)}") from None


def _copy(value: Any) -> Any:  # Any: raw YAML
    if isinstance(value, dict):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _override(data: dict[str, Any], override: str) -> None:
    """Set one `a.b=value`; a protocol's name may hold dots, so the longest known key wins."""
    key, sign, text = override.partition("=")
    if not sign or not key:
        raise ConfigError(f"--set {override!r}: expected a.b=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: value is not YAML: {error}") from None
    parts, here = key.split("."), data
    while True:
        take = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in here), 1)
        name, parts = ".".join(parts[:take]), parts[take:]
        if not parts:
            here[name] = value
            return
        child = here.get(name)
        if not isinstance(child, dict):
            child = here[name] = {}
        here = child


def load_config(path: str | Path, overrides: tuple[str, ...] = ()) -> CohortConfig:
    """Read and validate a cohort.yaml; paths in it stay as written.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or is refused by the model.
    """
    file = Path(path)
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not YAML: {error}") from None
    return parse_config(data, overrides, str(file))
