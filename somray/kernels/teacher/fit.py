"""The teacher: fitted on a reference slice, applied to any other slice of its protocol.

Features of every channel are standardised on the reference and weighted, a SOM is fitted to all of its
pixels, nodes get classes by a rule. Applying computes the same features elsewhere, finds the nearest
node and takes its class: the direct transfer of the seed. Slices are worked on one by one, so memory is
that of one slice's features, and a slice's labels do not depend on which others come with it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from somray.domain.channel import channels_of, kinds_of
from somray.domain.tables import ClusterRow
from somray.domain.teacher import Codebook, TeacherModel
from somray.errors import ShapeError
from somray.kernels.classes.border import part_at_border
from somray.kernels.classes.names import name_nodes, rule_of
from somray.kernels.classes.rule import NodeView
from somray.kernels.classes.told import told_of
from somray.kernels.features.uptake_level import has_level, subject_histogram, subject_level
from somray.kernels.features.view import FeatureView, ScanSlices, calmed, carried_view, gather
from somray.kernels.features.windows import auto_window, uptake_window
from somray.kernels.noise.denoise import DENOISE, reference_noise
from somray.kernels.som.fit import Training, codebook_of, fit_passes
from somray.kernels.som.lattice import Lattice
from somray.kernels.som.placement import arranged
from somray.kernels.teacher.apply import TeacherLabels, apply_teacher, checked_images
from somray.kernels.teacher.reference import ArrayReference, Description, FitReference, Standard
from somray.kernels.teacher.rows import cluster_rows
from somray.kernels.teacher.signature import spread_facts
from somray.kernels.teacher.spec import ENGINES, TeacherSpec
from somray.kernels.teacher.warm_start import carry_classes
from somray.kernels.teacher.weights import feature_weights

__all__ = [
    "TeacherFit",
    "TeacherLabels",
    "TeacherSpec",
    "apply_teacher",
    "choose_view",
    "fit_reference",
    "fit_teacher",
]

TRAINING = Training(final_radius=0.15, rare=True)
"""A lesion may be a hundredth of a slice: it must get a node, and keep it from its neighbours' pull."""


@dataclass(frozen=True, eq=False)
class TeacherFit:
    """A fitted teacher with the rows of the `clusters` table."""

    model: TeacherModel
    cluster_rows: tuple[ClusterRow, ...]


def choose_view(
    images: NDArray[np.float32],
    spec: TeacherSpec,
    spacing_mm: tuple[float, float],
    level: float | None = None,
) -> FeatureView:
    """Decide how the protocol looks at pixels: its windows, PET's level, and how noisy the reference is.

    Args:
        images: (n, c, y, x) reference slices that windows left open are chosen from.
        spec: what the protocol asks for.
        spacing_mm: (y, x) of the reference.
        level: the reference subject's level of uptake; read from the slices where left out.

    Raises:
        ShapeError: no pixel has data, or all of them are alike in every channel.
    """
    valid = np.asarray(np.isfinite(images).all(axis=1))
    if not valid.any():
        raise ShapeError("the reference holds no pixel with data in every channel")
    if all(float(np.ptp(images[:, c][valid])) == 0.0 for c in range(images.shape[1])):
        raise ShapeError(
            "the reference is constant: there is nothing to tell apart; choose another"
        )
    channels = channels_of(spec.modality, spec.channels)
    if level is None and has_level(channels):
        counts = subject_histogram(images, channels)
        level = subject_level(counts, spec.modality)
    windows = _windows(images, spec, level)
    return FeatureView(
        modality=spec.modality,
        channels=spec.channels,
        windows=windows,
        features=spec.features,
        spacing_mm=(float(spacing_mm[0]), float(spacing_mm[1])),
        level=level,
        dimensions=spec.dimensions,
        denoise=spec.denoise,
        noise=reference_noise(images, windows, kinds_of(channels)),
    )


