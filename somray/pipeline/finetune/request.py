"""What is asked of finetuning."""

from dataclasses import dataclass

__all__ = ["DEVICES", "FinetuneRequest"]

DEVICES = ("auto", "cpu", "cuda")
"""Where torch may compute; auto is a GPU where there is one."""


@dataclass(frozen=True)
class FinetuneRequest:
    """How a person wants segmenters trained.

    Args:
        most: scans with a truth that a segmenter learns from; all where None.
        steps: optimizer steps of every training.
        folds: parts that subjects are held out in; as many as subjects at most.
        seed: of weights, draws and folds.
        device: a word of `DEVICES`.
    """

    most: int | None = None
    steps: int = 300
    folds: int = 5
    seed: int = 0
    device: str = "auto"
