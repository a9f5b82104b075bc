"""`somray phantom`: a synthetic cohort as real input files, with its truth beside it.

OUT/cohort.yaml            configuration (written last); its output is OUT/run
OUT/scans.csv              the manifest
OUT/scans/                 DICOM series or NIfTI files
OUT/truth/sub-S_ses-T.nii.gz   lesion mask (1) on the first channel's grid; `truth` of scans.csv
OUT/truth/identities/sub-S_ses-T.nii.gz   the same voxels, numbered by lesion identity
OUT/truth/lesions.csv      every lesion of every session: identity, volume, centroid
OUT/truth/events.csv       what truly changed between consecutive sessions
OUT/truth/physiology/sub-S_ses-T.nii.gz   which structure each voxel belongs to (body, head)
OUT/truth/physiology/names.json           number to structure
OUT/truth/movement.json    true 4×4 LPS mm, first session to each session
OUT/truth/phantom.json     the arguments it was made with
"""

import functools
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from somray.errors import ConfigError
from somray.phantom import DEFAULT_SHAPES, REGIONS, PhantomSession, check_request
from somray.phantom.files.dicom import SeriesName, write_series
from somray.phantom.files.truth import lesion_rows, write_json, write_nifti, write_rows
from somray.phantom.subject import draw_subject

__all__ = ["FORMATS", "write_phantom"]

FORMATS = ("dicom", "nifti")
OWN_NAMES = {"cohort.yaml", "scans.csv", "scans", "truth", "run"}
DAYS_BETWEEN = 90
STORED = {"CT": np.int16, "PET": np.float32, "XCT": np.uint16, "MR": np.uint16}
NOT_DICOM = {
    "xct": "xct cannot be written as DICOM, which has no micro-CT; use format nifti",
    "mr": "mr is not written as DICOM; use format nifti",
}
SCAN_COLUMNS = ("subject", "session", "protocol", "path", "channel", "days", "truth")
LESION_COLUMNS = (
    "subject", "session", "lesion_id", "voxels", "volume_mm3", "centroid_z_mm", "centroid_y_mm",
    "centroid_x_mm", "first_z", "last_z",
)  # fmt: skip
NOTE_COLUMNS = ("region", "kind")
"""Added to the lesions' table outside the trunk."""
EVENT_COLUMNS = (
    "subject", "lesion_id", "from_session", "to_session", "change", "volume_from_mm3",
    "volume_to_mm3", "linked_ids",
)  # fmt: skip

Rows = list[dict[str, object]]


