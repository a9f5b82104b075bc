"""Rows about lesions through time: measures, links, changes."""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from somray.domain.tables.columns import Column, Row, Session, Subject, TimeIndex

__all__ = ["EvolutionRow", "LesionRow", "LinkRow"]


@dataclass(frozen=True)
class LesionRow(Row):
    """One row per lesion, session and time index."""

    table: ClassVar[str] = "lesions"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "session", "t", "lesion_id")
    subject: Subject
    session: Session
    t: TimeIndex
    lesion_id: Annotated[int, Column("", "identity over all sessions of the subject, from 1")]
    volume_mm3: Annotated[float, Column("mm³", "volume")]
    centroid_z_mm: Annotated[float, Column("mm", "centroid, LPS z (superior)")]
    centroid_y_mm: Annotated[float, Column("mm", "centroid, LPS y (posterior)")]
    centroid_x_mm: Annotated[float, Column("mm", "centroid, LPS x (left)")]
    longest_axis_mm: Annotated[
        float, Column("mm", "largest distance between two of its voxel centres")
    ]
    mean_intensity: Annotated[
        float,
        Column("unit of the lesion channel", "mean value: PET for PETCT, else the first channel"),
    ]
    max_intensity: Annotated[
        float,
        Column("unit of the lesion channel", "maximum: PET for PETCT, else the first channel"),
    ]
    min_intensity: Annotated[
        float | None, Column("unit of the lesion channel", "minimum, of the same channel")
    ]
    std_intensity: Annotated[
        float | None, Column("unit of the lesion channel", "standard deviation over its voxels")
    ]
    suv_max: Annotated[
        float | None,
        Column("SUVbw", "max_intensity where the lesion channel is in SUVbw, else null"),
    ] = None
    suv_mean: Annotated[
        float | None,
        Column("SUVbw", "mean_intensity where the lesion channel is in SUVbw, else null"),
    ] = None
    suv_peak: Annotated[
        float | None,
        Column(
            "SUVbw",
            "highest mean over a sphere of 1 ml about one of its voxels, the whole sphere inside the "
            "image and with data; null where none fits or in another unit",
        ),
    ] = None
    tlg_ml: Annotated[
        float | None,
        Column(
            "SUVbw·ml",
            "total lesion glycolysis, mean_intensity × volume (volume_mm3 is the MTV); in the PET's own unit × ml "
            "where its file says none; null in another unit and without PET",
        ),
    ] = None
    axial_axis_mm: Annotated[
        float | None,
        Column(
            "mm",
            "largest distance between two of its voxel centres in one slice (RECIST): as acquired where slices are "
            "thick, else axial, in whatever order of axes the scan is stored",
        ),
    ] = None
    axial_perpendicular_mm: Annotated[
        float | None,
        Column("mm", "longest chord at right angles to it, of its convex hull in that slice"),
    ] = None
    surface_mm2: Annotated[
        float | None, Column("mm²", "surface, from voxel faces along the mask's smoothed normals")
    ] = None
    sphericity: Annotated[
        float | None, Column("1", "(36πV²)^⅓ / surface, 1 for a ball; coarse for few voxels")
    ] = None
    nearest_mm: Annotated[
        float | None,
        Column(
            "mm",
            "least distance between its voxel centres and those of another lesion of the session; null "
            "for a lone one",
        ),
    ] = None
    ct_mean_hu: Annotated[
        float | None, Column("HU", "mean of the first channel in HU; null without one")
    ] = None
    ct_std_hu: Annotated[
        float | None, Column("HU", "standard deviation of the same; null without one")
    ] = None
    equivalent_diameter_mm: Annotated[
        float | None, Column("mm", "diameter of a ball of its volume, (6V/π)^⅓")
    ] = None
    ellipsoid_major_mm: Annotated[
        float | None,
        Column(
            "mm",
            "longest axis, from tip to tip, of the solid ellipsoid with its second moments, its voxels being "
            "solid too; so one voxel has axes, and they may pass longest_axis_mm",
        ),
    ] = None
    ellipsoid_middle_mm: Annotated[
        float | None, Column("mm", "the same ellipsoid's middle axis")
    ] = None
    ellipsoid_minor_mm: Annotated[
        float | None, Column("mm", "the same ellipsoid's shortest axis")
    ] = None
    elongation: Annotated[
        float | None, Column("1", "ellipsoid_major_mm / ellipsoid_middle_mm, from 1 (as ITK's)")
    ] = None
    flatness: Annotated[
        float | None, Column("1", "ellipsoid_middle_mm / ellipsoid_minor_mm, from 1 (as ITK's)")
    ] = None
    orientation_x: Annotated[
        float | None,
        Column(
            "1",
            "unit vector of the ellipsoid's longest axis, LPS x; null where elongation is below 1.1, "
            "since the direction is chance then",
        ),
    ] = None
    orientation_y: Annotated[float | None, Column("1", "the same vector, LPS y")] = None
    orientation_z: Annotated[
        float | None,
        Column("1", "the same vector, LPS z, 0 or more: of both directions the one that looks up"),
    ] = None
    polar_angle_deg: Annotated[
        float | None, Column("°", "angle between that axis and LPS z, 0 to 90; null likewise")
    ] = None
    touches_border: Annotated[
        bool | None,
        Column(
            "",
            "whether it lies against a face of the volume, so that part of it may be missing; faces "
            "across an axis of one voxel do not count",
        ),
    ] = None
    mean_thickness_mm: Annotated[
        float | None,
        Column(
            "mm",
            "local thickness, mean over its voxels: the diameter of the largest ball inside it that contains the "
            "voxel (Hildebrand and Rüegsegger 1997; from voxel centres, so odd thicknesses read a voxel too much); "
            "null unless lesions.local_thickness is on, and of boxes above 2²² voxels",
        ),
    ] = None
    max_thickness_mm: Annotated[
        float | None, Column("mm", "the largest such ball's diameter; null likewise")
    ] = None