def _windows(
    images: NDArray[np.float32], spec: TeacherSpec, level: float | None
) -> tuple[tuple[float, float], ...]:
    """Return each channel's window: as given, by the level of uptake, or from the values."""
    given = spec.windows or (None,) * len(spec.channels)
    if len(given) != len(spec.channels):
        raise ShapeError(f"{len(given)} windows for {len(spec.channels)} channels")
    chosen = []
    channels = channels_of(spec.modality, spec.channels)
    for index, (channel, window) in enumerate(zip(channels, given, strict=True)):
        if window is not None:
            chosen.append((float(window[0]), float(window[1])))
        elif level is not None and channel.is_uptake:
            chosen.append(uptake_window(level, spec.modality))
        else:
            chosen.append(auto_window(images[:, index], spec.modality, channel))
    return tuple(chosen)


def fit_teacher(
    images: NDArray[np.float32],
    spec: TeacherSpec,
    spacing_mm: tuple[float, ...],
    level: float | None = None,
    threads: int = 1,
    previous: TeacherModel | None = None,
) -> TeacherFit:
    """Fit a teacher on all pixels of the reference slices.

    Args:
        images: (n, c, y, x) physical values, NaN where there is no data.
        spec: what the protocol asks for.
        spacing_mm: distance between pixels along (y, x); for three dimensions (z, y, x), the slices
            then being consecutive.
        level: the subject's lesion level of uptake over its whole scan (`subject_level`); read from
            the reference slices where left out and a channel is PET.
        threads: worker threads; the result does not depend on them.
        previous: a teacher that is carried over, see `fit_reference`.

    Returns:
        The model and its rows for the `clusters` table (nodes, then classes).

    Raises:
        ShapeError: wrong shapes, no data, no contrast, unknown engine or feature, wrong classes.
    """
    images = checked_images(images, spec.channels)
    view = choose_view(images, spec, (spacing_mm[-2], spacing_mm[-1]), level)
    if previous is not None:
        level, view = view.level, carried_view(previous, view, refit=spec.refit)
    slices = calmed(view.fitting, ScanSlices.of(images, spacing_mm, level))
    seen = gather(view.fitting, slices), threads, told_of(view.fitting, slices)
    reference = ArrayReference(*seen)
    return fit_reference(reference, view, spec, previous)


def fit_reference(
    reference: FitReference,
    view: FeatureView,
    spec: TeacherSpec,
    previous: TeacherModel | None = None,
) -> TeacherFit:
    """Fit a teacher on a reference, in memory or spread over a cohort.

    Args:
        reference: the pixels, seen through `view`.
        view: windows, features and scale; that of `previous` where one is given.
        spec: what the protocol asks for.
        previous: a teacher that is carried over: its standardisation always; its nodes and classes as
            they are, or with `spec.refit` nodes fitted anew from where they were, each with the class
            of the old node that is nearest to it.

    Raises:
        ShapeError: unknown engine, channels or features that differ from `previous`'s, wrong classes.
    """
    if spec.denoise not in DENOISE:
        raise ShapeError(f"unknown denoise {spec.denoise!r}; known: {', '.join(DENOISE)}")
    if spec.engine not in ENGINES:
        raise ShapeError(f"unknown engine {spec.engine!r}; known: {', '.join(ENGINES)}")
    if previous is None:
        width = len(view.kinds) * len(spec.features)
        plain = Standard.of(reference.moments(), np.ones(width, np.float32))
        known = (view.kinds, spec.features, view.windows, view.level)
        standard = replace(plain, weights=feature_weights(*known, plain.scale, view.spacing_mm))
    else:
        _check_carried(previous, spec)
        standard = Standard(previous.center, previous.scale, previous.feature_weights)
    codebook = _codebook(reference, standard, spec, previous)
    seen, nodes = _looked_at(reference, standard, codebook, view)
    if previous is None:
        codebook, is_parted = _parted(reference, standard, codebook, nodes)
        if is_parted:
            seen, nodes = _looked_at(reference, standard, codebook, view)
    carried = None if previous is None else carry_classes(previous, codebook)
    named = name_nodes(nodes, spec.classes, spec.target, carried)
    model = TeacherModel(
        codebook=codebook,
        modality=spec.modality,
        channels=spec.channels,
        windows=view.windows,
        features=spec.features,
        center=standard.center,
        scale=standard.scale,
        feature_weights=standard.weights,
        node_classes=named.node_classes,
        class_names=named.names,
        doubtful=named.doubtful,
        reasons=named.reasons,
        spacing_mm=view.spacing_mm,
        extra=_level(view) | _spread(seen, spec, previous) | named.facts,
        smoothing_mm=spec.vote_mm,
        dimensions=view.dimensions,
        denoise=view.denoise,
        noise=view.noise,
    )
    return TeacherFit(model, cluster_rows(model, seen.groups, seen.told))


