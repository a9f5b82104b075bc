"""What a plan makes up of units that only a run can do: enough that every further unit is asked for."""

from collections.abc import Callable, Mapping

import numpy as np

from somray.config import ProtocolConfig
from somray.domain.geometry import Geometry
from somray.domain.teacher import CLASSES, Codebook, TeacherModel
from somray.domain.work import Result, StageFunction, Unit, digest_of
from somray.errors import DataError
from somray.io.masks.dicom_objects import mask_object
from somray.io.masks.opening import open_mask
from somray.io.masks.rtstruct import check_frame
from somray.io.readers import open_source
from somray.io.storage import is_url
from somray.stages import ingest, object_calls, objects, truth
from somray.stages.pretrain import codebooks, shards
from somray.stages.pretrain import fit as pretrain
from somray.stages.segment.scales import run_scales
from somray.stages.segment.som import run_som
from somray.stages.segment.student import run_student
from somray.stages.student import fit as student
from somray.stages.teacher import fit as teacher

__all__ = ["foresee", "made_up_teacher", "same_pixels"]

LESION_SHARE = 0.05  # of all voxels, for how many lesions may have to be followed


def foresee(function: StageFunction, unit: Unit) -> Result:
    """Make up what a unit would tell.

    Raises:
        DataError: headers alone show that it cannot be done.
    """
    return _FORESEEN.get(function, _nothing)(unit)


def _nothing(unit: Unit) -> Result:
    """Tell nothing, which the walk takes as: nothing found, nothing refused."""
    return Result()


def _ingested(unit: Unit) -> Result:
    return Result(value={**ingest.probe(unit.item), "uptake_level": None})


def same_pixels(item: ingest.IngestItem, firsts: Mapping[str, str]) -> str:
    """Return a digest that scans share whose sources are the same files, or copies of them.

    Args:
        item: a scan that is to be taken in.
        firsts: paths of copies with the paths that they are copies of (`io.cohort.copies`).
    """
    paths = [None if path is None else firsts.get(path, path) for path in item.scan.paths]
    return digest_of(paths, item.modality, item.channels, item.irregular)


def _filled(unit: Unit) -> Result:
    """Refuse what no task can hold, as the unit will."""
    try:
        unit.item.refuse()
    except DataError as error:
        return Result(value={"fault": {"code": error.code, "message": error.message}})
    return Result()


def _closed(unit: Unit) -> Result:
    if (fault := unit.item.fault()) is not None:
        raise fault
    return Result(value=unit.item.opened)


def _segmented(unit: Unit) -> Result:
    voxels = round(LESION_SHARE * unit.written)
    return Result(value={"signature": {}, "voxels": voxels, "counts": []})


def _found(unit: Unit) -> Result:
    voxels = round(LESION_SHARE * unit.written / 4)
    return Result(value={"times": [[]], "heights": [None], "voxels": voxels})


def _compared(unit: Unit) -> Result:
    """Open a truth mask of this machine, as the run will; one behind a URL would have to be fetched whole."""
    if is_url(unit.item.path):
        return Result()
    check_frame(unit.item.path, unit.item.source)
    drawn = mask_object(unit.item.path)
    grid = _grid_of(unit.item.source) if drawn and drawn[1] == "RTSTRUCT" else None
    with open_mask(unit.item.path, grid) as mask:
        mask.verify()
        return Result(value={"notes": [f"its truth {note}" for note in mask.notes]})


def _grid_of(source: str | None) -> Geometry | None:
    """Return a scan's grid, which contours are drawn on; None where it cannot be told now."""
    try:
        if source is not None and not is_url(source):
            with open_source(source, "resample") as opened:
                return opened.header.geometry
    except DataError:
        pass  # told where the scan itself is
    return None


_NO_SHARDS = {
    "digest": "", "shape": (1, 1, 1), "part": (1, 1, 1), "corners": [], "windows": [], "features": False,
}  # fmt: skip
_FORESEEN: Mapping[StageFunction, Callable[[Unit], Result]] = {
    ingest.run: _ingested,
    ingest.fill: _filled,
    ingest.close: _closed,
    teacher.run: lambda unit: Result(value={"digest": "", "slices": [0]}),
    teacher.missing: lambda unit: teacher.missing(unit.item),  # it fails whatever the pixels are
    codebooks.run: lambda unit: Result(value={"nodes": []}),
    shards.run: lambda unit: Result(value=_NO_SHARDS),
    pretrain.run: lambda unit: Result(value={"digest": ""}),
    student.run: lambda unit: Result(value={"digest": ""}),
    run_scales: lambda unit: Result(value={"scales": []}),
    run_som: _segmented,
    run_student: _segmented,
    objects.find: _found,
    object_calls.call: lambda unit: Result(value={"lesions": [[]]}),
    truth.run: _compared,
}
"""What is made up of the units whose word decides which further ones there are, or what these need."""


def made_up_teacher(config: ProtocolConfig) -> TeacherModel:
    """Return a teacher of one node that knows every class a configuration names."""
    settings, channels = config.teacher, tuple(config.channels)
    own = [] if isinstance(settings.classes, str) else list(settings.classes)
    further = [n for n in dict.fromkeys([settings.target, *own]) if n not in CLASSES.values()]
    size = len(channels) * len(settings.feature_names)
    flat = np.zeros(size, dtype=np.float32)
    return TeacherModel(
        codebook=Codebook(flat[None], (1, 1)),
        modality=config.modality,
        channels=channels,
        windows=((0.0, 1.0),) * len(channels),
        features=settings.feature_names,
        center=flat,
        scale=flat + 1,
        feature_weights=flat + 1,
        node_classes=np.zeros(1, dtype=np.uint8),
        class_names={**CLASSES, **dict(enumerate(further, start=len(CLASSES) + 1))},
    )
