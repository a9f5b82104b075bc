"""The teacher's part of a protocol's configuration."""

import difflib
from typing import Annotated, Literal

from pydantic import Field, field_validator

from somray.config.base import Name, Strict

__all__ = ["FEATURE_NAMES", "ReferenceConfig", "TeacherConfig"]

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


class ReferenceConfig(Strict):
    """The slices that the teacher is fitted on."""

    subject: Name
    session: Name
    slices: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]


class TeacherConfig(Strict):
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