def _looked_at(
    reference: FitReference, standard: Standard, codebook: Codebook, view: FeatureView
) -> tuple[Description, NodeView]:
    """Describe the nodes by the reference's pixels, as the naming rules look at them."""
    seen = reference.describe(standard, codebook.weights)
    profile = seen.groups.profile(standard.center, standard.scale)
    return seen, NodeView(profile, view.kinds, view.features, view.windows, view.level)


def _parted(
    reference: FitReference, standard: Standard, codebook: Codebook, nodes: NodeView
) -> tuple[Codebook, bool]:
    """Part the nodes that lie on both sides of the lesion's border; tell whether any did."""
    found = rule_of(nodes)
    if found.border is None:
        return codebook, False
    weights = part_at_border(
        nodes, found.border, found.node_classes, codebook.weights, standard.weights
    )
    if weights is None:
        return codebook, False
    lattice = Lattice(codebook.grid, codebook.topology, codebook.wraps)
    errors = reference.passes(standard).errors(weights, lattice)
    weights, errors = arranged(weights, errors, lattice)
    return codebook_of(weights, lattice, errors, codebook.epochs_run), True


def _level(view: FeatureView) -> dict[str, float]:
    """Remember the lesion level of uptake that the windows belong to."""
    return {} if view.level is None else {"subject_level": view.level}


def _spread(
    seen: Description, spec: TeacherSpec, previous: TeacherModel | None
) -> dict[str, float]:
    """Remember how far the pixels lie that the nodes were fitted to: the earlier ones if carried over."""
    if previous is None or spec.refit:
        return spread_facts(seen.distances)
    return {name: previous.extra[name] for name in spread_facts(seen.distances)}


def _check_carried(previous: TeacherModel, spec: TeacherSpec) -> None:
    """Refuse a previous teacher that sees other things."""
    for what, old, new in (
        ("modality", previous.modality, spec.modality),
        ("channels", previous.channels, spec.channels),
        ("features", previous.features, spec.features),
    ):
        if old != new:
            raise ShapeError(f"the previous teacher has {what} {old}, this protocol {new}")


def _codebook(
    reference: FitReference, standard: Standard, spec: TeacherSpec, previous: TeacherModel | None
) -> Codebook:
    """Fit the map, or carry it over and measure it on this reference."""
    if previous is not None and not spec.refit:
        book = previous.codebook
        lattice = Lattice(book.grid, book.topology, book.wraps)
        errors = reference.passes(standard).errors(book.weights, lattice)
        return codebook_of(book.weights, lattice, errors, book.epochs_run)
    if spec.engine != "somray":
        return _in_memory(reference, standard, spec)
    grid, training = spec.grid, _training(spec)
    if previous is not None:
        book = previous.codebook
        grid = book.grid
        training = replace(training, start=book, topology=book.topology, wraps=book.wraps)
    return fit_passes(reference.passes(standard), grid, spec.seed, spec.epochs, training)


def _training(spec: TeacherSpec) -> Training:
    return replace(TRAINING, topology=spec.topology, wraps=spec.torus)


def _in_memory(reference: FitReference, standard: Standard, spec: TeacherSpec) -> Codebook:
    """Fit by minisom or torch."""
    if not isinstance(reference, ArrayReference):
        raise ShapeError(f"engine {spec.engine} fits slices in memory only")
    samples = reference.samples(standard)
    if spec.engine == "minisom":
        from somray.kernels.som.minisom_engine import fit_minisom  # minisom: only where it is used

        return fit_minisom(samples, spec.grid, spec.seed, spec.epochs)
    import torch  # only where it is used

    from somray.kernels.som.torch_passes import fit_torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return fit_torch(samples, spec.grid, spec.seed, spec.epochs, _training(spec), device)
