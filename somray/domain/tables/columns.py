"""Columns of tables: unit and meaning stand with the type, so that schemas and dictionary derive from them."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, get_args, get_type_hints

__all__ = [
    "Column",
    "FieldSpec",
    "Fraction",
    "Row",
    "Session",
    "Subject",
    "TimeIndex",
    "field_specs",
    "values_for",
]


@dataclass(frozen=True)
class Column:
    """Unit and meaning of one column; unit is "" for names and counts."""

    unit: str
    meaning: str


Subject = Annotated[str, Column("", "subject of the scan, as in the manifest")]
Session = Annotated[str, Column("", "session (time point) of the scan, as in the manifest")]
TimeIndex = Annotated[int, Column("", "time index within the scan, from 0")]
Fraction = Annotated[float, Column("1", "share, 0 to 1")]


@dataclass(frozen=True)
class FieldSpec:
    """One column as the data dictionary tells it; kind is str, int, float, bool, or a list of one."""

    name: str
    kind: str
    nullable: bool
    unit: str
    meaning: str


class Row:
    """Base of every row; `table` is the table's name, `sort_by` the order of a compacted table."""

    table: ClassVar[str]
    sort_by: ClassVar[tuple[str, ...]]


_KINDS: dict[Any, str] = {  # Any: typing objects
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list[float]: "list[float]",
    list[int]: "list[int]",
}


_SPECS: dict[type[Row], tuple[FieldSpec, ...]] = {}  # a look at type hints costs more than a row


def field_specs(row: type[Row]) -> tuple[FieldSpec, ...]:
    """List a row type's columns with kind, unit and meaning, in order."""
    if row not in _SPECS:
        _SPECS[row] = _read_specs(row)
    return _SPECS[row]


def _read_specs(row: type[Row]) -> tuple[FieldSpec, ...]:
    hints = get_type_hints(row, include_extras=True)
    specs = []
    for item in fields(row):  # type: ignore[arg-type]
        base, column = get_args(hints[item.name])[:2]
        options = get_args(base)
        nullable = type(None) in options
        kind = next(o for o in options if o is not type(None)) if nullable else base
        specs.append(FieldSpec(item.name, _KINDS[kind], nullable, column.unit, column.meaning))
    return tuple(specs)


def values_for(row: type[Row], found: object) -> dict[str, Any]:  # Any: the columns' types
    """Return what a dataclass holds under the names of a row type's columns; tuples become lists."""
    names = {f.name for f in fields(row)} & {f.name for f in fields(found)}  # type: ignore[arg-type]
    values = {name: getattr(found, name) for name in sorted(names)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
