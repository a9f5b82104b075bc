"""The teacher's part of a protocol's configuration."""

import difflib
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from somray.config.base import InManifest, Name, Strict
from somray.domain.teacher import CLASSES, FURTHER

__all__ = [
    "FEATURE_NAMES",
    "FURTHER_FEATURES",
    "CohortReferenceConfig",
    "ReferenceConfig",
    "TeacherConfig",
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
"""What `all` means."""
FURTHER_FEATURES: tuple[str, ...] = ()
"""Computed where they are named."""
_KNOWN_FEATURES = FEATURE_NAMES + FURTHER_FEATURES


class ReferenceConfig(Strict):
    """The slices that the teacher is fitted on."""

    subject: InManifest
    session: InManifest
    slices: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="counted from 0")


class CohortReferenceConfig(Strict):
    """All scans of the protocol as the reference, a slice here and there or every one."""

    every: int = Field(ge=1, description="take every n-th slice of every scan")


def _form_of(value: object) -> str:
    """Tell which form of `reference` is meant, so that an error speaks of that form alone."""
    if isinstance(value, list):
        return "~list"
    if isinstance(value, CohortReferenceConfig):
        return "~cohort"
    if isinstance(value, dict):
        return "~slices" if {"subject", "session", "slices"} & set(value) else "~cohort"
    return "~slices" if isinstance(value, ReferenceConfig) else "~word"


class TeacherConfig(Strict):
    """The self-organizing map and the meaning of its nodes."""

    engine: Literal["somray", "minisom", "torch"] = Field(
        default="somray",
        description="torch runs on the GPU where there is one; its bits depend on the device",
    )
    grid: tuple[Annotated[int, Field(ge=1, le=64)], Annotated[int, Field(ge=1, le=64)]] = Field(
        default=(5, 5), description="rows and columns of the map"
    )
    topology: Literal["rectangular", "hexagonal"] = Field(
        default="rectangular", description="neighbourhood of the nodes"
    )
    torus: bool = Field(default=False, description="join opposite sides of the map")
    epochs: int = Field(default=20, ge=1, le=10000, description="passes over the reference")
    features: Literal["all"] | list[str] = Field(
        default="all", description="all ten, or a list of their names"
    )
    dimensions: Literal[2, 3] = Field(
        default=2, description="3: features look at the neighbouring slices too"
    )
    reference: Annotated[
        Annotated[Literal["auto", "cohort"], Tag("~word")]
        | Annotated[ReferenceConfig, Tag("~slices")]
        | Annotated[CohortReferenceConfig, Tag("~cohort")]
        | Annotated[list[ReferenceConfig], Field(min_length=1), Tag("~list")],
        Discriminator(_form_of),
        Field(
            description="auto: the most worthwhile slice of the first scan; cohort: all slices of all "
            "scans (or every n-th); else the slices named, of one scan or several"
        ),
    ] = "auto"
    target: Name = Field(default="lesion", description="the class that is followed as lesion")
    classes: Literal["auto"] | dict[Name, list[Annotated[int, Field(ge=0)]]] = Field(
        default="auto", description="class name to node numbers; overrules the rule for those nodes"
    )
    smoothing_mm: float | None = Field(
        default=None,
        ge=0,
        description="radius of a majority vote over labels/som; 0 for none; where left out 5 mm on "
        "PETCT, whose PET resolves nothing finer, and none elsewhere",
    )
    denoise: Literal["auto", "none", "nlm"] = Field(
        default="auto",
        description="non-local means before features are computed: auto on slices clearly noisier than "
        "the reference, as strongly as they are; nlm on every slice, the reference too; PET never",
    )
    previous: str | None = Field(
        default=None,
        description="run whose teacher of the same protocol is carried over, its centroids and "
        "classes as they are; path relative to this file, or fsspec URL",
    )
    refit: bool = Field(
        default=False,
        description="with `previous`: fit anew from its nodes; each node keeps the class of the "
        "nearest old one",
    )

    @field_validator("features")
    @classmethod
    def _known(cls, value: str | list[str]) -> str | list[str]:
        if isinstance(value, list):
            if not value:
                raise ValueError("features must name at least one feature, or be 'all'")
            for name in value:
                if name not in _KNOWN_FEATURES:
                    near = difflib.get_close_matches(name, _KNOWN_FEATURES, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"unknown feature {name!r}{hint}")
            if len(set(value)) != len(value):
                raise ValueError("a feature is named twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "TeacherConfig":
        if self.refit and self.previous is None:
            raise ValueError("refit needs `previous`, the run whose teacher is fitted anew")
        planar = self.topology == "rectangular" and not self.torus
        if self.engine == "minisom" and not planar:
            raise ValueError("engine minisom fits rectangular maps without torus only")
        if self.engine != "somray" and (self.refit or self.folds):
            raise ValueError(f"engine {self.engine} fits one scan's slices from scratch only")
        if self.previous is None:  # whose map and classes are not known here
            self._check_classes()
        return self

    def _check_classes(self) -> None:
        named = {} if isinstance(self.classes, str) else self.classes
        nodes: dict[int, str] = {}
        for name, node in ((name, node) for name, of_class in named.items() for node in of_class):
            if node >= self.grid[0] * self.grid[1]:
                most = self.grid[0] * self.grid[1] - 1
                raise ValueError(f"class {name!r} names node {node}; nodes are 0 to {most}")
            if nodes.setdefault(node, name) != name:
                raise ValueError(f"node {node} is named both {nodes[node]!r} and {name!r}")
        known = [*dict.fromkeys((*CLASSES.values(), *FURTHER, *named))]
        if self.target not in known:
            raise ValueError(
                f"target {self.target!r} is no class of this teacher; classes are {', '.join(known)}"
            )

    @property
    def every(self) -> int | None:
        """Take every n-th slice of the whole cohort; None where slices are named or chosen."""
        if isinstance(self.reference, CohortReferenceConfig):
            return self.reference.every
        return 1 if self.reference == "cohort" else None

    @property
    def named(self) -> tuple[ReferenceConfig, ...]:
        """The references that are named, none for auto and cohort."""
        if isinstance(self.reference, ReferenceConfig):
            return (self.reference,)
        return tuple(self.reference) if isinstance(self.reference, list) else ()

    @property
    def folds(self) -> bool:
        """Whether several scans are the reference, so that the fit is spread over tasks."""
        return self.every is not None or len(self.named) > 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The chosen features, in the order of the features table."""
        if isinstance(self.features, str):
            return FEATURE_NAMES
        return tuple(name for name in _KNOWN_FEATURES if name in self.features)
