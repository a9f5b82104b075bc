"""Rows about lesions through time: measures, links, changes."""

from typing import ClassVar

from somray.domain.tables.columns import Row, Session, Subject, TimeIndex, column, row

__all__ = ["EvolutionRow", "LesionRow", "LinkRow"]


@row
class LesionRow(Row):
    """One row per lesion, session and time index."""

    table: ClassVar[str] = "lesions"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "lesion_id")
    subject: Subject
    session: Session
    t: TimeIndex
    lesion_id: int = column("", "identity over all sessions of the subject, from 1")
    volume_mm3: float = column("mm³", "volume")
    centroid_z_mm: float = column("mm", "centroid, LPS z (superior)")
    centroid_y_mm: float = column("mm", "centroid, LPS y (posterior)")
    centroid_x_mm: float = column("mm", "centroid, LPS x (left)")
    longest_axis_mm: float = column("mm", "largest distance between two of its voxel centres")
    mean_intensity: float = column(
        "unit of the lesion channel", "mean value: PET for PETCT, else the first channel"
    )
    max_intensity: float = column(
        "unit of the lesion channel", "maximum: PET for PETCT, else the first channel"
    )
    min_intensity: float | None = column(
        "unit of the lesion channel", "minimum, of the same channel"
    )
    std_intensity: float | None = column(
        "unit of the lesion channel", "standard deviation over its voxels"
    )
    suv_max: float | None = column(
        "SUVbw", "max_intensity where the lesion channel is in SUVbw, else null", default=None
    )
    suv_mean: float | None = column(
        "SUVbw", "mean_intensity where the lesion channel is in SUVbw, else null", default=None
    )
    suv_peak: float | None = column(
        "SUVbw",
        "highest mean over a sphere of 1 ml about one of its voxels, the whole sphere inside the "
        "image and with data; null where none fits or in another unit",
        default=None,
    )
    tlg_ml: float | None = column(
        "SUVbw·ml",
        "total lesion glycolysis, mean_intensity × volume (volume_mm3 is the MTV); in the PET's own unit × ml "
        "where its file says none; null in another unit and without PET",
        default=None,
    )
    axial_axis_mm: float | None = column(
        "mm",
        "largest distance between two of its voxel centres in one slice (RECIST): as acquired where slices are "
        "thick, else axial, in whatever order of axes the scan is stored",
        default=None,
    )
    axial_perpendicular_mm: float | None = column(
        "mm", "longest chord at right angles to it, of its convex hull in that slice", default=None
    )
    surface_mm2: float | None = column(
        "mm²", "surface, from voxel faces along the mask's smoothed normals", default=None
    )
    sphericity: float | None = column(
        "1", "(36πV²)^⅓ / surface, 1 for a ball; coarse for few voxels", default=None
    )
    nearest_mm: float | None = column(
        "mm",
        "least distance between its voxel centres and those of another lesion of the session; null "
        "for a lone one",
        default=None,
    )
    ct_mean_hu: float | None = column(
        "HU", "mean of the first channel in HU; null without one", default=None
    )
    ct_std_hu: float | None = column(
        "HU", "standard deviation of the same; null without one", default=None
    )
    equivalent_diameter_mm: float | None = column(
        "mm", "diameter of a ball of its volume, (6V/π)^⅓", default=None
    )
    ellipsoid_major_mm: float | None = column(
        "mm",
        "longest axis, from tip to tip, of the solid ellipsoid with its second moments, its voxels being "
        "solid too; so one voxel has axes, and they may pass longest_axis_mm",
        default=None,
    )
    ellipsoid_middle_mm: float | None = column(
        "mm", "the same ellipsoid's middle axis", default=None
    )
    ellipsoid_minor_mm: float | None = column(
        "mm", "the same ellipsoid's shortest axis", default=None
    )
    elongation: float | None = column(
        "1", "ellipsoid_major_mm / ellipsoid_middle_mm, from 1 (as ITK's)", default=None
    )
    flatness: float | None = column(
        "1", "ellipsoid_middle_mm / ellipsoid_minor_mm, from 1 (as ITK's)", default=None
    )
    orientation_x: float | None = column(
        "1",
        "unit vector of the ellipsoid's longest axis, LPS x; null where elongation is below 1.1, "
        "since the direction is chance then",
        default=None,
    )
    orientation_y: float | None = column("1", "the same vector, LPS y", default=None)
    orientation_z: float | None = column(
        "1",
        "the same vector, LPS z, 0 or more: of both directions the one that looks up",
        default=None,
    )
    polar_angle_deg: float | None = column(
        "°", "angle between that axis and LPS z, 0 to 90; null likewise", default=None
    )
    touches_border: bool | None = column(
        "",
        "whether it lies against a face of the volume, so that part of it may be missing; faces "
        "across an axis of one voxel do not count",
        default=None,
    )
    mean_thickness_mm: float | None = column(
        "mm",
        "local thickness, mean over its voxels: the diameter of the largest ball inside it that contains the "
        "voxel (Hildebrand and Rüegsegger 1997; from voxel centres, so odd thicknesses read a voxel too much); "
        "null unless lesions.local_thickness is on, and of boxes above 2²² voxels",
        default=None,
    )
    max_thickness_mm: float | None = column(
        "mm", "the largest such ball's diameter; null likewise", default=None
    )


@row
class EvolutionRow(Row):
    """One row per lesion and pair of consecutive sessions."""

    table: ClassVar[str] = "evolution"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "from_session", "to_session", "lesion_id")
    subject: Subject
    lesion_id: int = column("", "identity over all sessions of the subject")
    from_session: str = column("", "earlier session")
    to_session: str = column("", "later session")
    change: str | None = column(
        "",
        "new, resolved, enlarging, shrinking, stable, merged or split; null where that cannot be "
        "known, see doubt",
    )
    volume_from_mm3: float | None = column("mm³", "volume before; null when new")
    volume_to_mm3: float | None = column("mm³", "volume after; null when resolved or absorbed")
    volume_change_fraction: float | None = column("1", "(after − before) / before")
    displacement_mm: float | None = column("mm", "movement of the centroid after registration")
    linked_ids: list[int] = column("", "other lesions of a merge or split")
    registered: bool = column(
        "", "whether the two sessions were registered; false: compare with care"
    )
    doubt: str | None = column(
        "",
        "not_registered (the pair was refused), not_covered (the other scan does not show the "
        "place) or misaligned (its surroundings do not match); null where none",
    )
    surround_ncc: float | None = column(
        "1", "correlation of both sessions around the lesion, itself left out"
    )


@row
class LinkRow(Row):
    """One row per link between lesions of two sessions: the match graph, kept."""

    table: ClassVar[str] = "links"
    sort_by: ClassVar[tuple[str, ...]] = (
        "subject",
        "from_session",
        "to_session",
        "from_id",
        "to_id",
    )
    subject: Subject
    from_session: str = column("", "earlier session")
    to_session: str = column("", "later session")
    from_id: int = column("", "lesion in the earlier session")
    to_id: int = column("", "lesion in the later session")
    by: str = column("", "overlap or distance")
    shared_mm3: float = column("mm³", "volume they share after registration")
    shared_fraction: float = column("1", "of the smaller of the two")
    distance_mm: float = column("mm", "between their centroids after registration")
    carried: bool = column("", "whether the identity passed along this link")
