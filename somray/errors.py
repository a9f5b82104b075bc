"""Every error somray raises on purpose.

SomrayError
├── ConfigError    configuration, manifest or usage: nothing was started (exit 2)
├── PlanError      the plan cannot fit this machine or cluster (exit 4)
├── DataError      one scan cannot be used: it is quarantined, the cohort goes on (exit 3)
├── ShapeError     arrays that do not fit each other
├── ExportError    one mask cannot be written in a format: it is left out, the others go on
├── StoreError     storage could not be read or written
└── SchemaError    a table row or file contradicts its schema
"""

from collections.abc import Mapping

__all__ = [
    "QUARANTINE_CODES",
    "REMEDIES",
    "ConfigError",
    "DataError",
    "ExportError",
    "PlanError",
    "SchemaError",
    "ShapeError",
    "SomrayError",
    "StoreError",
]

QUARANTINE_CODES = {
    "missing": "the file or folder does not exist",
    "unreadable": "the file is not in a format somray reads, or its header is damaged",
    "truncated": "the file ends before its pixels do",
    "irregular": "slices are not evenly spaced or the gantry is tilted (see `irregular: resample`)",
    "localizer": "a scout or localizer image, which is not part of a volume",
    "mixed_series": "the folder holds images of more than one series, patient or geometry",
    "wrong_modality": "the file's modality contradicts the protocol",
    "channel_mismatch": "the channels of one scan do not overlap in space or differ in time points",
    "anatomy_mismatch": "the organ mask is empty or lies elsewhere; the scan goes on without it",
    "mask_missing": "`somray measure` was given no mask for the scan, or none of the name that was asked for",
    "mask_mismatch": "the mask given to `somray measure` lies elsewhere, or on another scan of the run",
    "mask_ambiguous": "several masks were given to `somray measure` for one scan, and nothing decides between them",
    "exclude_unknown": "`exclude` names an organ that the organ mask does not hold; it excludes nothing",
    "channel_missing": "a channel that the protocol names has no row in the manifest",
    "no_units": "the values cannot be brought to the protocol's unit",
    "non_finite": "more NaN or infinite values or padding than `repair_fraction` allows",
    "blank": "every pixel has the same value",
    "duplicate": "its pixels equal those of a scan further up in the manifest",
    "not_fittable": "the reference slices carry nothing that a teacher could be fitted on",
    "no_space": "the scan's geometry is not usable (zero spacing, singular direction)",
    "too_large": "a slice that its format has to decode whole does not fit the memory of a task",
    "storage": "storage could not be read or written; the run stops",
    "worker_died": "the worker died each time it worked on this unit",
    "timed_out": "reading or computing took longer than `resources.unit_minutes`, twice; its worker was ended",
    "internal": "an error in somray itself; the message names it, please report it",
}
"""What a code in `failures.code` means; the list is part of the data dictionary."""

REMEDIES = {
    "missing": "correct the path in the manifest, or bring the file back",
    "unreadable": "the message names the field or the codec; convert the file, or move it out",
    "truncated": "copy the file again from where it came",
    "irregular": "export an even series, or set `irregular: resample` in the protocol",
    "localizer": "name the folder of the axial series, or move the scouts out",
    "mixed_series": "give each series, phase or time point a folder of its own",
    "wrong_modality": "correct the path, or the protocol of the row",
    "channel_mismatch": "put files of one examination on the rows of one subject and session",
    "anatomy_mismatch": "correct the path in `anatomy`; the scan itself goes on",
    "mask_missing": "name the mask sub-S_ses-T, or give a table of masks; correct --label",
    "mask_mismatch": "save the mask with the affine of its scan, or correct its name",
    "mask_ambiguous": "choose with --label NAME, or give a table of masks",
    "exclude_unknown": "write the organ's name as the mask has it",
    "channel_missing": "add the row of the channel, or take the channel out of the protocol",
    "no_units": "export the scan with its rescaling, give another unit a protocol of its own, or use modality `other`",
    "non_finite": "correct the file, or raise `repair_fraction`",
    "blank": "look at the file: it holds one value only",
    "duplicate": "remove one of the two rows, or correct its path",
    "not_fittable": "name another reference slice in `teacher.reference`",
    "no_space": "correct voxel sizes and directions in the header",
    "too_large": "raise `resources.task_memory_mb`, or write TIFF in strips or tiles, OME-Zarr, or NIfTI, NRRD or "
    "MetaImage without compression",
    "storage": "see to space and permissions, then run again: what is done stays done",
    "worker_died": "give its task more memory (`resources.task_memory_mb`), then run again",
    "timed_out": "see whether its files can be read at all, or raise `resources.unit_minutes`, then run again",
    "internal": "report it with its message; the rest of the cohort went on",
}
"""What a person does about a code."""


class SomrayError(Exception):
    """Base of every error that somray raises on purpose."""


class ConfigError(SomrayError):
    """The configuration, the manifest or a command's arguments are wrong."""


class PlanError(SomrayError):
    """The planned work cannot fit the resources at hand.

    Args:
        message: what does not fit, and what to do.
        plan: what `check --json` tells of it, where it was counted.
    """

    def __init__(self, message: str, plan: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.plan = dict(plan or {})


class DataError(SomrayError):
    """One scan cannot be used.

    Args:
        code: a key of `QUARANTINE_CODES`.
        message: what is wrong, where, and what to do; no patient data.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the code apart from the message; both survive pickling."""
        if code not in QUARANTINE_CODES:
            raise ValueError(f"unknown quarantine code {code!r}")
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """Return the message with its code in front."""
        return f"[{self.code}] {self.message}"


class ShapeError(SomrayError, ValueError):
    """Arrays have the wrong shape, type or range for each other."""


class ExportError(SomrayError):
    """One mask cannot be written in the format that was asked for; the message is the reason."""


class StoreError(SomrayError):
    """Storage could not be read or written."""


class SchemaError(SomrayError):
    """A table row or a stored file contradicts its schema."""
