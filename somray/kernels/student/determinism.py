"""How torch is held to the same bits: a fixed number of threads and deterministic algorithms."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic as deterministic_settings

__all__ = ["deterministic"]


@contextmanager
def deterministic(threads: int) -> Iterator[None]:
    """Run torch on a fixed number of threads with deterministic algorithms; restore both after."""
    before = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filled = deterministic_settings.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(threads)
    # Not `use_deterministic_algorithms`: that imports torch's whole compiler, two seconds in every worker.
    torch.set_deterministic_debug_mode("error")
    # No kernel here reads memory that it did not write; filling it first cost a tenth of a step.
    deterministic_settings.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.set_deterministic_debug_mode(before[1])
        deterministic_settings.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
