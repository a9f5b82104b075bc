"""What every part of the configuration shares: strictness, and the forms that several parts know."""

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = [
    "NAME_PATTERN",
    "InManifest",
    "Name",
    "Strict",
    "Threads",
    "TrainedBy",
]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=64)]
InManifest = Annotated[Name, Field(description="as in the manifest")]
Threads = Annotated[
    int, Field(ge=1, le=64, description="CPU threads per worker; part of what fixes the bits")
]
TrainedBy = Annotated[
    Literal["auto", "in_process", "ray_train"],
    Field(description="auto: Ray Train with several workers or a GPU, in the actor otherwise"),
]


class Strict(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:  # Any: raw YAML
        annotation = cls.model_fields[info.field_name or ""].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and kinds & {int, float} and bool not in kinds:
            raise ValueError(f"a number is expected, got {value}")
        return value
