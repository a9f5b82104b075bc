"""Follow the lesions of one subject: instances, one identity each over all sessions, what changed.

Objects that were called lesion (or the masks themselves, where a modality has no object step) are read brick by
brick: once to find what belongs together, once more to measure and to write `labels/lesions`. What stays in
memory is what is known of each lesion, never its voxels and never a volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from somray.config import LesionConfig
from somray.domain.geometry import Geometry
from somray.domain.palette import Rgba, lesion_rgba
from somray.domain.run import ScanPlace
from somray.domain.tables import EvolutionRow, LinkRow, values_for
from somray.domain.work import MIB, WORKER_BYTES, Needs, Result
from somray.io.ome.image import create_labels, finish_labels, read_meta
from somray.io.storage import Storage
from somray.kernels.evolution.follow import ChangeThresholds, follow
from somray.kernels.evolution.overlaps import PairCounts
from somray.kernels.evolution.surroundings import doubted
from somray.kernels.evolution.time_points import carry_over_time
from somray.kernels.lesions.thickness.meter import HELD_BYTES, MEASURE_BYTES
from somray.stages.evolution.burden import MeasuredSession, burden_rows
from somray.stages.evolution.instances import FollowedLabel, FoundLesions, find_instances
from somray.stages.evolution.lesion_labels import TimePoint, write_time_point
from somray.stages.evolution.lesion_map import LABEL, SessionScan
from somray.stages.evolution.surroundings import surroundings
from somray.stages.registration.rows import matrix_of

__all__ = ["EvolveItem", "EvolveSession", "expected_lesions", "needs", "run", "thresholds_of"]

BRICKS_HELD = 12  # blocks of a brick's size at a time
LESION_BYTES = 5_000  # of what is known of a lesion, its rows included
FEW_LESIONS = 20_000  # that any subject may have; of larger scans …
VOXELS_A_LESION = 4_000  # … one more for so many voxels: pores of 20 voxels across
MOST_COLORED = 1000  # lesions of a scan; pores beyond would make the group's metadata slow to read
FIXED_BYTES = 96 * MIB  # shells, pieces of lesions on their way to another session

# Where the configuration names none, in voxels and pixels of the subject's coarsest session.
MIN_VOXELS = 5  # of a lesion: less is noise of a pixel map
FLOOR_VOXELS = 20  # of a change
REACH_PIXELS = 5.0  # of a lesion's centroid between sessions


@dataclass(frozen=True)
class EvolveSession:
    """One session of the subject.

    Args:
        place: the scan.
        to_first: 16 numbers, row-major 4×4 LPS mm of this session to the first; None when refused.
        objects: per time index the numbers in `labels/objects` that were called lesion; None where lesions
            are what the method's mask draws.
    """

    place: ScanPlace
    to_first: tuple[float, ...] | None
    objects: tuple[tuple[int, ...], ...] | None = None


@dataclass(frozen=True)
class EvolveItem:
    """One subject of a protocol.

    Args:
        sessions: in time order.
        method: som or student, whose mask is followed.
        value: label value of the target in that method's label group.
        channel: index of the channel whose intensities are measured.
        config: thresholds.
        apart: whether every object is one lesion, however it touches others; else what is connected is one.
        settles: whether borders of the method's mask are settled where no objects are named.
        follows_missing: whether a session before the first one could not be used.
    """

    sessions: tuple[EvolveSession, ...]
    method: str
    value: int
    channel: int
    config: LesionConfig
    apart: bool = True
    settles: bool = False
    follows_missing: bool = False


def needs(brick_bytes: int, lesions: int, *, thickness: bool = False) -> Needs:
    """Declare what following takes: some bricks, what is known of each lesion, shells, and one lesion's balls."""
    held = BRICKS_HELD * brick_bytes + LESION_BYTES * lesions + FIXED_BYTES
    held += HELD_BYTES + MEASURE_BYTES if thickness else 0
    return Needs(cpus=1, memory_bytes=WORKER_BYTES + held)