@dataclass(frozen=True)
class _Request:
    """The arguments; two cohorts with equal ones are equal files."""

    subjects: int
    sessions: int
    shape: tuple[int, int, int]
    modality: str
    format: str
    seed: int
    region: str

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels, the first one carrying the truth."""
        return REGIONS[self.region][self.modality]


def write_phantom(
    out: Path, subjects: int = 3, sessions: int = 3, shape: tuple[int, int, int] | None = None,
    modality: str | None = None, format: str | None = None, seed: int = 0,  # noqa: A002
    region: str = "trunk",
) -> Path:  # fmt: skip
    """Write a synthetic cohort.

    Args:
        out: folder, new or empty; one that holds the same cohort already is written again.
        subjects: how many, from 1.
        sessions: time points of each, from 1.
        shape: voxels of the first channel, z, y, x, at least 8, 32, 32; the region's own if left out.
        modality: ct, petct or xct of a trunk, petct or pet of a body, mr of a head; the first of them
            if left out.
        format: dicom (neither xct nor mr; elsewhere the default) or nifti.
        seed: of the whole cohort.
        region: trunk, body (vertex to thigh) or head.

    Returns:
        The path of cohort.yaml.

    Raises:
        ConfigError: an argument is wrong, or the folder holds something else.
    """
    out = Path(out)
    modality = modality or next(iter(REGIONS.get(region, {"": ()})))
    format = format or ("nifti" if modality in NOT_DICOM else "dicom")  # noqa: A001 - the option's name
    shape = shape or DEFAULT_SHAPES.get(region, (0, 0, 0))
    request = _Request(subjects, sessions, tuple(shape), modality, format, seed, region)  # type: ignore[arg-type]
    _check(request)
    _claim(out, request)
    scans: Rows = []
    lesions: Rows = []
    events: Rows = []
    movement: dict[str, object] = {}
    for number in range(subjects):
        subject = f"s{number + 1:02d}"
        moves: dict[str, object] = {}
        drawn = draw_subject(modality, request.shape, sessions, (seed, number), region=region)
        for session in drawn:
            moves[f"t{session.index}"] = session.movement.tolist()
            scans += _write_scan(out, request, subject, session)
            lesions += _lesion_rows(request, subject, session)
            events += _event_rows(subject, session)
            del session  # before the next one is drawn
        movement[subject] = moves
    columns = LESION_COLUMNS if region == "trunk" else LESION_COLUMNS + NOTE_COLUMNS
    write_rows(out / "truth/lesions.csv", columns, lesions)
    write_rows(out / "truth/events.csv", EVENT_COLUMNS, events)
    meaning = "4x4, LPS mm, takes a point of the anatomy in t0 to where it is in the session"
    write_json(out / "truth/movement.json", {"meaning": meaning, "subjects": movement})
    write_rows(out / "scans.csv", SCAN_COLUMNS, scans)
    return _write_cohort(out, request)


def _check(request: _Request) -> None:
    """Refuse wrong arguments before anything is written."""
    check_request(request.modality, request.shape, request.sessions, request.region)
    if request.subjects < 1:
        raise ConfigError(f"subjects must be at least 1, got {request.subjects}")
    if request.seed < 0 or request.seed >= 2**32:
        raise ConfigError(f"seed must lie in 0 … 2³² − 1, got {request.seed}")
    if request.format not in FORMATS:
        raise ConfigError(f"format must be one of {', '.join(FORMATS)}, got {request.format!r}")
    if request.modality in NOT_DICOM and request.format == "dicom":
        raise ConfigError(NOT_DICOM[request.modality])


def _claim(out: Path, request: _Request) -> None:
    """Take a new or empty folder, or one that holds (part of) the same cohort."""
    mark = out / "truth/phantom.json"
    wanted = json.loads(json.dumps(asdict(request)))
    if request.region == "trunk":
        del wanted["region"]  # as it was written before there were others
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; give a folder to write to")
    present = {p.name for p in out.iterdir()} if out.exists() else set()
    if present:
        try:
            is_same = json.loads(mark.read_text(encoding="utf-8")) == wanted
        except (OSError, ValueError):
            is_same = False
        other = ", ".join(sorted(present - OWN_NAMES)[:3])
        if other or not is_same:
            what = f"holds {other}" if other else "holds another cohort"
            raise ConfigError(f"{out}: {what}; give a new or empty folder")
    try:
        write_json(mark, wanted)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror or error}") from None


def _write_scan(out: Path, request: _Request, subject: str, session: PhantomSession) -> Rows:
    """Write every channel and the mask of one session; return its rows of the manifest."""
    time = f"t{session.index}"
    channels = request.channels
    truth = f"truth/sub-{subject}_ses-{time}.nii.gz"
    grid = session.geometries[channels[0]]
    write_nifti(out / truth, session.lesions, grid, lambda plane: (plane > 0).astype(np.uint16))
    identities = out / f"truth/identities/sub-{subject}_ses-{time}.nii.gz"
    write_nifti(identities, session.lesions, grid, lambda plane: plane.astype(np.uint16))
    if session.physiology is not None:
        folder = out / "truth/physiology"
        write_nifti(folder / f"sub-{subject}_ses-{time}.nii.gz", session.physiology, grid)
        write_json(folder / "names.json", {str(n): name for n, name in session.names.items()})
    rows: Rows = []
    for channel in channels:
        image, geometry = session.images[channel], session.geometries[channel]
        path = f"scans/{subject}_{time}_{channel}"
        if request.format == "dicom":
            write_series(
                out / path, image, geometry, SeriesName(request.seed, subject, time, channel)
            )
        else:
            path += ".nii.gz"
            write_nifti(out / path, image, geometry, functools.partial(_stored, STORED[channel]))
        rows.append({
            "subject": subject, "session": time, "protocol": _protocol(request), "path": path,
            "channel": channel, "days": session.index * DAYS_BETWEEN,
            "truth": truth if channel == channels[0] else None,
        })  # fmt: skip
    return rows


def _stored(kind: type, plane: NDArray[np.float32]) -> NDArray[Any]:  # Any: any number type
    """Turn a slice into what files hold."""
    return plane if kind is np.float32 else np.round(plane).astype(kind)


def _lesion_rows(request: _Request, subject: str, session: PhantomSession) -> Rows:
    """Measure the lesions of one session; outside the trunk with where and what they are."""
    place = {"subject": subject, "session": f"t{session.index}"}
    rows: Rows = []
    for row in lesion_rows(session.lesions, session.geometries[request.channels[0]]):
        note = session.notes.get(int(str(row["lesion_id"])), ())
        rows.append({**place, **row, **dict(zip(NOTE_COLUMNS, note, strict=False))})
    return rows


def _event_rows(subject: str, session: PhantomSession) -> Rows:
    return [
        {
            "subject": subject, "lesion_id": e.lesion_id, "from_session": f"t{e.from_session}",
            "to_session": f"t{e.to_session}", "change": e.change,
            "volume_from_mm3": _rounded(e.volume_from_mm3),
            "volume_to_mm3": _rounded(e.volume_to_mm3),
            "linked_ids": " ".join(map(str, e.linked_ids)),
        }
        for e in session.events
    ]  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 9)


def _protocol(request: _Request) -> str:
    return f"phantom-{request.modality}" + (
        f"-{request.region}" if request.region != "trunk" else ""
    )


def _write_cohort(out: Path, request: _Request) -> Path:
    """Write the configuration, last: where it stands, the cohort is whole."""
    modality = request.modality.upper()
    protocol: dict[str, object] = {
        "modality": modality,
        "channels": list(request.channels),
    }
    if modality == "XCT":
        # Lesions of a specimen measure thousandths of a mm³: the default floor of 30 would hide all.
        protocol["lesions"] = {"change_floor_mm3": 0.0}
    cohort = {
        "scans": "scans.csv", "output": "run", "seed": request.seed,
        "protocols": {_protocol(request): protocol},
    }  # fmt: skip
    path = out / "cohort.yaml"
    text = yaml.safe_dump(cohort, sort_keys=False)
    path.write_text("# A synthetic cohort: nobody was scanned.\n" + text, encoding="utf-8")
    return path
