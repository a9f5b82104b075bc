"""From files to one mask a scan: which of several count, which labels, and whether they lie where the scan does.

Everything that headers tell is judged here, before anything is written. What cannot be decided is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from somray.domain.geometry import Geometry
from somray.domain.scan import Scan
from somray.errors import DataError
from somray.io.masks.anatomy import organ_names
from somray.io.masks.label_masks import grid_of_mask
from somray.io.masks.mask_folder import masks_within
from somray.io.masks.name_tables import names_of_json
from somray.io.masks.opening import may_overlap, open_mask
from somray.io.masks.rtstruct import check_frame
from somray.io.ome.image import ScanMeta
from somray.pipeline.measure.given import GivenFile
from somray.pipeline.measure.naming import stem_of
from somray.pipeline.measure.request import WantedLabels
from somray.stages.foreign.volume import MaskPart, placed_grid

__all__ = ["Grids", "MatchedMask", "match"]

_TIME = re.compile(r"t(\d+)")
_MOST_NAMED = 12


@dataclass(frozen=True)
class MatchedMask:
    """A scan with the files of its mask, or with code and message of why it has none."""

    scan: Scan
    parts: tuple[MaskPart, ...] = ()
    refusal: tuple[str, str] | None = None


class Grids:
    """The grids of a run's scans, so that a mask of one is not taken for another's."""

    def __init__(self, metas: Mapping[Scan, ScanMeta]) -> None:
        self.metas = metas
        self._by_shape: dict[tuple[int, int, int], list[tuple[Scan, Geometry]]] = {}
        for scan, meta in metas.items():
            self._by_shape.setdefault(meta.shape[2:], []).append((scan, meta.geometry))

    def owner(self, grid: Geometry) -> Scan | None:
        """Return the first scan that lies on a grid, voxel for voxel."""
        some = self._by_shape.get(grid.shape, ())
        return next((scan for scan, own in some if own.is_same_grid(grid)), None)


def match(
    scan: Scan, files: Sequence[GivenFile], wanted: WantedLabels, grids: Grids
) -> MatchedMask:
    """Decide on the mask of one scan, whose image is complete.

    `files` are all that name it; `wanted` labels count where no table says it.
    """
    if not files:
        told = f"no mask names {scan.subject} {scan.session}; name one so, or give a table of masks"
        return MatchedMask(scan, refusal=("mask_missing", told))
    try:
        parts = tuple(_parts(scan, files, wanted))
        for part in parts:
            _check_place(scan, part, grids)
    except DataError as error:
        return MatchedMask(scan, refusal=(error.code, error.message))
    return MatchedMask(scan, parts)


def _parts(scan: Scan, files: Sequence[GivenFile], wanted: WantedLabels) -> list[MaskPart]:
    """Choose files and labels."""
    if files[0].by_table:
        return [
            part
            for file in files
            for part in _of_one([file.path], file.labels or wanted, stem_of(Path(file.path).name))
        ]
    in_time = [_TIME.fullmatch(file.named.rest) for file in files]
    if len(files) > 1 and all(in_time):
        times = [int(found[1]) for found in in_time if found]
        return [
            MaskPart(part.path, part.values, t)
            for t, file in sorted(zip(times, files, strict=True), key=lambda one: one[0])
            for part in _of_one([file.path], wanted, "")
        ]
    if len(files) == 1:
        return _of_one([files[0].path], wanted, files[0].named.rest)
    return _of_several(scan, files, wanted)


def _of_several(scan: Scan, files: Sequence[GivenFile], wanted: WantedLabels) -> list[MaskPart]:
    """Choose among files of one scan by what they are called."""
    asked = {name.casefold() for name in wanted.names}
    chosen = [file for file in files if file.named.rest.casefold() in asked]
    if chosen and len({file.named.rest.casefold() for file in chosen}) == len(chosen):
        return [MaskPart(file.path) for file in chosen]
    folders = {Path(file.path).parent for file in files}
    if not wanted and len(folders) == 1 and all(file.named.by_folder for file in files):
        return [MaskPart(file.path) for file in files]
    code = "mask_missing" if wanted.names and not chosen else "mask_ambiguous"
    told = _some([file.named.rest or Path(file.path).name for file in files])
    raise DataError(
        code,
        f"masks of {scan.subject} {scan.session}: there are {told}; choose with --label NAME, or give a table of masks",
    )


def _of_one(paths: list[str], wanted: WantedLabels, rest: str) -> list[MaskPart]:
    """Choose labels of one file, or masks of a folder with one file a label."""
    (path,) = paths
    within = masks_within(path)
    if within:
        asked = {name.casefold() for name in wanted.names}
        chosen = [
            file for file in within if not asked or stem_of(Path(file).name).casefold() in asked
        ]
        if wanted.numbers or not chosen:
            told = _some([stem_of(Path(file).name) for file in within])
            raise DataError(
                "mask_missing", f"mask {path}: is a folder of {told}; choose with --label NAME"
            )
        return [MaskPart(file) for file in chosen]
    values = wanted.numbers or None
    if wanted.names and not values:
        values = _values_of(path, wanted.names, rest)
    if values and may_overlap(path):
        return [MaskPart(f"{path}#channel={value}") for value in values]
    return [MaskPart(path, values)]


def _values_of(path: str, asked: Sequence[str], rest: str) -> tuple[int, ...] | None:
    """Find the values that names stand for; None, for all, where the file itself is called so."""
    names = organ_names(path) or _names_above(Path(path))
    by_name: dict[str, list[int]] = {}
    for value, name in names.items():
        by_name.setdefault(_folded(name), []).append(value)
    unknown = [name for name in asked if _folded(name) not in by_name]
    if not unknown:
        return tuple(value for name in asked for value in by_name[_folded(name)])
    if len(asked) == 1 and _folded(asked[0]) == _folded(rest):
        return None
    known = f"names {_some(list(names.values()))}" if names else "names none of its labels"
    raise DataError(
        "mask_missing", f"mask {path}: {known}, and not {', '.join(unknown)}; correct --label"
    )


def _names_above(path: Path) -> dict[int, str]:
    """Read nnU-Net's `dataset.json` beside the folder of labels."""
    above = path.parent.parent / "dataset.json"
    return names_of_json(above, is_dataset=True) if above.is_file() else {}


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", " ", name).strip().casefold()


def _some(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_place(scan: Scan, part: MaskPart, grids: Grids) -> None:
    """Refuse a mask that lies elsewhere, or voxel for voxel on another scan of the run.

    Raises:
        DataError: `mask_mismatch`, or codes of `open_mask`.
    """
    grid = grids.metas[scan].geometry
    check_frame(part.path, scan.paths[0])
    with open_mask(part.path, grid) as source:
        own = grid_of_mask(source.header, grid)
        owner = None if own.is_same_grid(grid) else grids.owner(own)
        if owner is None:
            placed_grid(part.path, source.header, grid)
            return
    raise DataError(
        "mask_mismatch",
        f"mask {part.path}: lies voxel for voxel on {owner.subject} {owner.session}, not on {scan.subject} "
        f"{scan.session}; correct its name, or draw it on its own scan",
    )
