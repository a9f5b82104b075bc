"""Columns of tables: unit and meaning stand with the type, so that schemas and dictionary derive from them."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, TypeVar, dataclass_transform, get_args, get_type_hints

__all__ = [
    "Column",
    "FieldSpec",
    "Fraction",
    "Row",
    "Session",
    "Subject",
    "TimeIndex",
    "column",
    "field_specs",
    "row",
    "values_for",
]

T = TypeVar("T", bound="Row")


@dataclass(frozen=True)
class Column:
    """Unit and meaning of one column; unit is "" for names and counts."""

    unit: str
    meaning: str


def column(unit: str, meaning: str, **more: Any) -> Any:  # Any: what a dataclass takes and gives
    """Make a column of one row type alone; with `default` where a row may leave it out."""
    return field(metadata={"column": Column(unit, meaning)}, **more)


# Columns that many rows have.
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
    __dataclass_fields__: ClassVar[dict[str, Any]]  # what `row` makes of each


@dataclass_transform(frozen_default=True, field_specifiers=(column,))
def row(cls: type[T]) -> type[T]:
    """Make a class the frozen type of a table's rows."""
    return dataclass(frozen=True)(cls)


_KINDS: dict[Any, str] = {  # Any: typing objects
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    list[float]: "list[float]",
    list[int]: "list[int]",
}


_SPECS: dict[type[Row], tuple[FieldSpec, ...]] = {}  # a look at type hints costs more than a row


def field_specs(kind: type[Row]) -> tuple[FieldSpec, ...]:
    """List a row type's columns with kind, unit and meaning, in order."""
    if kind not in _SPECS:
        _SPECS[kind] = _read_specs(kind)
    return _SPECS[kind]


def _read_specs(kind_of_row: type[Row]) -> tuple[FieldSpec, ...]:
    hints = get_type_hints(kind_of_row, include_extras=True)
    specs = []
    for item in fields(kind_of_row):
        hint, told = hints[item.name], item.metadata.get("column")
        base, told = (hint, told) if told else get_args(hint)[:2]
        options = get_args(base)
        nullable = type(None) in options
        kind = next(o for o in options if o is not type(None)) if nullable else base
        specs.append(FieldSpec(item.name, _KINDS[kind], nullable, told.unit, told.meaning))
    return tuple(specs)


def values_for(kind: type[Row], found: object) -> dict[str, Any]:  # Any: the columns' types
    """Return what a dataclass holds under the names of a row type's columns; tuples become lists."""
    names = {f.name for f in fields(kind)} & {f.name for f in fields(found)}  # type: ignore[arg-type]
    values = {name: getattr(found, name) for name in sorted(names)}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