def expected_lesions(item: EvolveItem, lesion_voxels: int) -> int:
    """Say how many lesions a subject may have, all sessions together, of which the voxels are known."""
    drawn = sum(len(numbers) for s in item.sessions for numbers in s.objects or ())
    return max(drawn, FEW_LESIONS + lesion_voxels // VOXELS_A_LESION)


def run(item: EvolveItem, shared: object = None) -> Result:
    """Find, identify, measure and write the lesions.

    Returns:
        Rows of `lesions`, `evolution`, `links`, `burden`, `porosity` and, for the method `lesions`, of `slices`.
    """
    storage = Storage.at(item.sessions[0].place.root)
    scans = [SessionScan(storage, s.place, read_meta(storage, s.place.name)) for s in item.sessions]
    for scan in scans:
        create_labels(storage, scan.place.name, LABEL, "int32")
    sessions = list(zip(scans, item.sessions, strict=True))
    found = [find_instances(scan, _drawn(item, session, 0), 0) for scan, session in sessions]
    transforms = [matrix_of(s.to_first) for s in item.sessions]
    thresholds = thresholds_of(item.config, [scan.meta.geometry for scan in scans])
    evolution = follow([one.lesions for one in found], transforms, thresholds)
    changes = doubted(evolution.changes, surroundings(evolution, scans))
    highest = max((i for ids in evolution.identities for i in ids.values()), default=0)
    measured: list[MeasuredSession] = []
    write = partial(write_time_point, channel=item.channel, thickness=item.config.local_thickness)
    for (scan, session), first, ids in zip(sessions, found, evolution.identities, strict=True):
        points = [write(first, identities=ids)]
        for t in range(1, scan.meta.shape[0]):
            later = find_instances(scan, _drawn(item, session, t), t)
            shared_voxels = _shared_with_first(later)
            known, highest = carry_over_time(
                shared_voxels, later.lesions, thresholds.min_volume_mm3, highest
            )
            points.append(write(later, identities=known))
        finish_labels(storage, scan.place.name, LABEL, {}, _colors(points))
        missing = item.follows_missing and not measured
        measured.append(MeasuredSession(scan, session.to_first is not None, points, missing))
    subject, points = item.sessions[0].place.subject, [p for one in measured for p in one.points]
    return Result(
        rows={
            "lesions": [row for point in points for row in point.rows],
            "slices": [row for point in points for row in point.slices],
            "porosity": [row for point in points for row in point.porosity],
            "evolution": [
                EvolutionRow(subject=subject, **values_for(EvolutionRow, c)) for c in changes
            ],
            "links": [LinkRow(subject=subject, **values_for(LinkRow, k)) for k in evolution.links],
            "burden": burden_rows(measured, item.channel, changes, item.config),
        }
    )


def _colors(points: Sequence[TimePoint]) -> dict[int, Rgba]:
    """Give a scan's lesions their colours for viewers, none where they are too many."""
    lesions = {row.lesion_id for point in points for row in point.rows}
    return {n: lesion_rgba(n) for n in lesions} if len(lesions) <= MOST_COLORED else {}


def thresholds_of(config: LesionConfig, grids: Sequence[Geometry]) -> ChangeThresholds:
    """Choose one set of thresholds for all sessions of a subject.

    What the configuration leaves out follows the coarsest session, so that a lesion of one size counts in
    all of them or in none.
    """
    voxel_mm3 = max(grid.voxel_mm3 for grid in grids)
    pixel_mm = max(grid.spacing_mm[2] for grid in grids)
    least, floor, reach = config.min_volume_mm3, config.change_floor_mm3, config.reach_mm
    return ChangeThresholds(
        change_fraction=config.change_fraction,
        change_floor_mm3=FLOOR_VOXELS * voxel_mm3 if floor is None else floor,
        reach_mm=REACH_PIXELS * pixel_mm if reach is None else reach,
        min_volume_mm3=MIN_VOXELS * voxel_mm3 if least is None else least,
    )


def _drawn(item: EvolveItem, session: EvolveSession, t: int) -> FollowedLabel:
    """Say what is followed of a session: objects that were called lesion, or a mask."""
    if session.objects is None:
        return FollowedLabel(item.method, (item.value,), apart=False, settles=item.settles)
    return FollowedLabel.of_objects(session.objects[t], apart=item.apart)


def _shared_with_first(later: FoundLesions) -> PairCounts:
    """Count in how many voxels instances of a later time point meet the lesions of t 0, which are written."""
    shared, scan = PairCounts(), later.voxels.scan
    for brick in later.voxels.bricks:
        first = scan.labels(LABEL, replace(brick, t=0))
        here = later.voxels.numbers(brick)
        both = (first > 0) & (here > 0)
        shared.add(here[both], first[both])
    return shared
