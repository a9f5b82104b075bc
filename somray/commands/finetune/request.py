"""What a person asks `somray finetune` for."""

from dataclasses import dataclass

__all__ = ["STEPS", "FinetuneRequest"]

STEPS = 300


@dataclass(frozen=True)
class FinetuneRequest:
    """What a person asks `somray finetune` for.

    Args:
        protocol: the only one; all that have a truth where None.
        most: scans with a truth that a segmenter learns from; all where None.
        steps: optimizer steps of every training.
        folds: parts that subjects are held out in; as many as subjects at most.
        seed: of weights, draws and folds.
    """

    protocol: str | None = None
    most: int | None = None
    steps: int = STEPS
    folds: int = 5
    seed: int = 0
