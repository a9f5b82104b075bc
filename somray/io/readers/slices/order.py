"""The order of slices that are files of their own, from the numbers in their names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from somray.errors import DataError

__all__ = ["NumberedFile", "in_order"]

_NUMBER = re.compile(r"\d+")


class NumberedFile(NamedTuple):
    """Files of one stack, in order.

    Args:
        files: in the order of the slices.
        step: of the number that counts them, 1 for a single file.
        others: how many pictures of other names the folder holds.
    """

    files: list[Path]
    step: float
    others: int


def in_order(folder: Path, files: Sequence[Path]) -> NumberedFile:
    """Order pictures of a folder by the number that counts them; what is the same in all names says nothing.

    Raises:
        DataError: `mixed_series`: two stacks, or two numbers that count; `irregular`: a gap.
    """
    groups: dict[str, list[Path]] = {}
    for file in files:
        groups.setdefault(_NUMBER.sub("#", file.stem.casefold()), []).append(file)
    stacks = sorted(groups.values(), key=len, reverse=True)
    chosen = stacks[0]
    if len(stacks) > 1 and not _is_litter(stacks):
        names = " and ".join(sorted(min(f.name for f in group) for group in stacks[:2]))
        raise DataError(
            "mixed_series",
            f"{folder}: holds stacks of different names ({names}, …); give each a folder of its own",
        )
    others = len(files) - len(chosen)
    if len(chosen) == 1:
        return NumberedFile(list(chosen), 1.0, others)
    return _counted(folder, chosen, others)


def _is_litter(stacks: list[list[Path]]) -> bool:
    """Whether all but the first are single pictures beside a stack: previews, overviews, masks."""
    return len(stacks[0]) >= 3 and all(len(group) == 1 for group in stacks[1:])


def _counted(folder: Path, files: list[Path], others: int) -> NumberedFile:
    """Order by the numbers that differ from file to file."""
    table = np.array([[int(n) for n in _NUMBER.findall(f.stem)] for f in files], dtype=object)
    changing = [table[:, c] for c in range(table.shape[1]) if len(set(table[:, c])) > 1]
    counting = [column for column in changing if len(set(column)) == len(files)]
    if not counting:
        first, second = sorted(f.name for f in files)[:2]
        raise DataError(
            "mixed_series",
            f"{folder}: no single number in the names orders the slices ({first}, {second}, …); give each "
            "time point or channel a folder of its own, numbered by slice",
        )
    orders = {tuple(np.argsort(column).tolist()) for column in counting}
    if len(orders) > 1:
        raise DataError(
            "mixed_series",
            f"{folder}: two numbers in the names order the slices differently; rename them by slice",
        )
    order = orders.pop()
    ordered = [files[i] for i in order]
    steps = [np.diff(np.array([int(column[i]) for i in order])) for column in counting]
    even = next((s for s in steps if s.min() == s.max()), None)
    if even is None:
        worst = int(np.argmax(steps[0] != np.median(steps[0])))
        raise DataError(
            "irregular",
            f"{folder}: numbering jumps from {ordered[worst].name} to {ordered[worst + 1].name}; "
            "complete the stack or renumber it",
        )
    return NumberedFile(ordered, float(even[0]), others)
