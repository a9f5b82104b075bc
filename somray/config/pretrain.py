"""The encoder's part of a protocol's configuration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from somray.config.base import Strict, Threads, TrainedBy

__all__ = ["PretrainConfig"]


class PretrainConfig(Strict):
    """An encoder that learns from all scans of the protocol, without any label."""

    encoder: Annotated[
        Literal["unet", "vit", "resenc"],
        Field(
            description="unet: the student's own network; vit: a vision transformer, as MONAI builds it; resenc: a "
            "residual encoder U-Net with nnU-Net's stages"
        ),
    ] = "unet"
    size: Annotated[
        Literal["small", "middle", "large"],
        Field(description="of the network; unet has one size"),
    ] = "small"
    target: Annotated[
        Literal["nodes", "features", "pixels", "kmeans", "nodes2", "shuffled"],
        Field(
            description="what is asked for under the masks: nodes of the map, its features, nodes2: after nodes, "
            "clusters of the encoder's own features; the others are controls that know nothing of the map, or "
            "(shuffled) nothing that lasts"
        ),
    ] = "nodes"
    codebooks: Annotated[
        int,
        Field(
            ge=1,
            le=4,
            description="maps at once: the teacher's, and others fitted from other starts",
        ),
    ] = 1
    steps: Annotated[
        int, Field(ge=1, le=1_000_000, description="optimizer steps, of each iteration of nodes2")
    ] = 2000
    batch: Annotated[int, Field(ge=1, le=1024, description="patches in a step")] = 4
    patch: Annotated[
        int | None,
        Field(
            ge=8,
            le=512,
            description="side of a patch in pixels; 64 of slices and 32 of volumes where left out",
        ),
    ] = None
    masked: Annotated[float, Field(gt=0, lt=1, description="share of a patch that is masked")] = 0.6
    block: Annotated[
        int | None,
        Field(
            ge=1,
            le=128,
            description="side of a masked block in pixels; 8 in slices and 4 in volumes where left out",
        ),
    ] = None
    grid_mm: Annotated[
        float | None,
        Field(
            gt=0,
            description="learn from volumes of blocks of about this size; where left out as the protocol's student "
            "sees scans: slices at the teacher's pixel size, or with PET volumes of 6 mm",
        ),
    ] = None
    scans: Annotated[
        int, Field(ge=1, le=10_000, description="scans that are learned from, spread over subjects")
    ] = 100
    workers: Annotated[
        int, Field(ge=1, le=256, description="of Ray Train, which share every batch")
    ] = 1
    threads: Threads = 1
    trainer: TrainedBy = "auto"

    @model_validator(mode="after")
    def _fits(self) -> "PretrainConfig":
        if self.patch is not None and self.block is not None and self.patch % self.block:
            raise ValueError(
                f"patch must be a multiple of block, got {self.patch} and {self.block}"
            )
        return self
