"""Rows about an encoder that learns from unlabelled scans."""

from typing import ClassVar

from somray.domain.tables.columns import Row, column, row

__all__ = ["PretrainingRow"]


@row
class PretrainingRow(Row):
    """One row per iteration and epoch of a protocol's encoder."""

    table: ClassVar[str] = "pretraining"
    sort_by: ClassVar[tuple[str, ...]] = ("iteration", "epoch")
    iteration: int = column(
        "", "from 1; the second learns clusters of the first one's own features"
    )
    epoch: int = column("", "epoch within the iteration, from 1")
    target: str = column(
        "", "what was asked for under the masks: nodes, features, pixels, kmeans, nodes2, shuffled"
    )
    loss: float = column("1", "mean loss over masked pixels of the epoch")
    accuracy: float | None = column(
        "1",
        "share of masked pixels whose number was told, in the first codebook; null where numbers are regressed",
    )
    learning_rate: float = column("1", "learning rate at the epoch's end")
    seconds: float = column("s", "time of the epoch; measured, differs between runs")
    pixels: int = column("", "pixels that all workers looked at in the epoch, masked or not")
