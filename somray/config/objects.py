"""The object step's part of a protocol's configuration."""

from typing import Annotated, Literal

from pydantic import Field

from somray.config.base import InManifest, Strict

__all__ = ["CallConfig", "ObjectsConfig"]

Coordinate = Annotated[float, Field(description="LPS mm, as in the table `objects`")]


class CallConfig(Strict):
    """A person's word on one object; it beats every rule."""

    subject: InManifest
    session: InManifest
    at_mm: tuple[Coordinate, Coordinate, Coordinate] = Field(
        description="a point in it: centroid_x_mm, centroid_y_mm, centroid_z_mm"
    )
    call: Literal["lesion", "physiological", "doubt"] = Field(description="what the object is")


class ObjectsConfig(Strict):
    """What becomes of a map's target before it is followed as lesions."""

    rule: Literal["auto", "lung", "none"] = Field(
        default="auto",
        description="auto: objects are found, cut and called by their modality's rule (PET, PETCT, MR, CT; "
        "XCT and others as the map draws them, borders half way to normal tissue); lung, CT alone: what is "
        "compact, solid and enclosed by lung, in place of what is dense; none: as the map draws them",
    )
    cohort: bool = Field(
        default=True,
        description="PET and PETCT: ask the protocol's other subjects what is hot in the same place; at "
        "least four of them must show it",
    )
    calls: list[CallConfig] = Field(
        default=[], description="a person's word on single objects; beats the rule"
    )