@dataclass(frozen=True)
class EvolutionRow(Row):
    """One row per lesion and pair of consecutive sessions."""

    table: ClassVar[str] = "evolution"
    sort_by: ClassVar[tuple[str, ...]] = ("subject", "from_session", "to_session", "lesion_id")
    subject: Subject
    lesion_id: Annotated[int, Column("", "identity over all sessions of the subject")]
    from_session: Annotated[str, Column("", "earlier session")]
    to_session: Annotated[str, Column("", "later session")]
    change: Annotated[
        str | None,
        Column(
            "",
            "new, resolved, enlarging, shrinking, stable, merged or split; null where that cannot be "
            "known, see doubt",
        ),
    ]
    volume_from_mm3: Annotated[float | None, Column("mm³", "volume before; null when new")]
    volume_to_mm3: Annotated[
        float | None, Column("mm³", "volume after; null when resolved or absorbed")
    ]
    volume_change_fraction: Annotated[float | None, Column("1", "(after − before) / before")]
    displacement_mm: Annotated[
        float | None, Column("mm", "movement of the centroid after registration")
    ]
    linked_ids: Annotated[list[int], Column("", "other lesions of a merge or split")]
    registered: Annotated[
        bool, Column("", "whether the two sessions were registered; false: compare with care")
    ]
    doubt: Annotated[
        str | None,
        Column(
            "",
            "not_registered (the pair was refused), not_covered (the other scan does not show the "
            "place) or misaligned (its surroundings do not match); null where none",
        ),
    ]
    surround_ncc: Annotated[
        float | None,
        Column("1", "correlation of both sessions around the lesion, itself left out"),
    ]


@dataclass(frozen=True)
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
    from_session: Annotated[str, Column("", "earlier session")]
    to_session: Annotated[str, Column("", "later session")]
    from_id: Annotated[int, Column("", "lesion in the earlier session")]
    to_id: Annotated[int, Column("", "lesion in the later session")]
    by: Annotated[str, Column("", "overlap or distance")]
    shared_mm3: Annotated[float, Column("mm³", "volume they share after registration")]
    shared_fraction: Annotated[float, Column("1", "of the smaller of the two")]
    distance_mm: Annotated[float, Column("mm", "between their centroids after registration")]
    carried: Annotated[bool, Column("", "whether the identity passed along this link")]
