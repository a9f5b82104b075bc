"""The teacher: fitted on a reference slice, applied to any other slice of its protocol.

Features of every channel are standardised on the reference and weighted, a SOM is fitted to all of its
pixels, nodes get classes by a rule. Applying computes the same features elsewhere, finds the nearest
node and takes its class: the direct transfer of the seed. Slices are worked on one by one, so memory is
that of one slice's features, and a slice's labels do not depend on which others come with it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from somray.domain.tables import ClusterRow
from somray.domain.teacher import Codebook, TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes import name_nodes
from somray.kernels.classes_profile import NodeProfile, profile_groups
from somray.kernels.classes_rule import NodeView
from somray.kernels.features import FEATURES, feature_stack
from somray.kernels.som import Training, assign, fit
from somray.kernels.som_minisom import fit_minisom
from somray.kernels.teacher_apply import TeacherLabels, apply_teacher, checked_images
from somray.kernels.teacher_level import has_level, subject_histogram, subject_level
from somray.kernels.windows import auto_window, channel_kind, uptake_window

__all__ = ["TeacherFit", "TeacherLabels", "TeacherSpec", "apply_teacher", "fit_teacher"]

TRAINING = Training(final_radius=0.15, rare=True)
"""A lesion may be a hundredth of a slice: it must get a node, and keep it from its neighbours' pull."""

ENGINES: dict[str, Callable[..., Codebook]] = {
    "somray": partial(fit, training=TRAINING),
    "minisom": fit_minisom,
}
"""Engine name to how it fits a codebook."""

FEATURE_WEIGHTS = {
    "intensity": 1.0,
    "edge": 1.0,
    "local_contrast": 1.0,
    "thickness": 0.3,
    "mean3": 1.0,
    "mean5": 1.0,
    "anisotropy_p": 0.1,
    "anisotropy_q": 0.1,
    "ratio_row_column": 0.1,
    "ratio_local_global": 0.5,
}
"""What a feature counts for in the distance, standardised; orientation alone is no regime."""

LEVELS_BESIDE_PET = {"intensity": 0.1, "mean3": 0.3, "mean5": 13.0}
"""What CT's levels count for beside PET, whose own count 1: only the mean over 5×5 pixels tells water
(10 HU) from tissue in CT's noise, and it must do so within the few hot nodes (bench_teacher)."""

OTHERS_BESIDE_PET = 0.1
"""What every other feature of either channel counts for in PETCT."""


@dataclass(frozen=True)
class TeacherSpec:
    """What a protocol asks of its teacher.

    Args:
        modality: CT, PET, PETCT, MR, XCT or other.
        channels: names in image order.
        windows: per channel (low, high), or None to choose it; () leaves all of them to be chosen.
        features: names, in stack order.
        grid: rows and columns of the map.
        epochs: passes over the reference.
        engine: a key of `ENGINES`.
        seed: of the engine.
        target: class that the student will learn.
        classes: class name to node numbers, which beats the rule; None leaves it to the rule.
    """

    modality: str
    channels: tuple[str, ...]
    windows: tuple[tuple[float, float] | None, ...] = ()
    features: tuple[str, ...] = FEATURES
    grid: tuple[int, int] = (5, 5)
    epochs: int = 20
    engine: str = "somray"
    seed: int = 0
    target: str = "lesion"
    classes: Mapping[str, Sequence[int]] | None = None


@dataclass(frozen=True, eq=False)
class TeacherFit:
    """A fitted teacher with the rows of the `clusters` table."""

    model: TeacherModel
    cluster_rows: tuple[ClusterRow, ...]


@dataclass(frozen=True, eq=False)
class _Reference:
    """The reference's pixels as the SOM sees them."""

    windows: tuple[tuple[float, float], ...]
    level: float | None
    standardised: NDArray[np.float32] = field(repr=False)  # (f, n)
    center: NDArray[np.float32]
    scale: NDArray[np.float32]


def _windows(
    images: NDArray[np.float32], spec: TeacherSpec, level: float | None
) -> tuple[tuple[float, float], ...]:
    """Return each channel's window: as given, by the level of uptake, or from the values."""
    given = spec.windows or (None,) * len(spec.channels)
    if len(given) != len(spec.channels):
        raise ShapeError(f"{len(given)} windows for {len(spec.channels)} channels")
    chosen = []
    for index, (name, window) in enumerate(zip(spec.channels, given, strict=True)):
        if window is not None:
            chosen.append((float(window[0]), float(window[1])))
        elif level is not None and channel_kind(spec.modality, name) == "PET":
            chosen.append(uptake_window(level, spec.modality))
        else:
            chosen.append(auto_window(images[:, index], spec.modality, name))
    return tuple(chosen)


