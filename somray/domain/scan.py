"""A scan as the manifest names it and as its file's header describes it, before any pixel is read."""

from dataclasses import dataclass

from somray.domain.geometry import Geometry
from somray.domain.repairs import REPAIRS
from somray.errors import ShapeError

__all__ = ["Scan", "ScanHeader"]

_UNPLACED = ("position_assumed", "spacing_assumed", "z_spacing_assumed")


@dataclass(frozen=True)
class Scan:
    """One acquisition of the manifest.

    Args:
        subject: who, as in the manifest.
        session: when, as in the manifest.
        protocol: a protocol of the configuration.
        paths: one source per channel of the protocol, absolute; None where the manifest has no row.
        path: the first channel's source as the manifest writes it, without the secrets of a URL; for tables and people.
        days: days since the subject's first session, where given.
        truth: absolute path of the label mask, where given; never used for fitting or choosing.
        order: place of the session among the subject's sessions, from 0.
        anatomy: absolute path of the organ mask, where given; never needed.
    """

    subject: str
    session: str
    protocol: str
    paths: tuple[str | None, ...]
    path: str
    days: float | None = None
    truth: str | None = None
    order: int = 0
    anatomy: str | None = None


@dataclass(frozen=True)
class ScanHeader:
    """What a source says of itself; no patient data.

    Args:
        shape: (t, z, y, x).
        geometry: grid of one volume.
        kind: name of the reader.
        modality: CT, PT, MR … as DICOM spells it, None where the file does not say.
        unit: HU, SUVbw, Bq/ml or raw, None where the file does not say.
        padding: physical value of voxels that were never measured, where the header declares one.
        outside_is_nan: NaN in the pixels means "outside what was scanned", not damage.
        repairs: codes of what the reader assumed or changed, keys of `REPAIRS`.
    """

    shape: tuple[int, int, int, int]
    geometry: Geometry
    kind: str
    modality: str | None = None
    unit: str | None = None
    padding: float | None = None
    outside_is_nan: bool = False
    repairs: tuple[str, ...] = ()

    @property
    def is_placed(self) -> bool:
        """Whether the file says where its grid lies; where not, place and size are the reader's assumption."""
        return not any(code in self.repairs for code in _UNPLACED)

    def __post_init__(self) -> None:
        """Refuse a shape that does not fit the geometry, and codes that nobody explains."""
        if unknown := set(self.repairs) - set(REPAIRS):
            raise ValueError(f"unknown repair codes {sorted(unknown)}")
        if self.shape[1:] != self.geometry.shape or self.shape[0] < 1:
            raise ShapeError(f"shape {self.shape} does not fit the grid {self.geometry.shape}")
