"""Judge how well a protocol's teacher carried over to one scan: class profiles and drift."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from somray.domain.run import ScanPlace
from somray.domain.tables import DriftRow, NoteRow, ProfileRow
from somray.domain.teacher import TeacherModel
from somray.domain.work import Needs, Result
from somray.kernels.teacher.drift import Drift
from somray.kernels.teacher.signature import Signature, drift_from, merge_signatures

__all__ = ["NEEDS", "DriftItem", "judge", "run"]

NEEDS = Needs(cpus=0.1)
UNITS_APART = 50.0
"""Levels of one unit lie within a factor of some three; Bq/ml and SUV some thousands apart."""


@dataclass(frozen=True)
class DriftItem:
    """One scan.

    Args:
        place: the scan.
        signatures: of its bricks, in their order, as `run_som` left them.
        level: the scan's own level of uptake, where a channel is PET.
    """

    place: ScanPlace
    signatures: tuple[Mapping[str, Any], ...] = field(repr=False)  # Any: JSON
    level: float | None = None


def judge(model: TeacherModel, signatures: tuple[Mapping[str, Any], ...]) -> Drift | None:
    """Judge a scan by the signatures of its slabs; None without a pixel of data."""
    return drift_from(model, _merged(signatures).drift)


def _merged(signatures: tuple[Mapping[str, Any], ...]) -> Signature:
    return merge_signatures([Signature.from_json(dict(s)) for s in signatures])


def run(item: DriftItem, shared: TeacherModel) -> Result:
    """Join the slabs; rows of `profiles` and `drift` (none where no pixel has data), and of `notes`."""
    whole = _merged(item.signatures)
    found = drift_from(shared, whole.drift)
    rows: list[DriftRow] = []
    if found is not None:
        column = shared.feature_names.index(found.feature)
        channel, feature = divmod(column, len(shared.features))
        rows.append(
            DriftRow(
                subject=item.place.subject,
                session=item.place.session,
                status=found.status,
                distance_ratio=found.distance_ratio,
                far_fraction=found.far_fraction,
                channel=shared.channels[channel],
                feature=shared.features[feature],
                shift=found.shift,
                sharpness=found.sharpness,
                reason=found.reason or None,
            )
        )
    profiles = _profile_rows(item.place, whole, shared)
    return Result(rows={"profiles": profiles, "drift": rows, "notes": _notes(item, shared)})


def _notes(item: DriftItem, model: TeacherModel) -> list[NoteRow]:
    """Say that PET seems to be in another unit than the reference's, where no header names either."""
    own, its = item.level, model.extra.get("subject_level")
    if not own or not its or model.modality not in ("PET", "PETCT"):
        return []
    factor = max(own / its, its / own)
    if factor < UNITS_APART:
        return []
    note = (
        f"PET's uptake is at a level of {own:.3g}, that of the reference ({model.fitted_on}) at {its:.3g}: "
        f"{factor:.0f} times apart, as units are (Bq/ml, SUV); give all in SUV, or each unit a protocol of its own"
    )
    return [NoteRow(item.place.subject, item.place.session, "drift", note)]


def _profile_rows(place: ScanPlace, whole: Signature, model: TeacherModel) -> list[ProfileRow]:
    profile = whole.classes.profile(model.center, model.scale)
    pairs = [(c, f) for c in model.channels for f in model.features]
    return [
        ProfileRow(
            subject=place.subject,
            session=place.session,
            class_name=name,
            share_fraction=float(profile.share[value]),
            channel=channel,
            feature=feature,
            mean=_known(profile.mean[value, column]),
            std=_known(profile.std[value, column]),
        )
        for value, name in sorted(model.class_names.items())
        for column, (channel, feature) in enumerate(pairs)
    ]


def _known(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None
