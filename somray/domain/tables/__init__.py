"""The tables of a run, one frozen row type each.

This module is the one source of names, types, units and meanings: Arrow schemas, `schemas/tables.v1.json`
and the checks of every written row derive from it. A field typed `... | None` may be null; a figure that
does not exist is null, never 0.
"""

from somray.domain.tables.burden import BurdenRow
from somray.domain.tables.change import EvolutionRow, LesionRow, LinkRow
from somray.domain.tables.columns import Column, FieldSpec, Row, field_specs, values_for
from somray.domain.tables.finetune import FinetuneRow
from somray.domain.tables.objects import ObjectRow
from somray.domain.tables.pretraining import PretrainingRow
from somray.domain.tables.registration import AlignmentRow, RegistrationRow, ResidualRow
from somray.domain.tables.run import FailureRow, NoteRow, ScanRow, TimingRow
from somray.domain.tables.segmentation import (
    AgreementRow,
    AreaRow,
    ConvergenceRow,
    PorosityRow,
    SliceRow,
    TrainingRow,
    TruthRow,
)
from somray.domain.tables.teacher import ClusterRow, DriftRow, ProfileRow

__all__ = [
    "SCHEMA_VERSION",
    "TABLES",
    "AgreementRow",
    "AlignmentRow",
    "AreaRow",
    "BurdenRow",
    "ClusterRow",
    "Column",
    "ConvergenceRow",
    "DriftRow",
    "EvolutionRow",
    "FailureRow",
    "FieldSpec",
    "FinetuneRow",
    "LesionRow",
    "LinkRow",
    "NoteRow",
    "ObjectRow",
    "PorosityRow",
    "PretrainingRow",
    "ProfileRow",
    "RegistrationRow",
    "ResidualRow",
    "Row",
    "ScanRow",
    "SliceRow",
    "TimingRow",
    "TrainingRow",
    "TruthRow",
    "field_specs",
    "values_for",
]

SCHEMA_VERSION = "1"

TABLES: dict[str, type[Row]] = {
    row.table: row
    for row in (
        ScanRow,
        FailureRow,
        NoteRow,
        ClusterRow,
        ProfileRow,
        DriftRow,
        SliceRow,
        AreaRow,
        PorosityRow,
        AgreementRow,
        ConvergenceRow,
        TrainingRow,
        PretrainingRow,
        RegistrationRow,
        AlignmentRow,
        ResidualRow,
        ObjectRow,
        LesionRow,
        LinkRow,
        EvolutionRow,
        BurdenRow,
        TruthRow,
        FinetuneRow,
        TimingRow,
    )
}
"""Table name to row type, in the contract's order."""
