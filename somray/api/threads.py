"""How many threads the library may use for a user who calls it directly."""

import os

__all__ = ["usable_threads"]


def usable_threads() -> int:
    """Return how many threads to use: SOMRAY_NUM_THREADS, else OMP_NUM_THREADS, else every CPU."""
    for name in ("SOMRAY_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > 0:
            return int(value)
    return os.cpu_count() or 1
