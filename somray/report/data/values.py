"""Rows of tables as plain Python values: null is None, lists are lists, whole numbers are ints."""

import math
from typing import Any

import numpy as np
import pandas as pd

from somray.domain.tables import TABLES, field_specs

__all__ = ["Row", "Rows", "is_4d", "plain_rows"]

Row = dict[str, Any]  # Any: one row of a table of domain/tables/, values plain
Rows = list[Row]


def plain_rows(table: str, frame: pd.DataFrame) -> Rows:
    """Turn rows of a table into plain ones; pandas holds whole numbers with gaps as floats."""
    kinds = {s.name: s.kind for s in field_specs(TABLES[table])}
    columns = [str(c) for c in frame.columns]
    typed = [[_plain(v, kinds.get(c, "str")) for v in frame[c].tolist()] for c in columns]
    return [dict(zip(columns, values, strict=True)) for values in zip(*typed, strict=True)]


def _plain(value: Any, kind: str) -> Any:  # Any: whatever pandas holds
    if isinstance(value, np.ndarray):
        return [_plain(v, "") for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return None
    return int(value) if kind == "int" else value


def is_4d(scan: Row) -> bool:
    """Tell whether a row of `scans` has several time points."""
    return (scan["shape_t"] or 1) > 1
