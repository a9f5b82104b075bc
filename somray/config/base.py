"""What every part of the configuration shares: strictness, and the forms that several parts know."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

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