def _prepare(
    images: NDArray[np.float32],
    spec: TeacherSpec,
    spacing_mm: tuple[float, float],
    level: float | None,
) -> _Reference:
    """Compute, gather and standardise the features of every pixel that has data."""
    valid = np.asarray(np.isfinite(images).all(axis=1))
    if not valid.any():
        raise ShapeError("the reference holds no pixel with data in every channel")
    if all(float(np.ptp(images[:, c][valid])) == 0.0 for c in range(images.shape[1])):
        raise ShapeError(
            "the reference is constant: there is nothing to tell apart; choose another"
        )
    if level is None and has_level(spec.modality, spec.channels):
        counts = subject_histogram(images, spec.modality, spec.channels)
        level = subject_level(counts, spec.modality)
    windows = _windows(images, spec, level)
    parts = [
        feature_stack(image, windows, spec.features, spacing_mm)[:, mask]
        for image, mask in zip(images, valid, strict=True)
    ]
    raw = np.concatenate(parts, axis=1)
    center = raw.mean(axis=1, dtype=np.float64).astype(np.float32)
    scale = raw.std(axis=1, dtype=np.float64)
    # A feature that does not vary says nothing: it must not blow up elsewhere.
    scale = np.where(scale > 1e-6, scale, 1.0).astype(np.float32)
    raw -= center[:, None]
    raw /= scale[:, None]
    return _Reference(windows, level, raw, center, scale)


def _feature_weights(kinds: Sequence[str], features: Sequence[str]) -> NDArray[np.float32]:
    """Return what each feature of each channel counts for, (c·f,) float32."""
    if len(set(kinds)) == 1:
        return np.array([FEATURE_WEIGHTS[name] for _ in kinds for name in features], np.float32)
    levels = {"CT": LEVELS_BESIDE_PET, "PET": dict.fromkeys(LEVELS_BESIDE_PET, 1.0)}
    return np.array(
        [levels[kind].get(name, OTHERS_BESIDE_PET) for kind in kinds for name in features],
        np.float32,
    )


def fit_teacher(
    images: NDArray[np.float32],
    spec: TeacherSpec,
    spacing_mm: tuple[float, float],
    level: float | None = None,
    threads: int = 1,
) -> TeacherFit:
    """Fit a teacher on all pixels of the reference slices.

    Args:
        images: (n, c, y, x) physical values, NaN where there is no data.
        spec: what the protocol asks for.
        spacing_mm: distance between pixels along (y, x).
        level: the subject's lesion level of uptake over its whole scan (`subject_level`); read from
            the reference slices where left out and a channel is PET.
        threads: worker threads; the result does not depend on them.

    Returns:
        The model and its rows for the `clusters` table (nodes, then classes).

    Raises:
        ShapeError: wrong shapes, no data, no contrast, unknown engine or feature, wrong classes.
    """
    if spec.engine not in ENGINES:
        raise ShapeError(f"unknown engine {spec.engine!r}; known: {', '.join(ENGINES)}")
    images = checked_images(images, spec.channels)
    reference = _prepare(images, spec, spacing_mm, level)
    kinds = tuple(channel_kind(spec.modality, name) for name in spec.channels)
    weights = _feature_weights(kinds, spec.features)
    samples = (reference.standardised * weights[:, None]).T
    codebook = ENGINES[spec.engine](
        samples, spec.grid, seed=spec.seed, epochs=spec.epochs, threads=threads
    )
    node = assign(samples, codebook, threads)
    parts = (reference.center, reference.scale)
    profile = profile_groups(reference.standardised, node, len(codebook.weights), *parts)
    view = NodeView(profile, kinds, spec.features, reference.windows, reference.level)
    named = name_nodes(view, spec.classes, spec.target)
    model = TeacherModel(
        codebook=codebook,
        modality=spec.modality,
        channels=spec.channels,
        windows=reference.windows,
        features=spec.features,
        center=reference.center,
        scale=reference.scale,
        feature_weights=weights,
        node_classes=named.node_classes,
        class_names=named.names,
        doubtful=named.doubtful,
        reasons=named.reasons,
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
        extra={} if reference.level is None else {"subject_level": reference.level},
    )
    group = named.node_classes[node].astype(np.int32)
    classes = profile_groups(reference.standardised, group, max(named.names) + 1, *parts)
    return TeacherFit(model, _node_rows(model, profile) + _class_rows(model, classes))


def _rows(
    model: TeacherModel, profile: NodeProfile, group: int, kind: str, name: str
) -> list[ClusterRow]:
    """Return one row per feature of a node or class; figures of an empty one are null."""
    pairs = [(c, f) for c in model.channels for f in model.features]
    empty = profile.share[group] == 0
    return [
        ClusterRow(
            kind=kind,
            node=group if kind == "node" else None,
            class_name=name,
            share_fraction=float(profile.share[group]),
            channel=channel,
            feature=feature,
            mean=None if empty else float(profile.mean[group, column]),
            std=None if empty else float(profile.std[group, column]),
        )
        for column, (channel, feature) in enumerate(pairs)
    ]


def _node_rows(model: TeacherModel, profile: NodeProfile) -> tuple[ClusterRow, ...]:
    rows: list[ClusterRow] = []
    for node, value in enumerate(model.node_classes):
        rows += _rows(model, profile, node, "node", model.class_names[int(value)])
    return tuple(rows)


def _class_rows(model: TeacherModel, profile: NodeProfile) -> tuple[ClusterRow, ...]:
    rows: list[ClusterRow] = []
    for value, name in sorted(model.class_names.items()):
        rows += _rows(model, profile, value, "class", name)
    return tuple(rows)
