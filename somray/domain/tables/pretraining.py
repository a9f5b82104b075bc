"""Rows about an encoder that learns from unlabelled scans."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import Column, Row

__all__ = ["PretrainingRow"]


@dataclass(frozen=True)
class PretrainingRow(Row):
    """One row per iteration and epoch of a protocol's encoder."""

    table: ClassVar[str] = "pretraining"
    sort_by: ClassVar[tuple[str, ...]] = ("iteration", "epoch")
    iteration: Annotated[
        int, Column("", "from 1; the second learns clusters of the first one's own features")
    ]
    epoch: Annotated[int, Column("", "epoch within the iteration, from 1")]
    target: Annotated[
        str,
        Column(
            "",
            "what was asked for under the masks: nodes, features, pixels, kmeans, nodes2, shuffled",
        ),
    ]
    loss: Annotated[float, Column("1", "mean loss over masked pixels of the epoch")]
    accuracy: Annotated[
        float | None,
        Column(
            "1",
            "share of masked pixels whose number was told, in the first codebook; null where numbers are regressed",
        ),
    ]
    learning_rate: Annotated[float, Column("1", "learning rate at the epoch's end")]
    seconds: Annotated[float, Column("s", "time of the epoch; measured, differs between runs")]
    pixels: Annotated[
        int, Column("", "pixels that all workers looked at in the epoch, masked or not")
    ]
