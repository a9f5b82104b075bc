"""The encoder's part of a protocol's configuration."""

from typing import Literal

from pydantic import Field, model_validator

from somray.config.base import Strict, Threads, TrainedBy

__all__ = ["PretrainConfig"]


class PretrainConfig(Strict):
    """An encoder that learns from all scans of the protocol, without any label."""

    encoder: Literal["unet", "vit", "resenc"] = Field(
        default="unet",
        description="unet: the student's own network; vit: a vision transformer, as MONAI builds it; resenc: a "
        "residual encoder U-Net with nnU-Net's stages",
    )
    size: Literal["small", "middle", "large"] = Field(
        default="small", description="of the network; unet has one size"
    )
    target: Literal["nodes", "features", "pixels", "kmeans", "nodes2", "shuffled"] = Field(
        default="nodes",
        description="what is asked for under the masks: nodes of the map, its features, nodes2: after nodes, "
        "clusters of the encoder's own features; the others are controls that know nothing of the map, or "
        "(shuffled) nothing that lasts",
    )
    codebooks: int = Field(
        default=1,
        ge=1,
        le=4,
        description="maps at once: the teacher's, and others fitted from other starts",
    )
    steps: int = Field(
        default=2000, ge=1, le=1_000_000, description="optimizer steps, of each iteration of nodes2"
    )
    batch: int = Field(default=4, ge=1, le=1024, description="patches in a step")
    patch: int | None = Field(
        default=None,
        ge=8,
        le=512,
        description="side of a patch in pixels; 64 of slices and 32 of volumes where left out",
    )
    masked: float = Field(default=0.6, gt=0, lt=1, description="share of a patch that is masked")
    block: int | None = Field(
        default=None,
        ge=1,
        le=128,
        description="side of a masked block in pixels; 8 in slices and 4 in volumes where left out",
    )
    grid_mm: float | None = Field(
        default=None,
        gt=0,
        description="learn from volumes of blocks of about this size; where left out as the protocol's student "
        "sees scans: slices at the teacher's pixel size, or with PET volumes of 6 mm",
    )
    scans: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="scans that are learned from, spread over subjects",
    )
    workers: int = Field(
        default=1, ge=1, le=256, description="of Ray Train, which share every batch"
    )
    threads: Threads = 1
    trainer: TrainedBy = "auto"

    @model_validator(mode="after")
    def _fits(self) -> "PretrainConfig":
        if self.patch is not None and self.block is not None and self.patch % self.block:
            raise ValueError(
                f"patch must be a multiple of block, got {self.patch} and {self.block}"
            )
        return self
