"""Where and how a header says that voxels lie."""

from dataclasses import dataclass

__all__ = ["RawLayout"]


@dataclass(frozen=True)
class RawLayout:
    """Where and how the voxels lie, x fastest, then y, z, t.

    Args:
        files: data files, in the order of the slices; each holds an equal share of them.
        dtype: numpy type with byte order.
        offset: bytes to skip in each file, before decoding; -1 counts from the end of a plain file.
        inner_offset: bytes to skip after decoding; -1 counts from the end.
        encoding: one of `inflate.ENCODINGS`.
        slope: physical value = slope × stored + intercept.
        intercept: see slope.
        line_skip: lines of text to skip in each file, after `offset`.
        values_per_voxel: time points that lie together, faster than x; 1 where time is slowest.
        packed_bytes: size of the compressed data as the header has it, where it has.
        surplus: what it means that a file holds more than its voxels: ignore, tell or refuse.
    """

    files: tuple[str, ...]
    dtype: str
    offset: int = 0
    inner_offset: int = 0
    encoding: str = "raw"
    slope: float = 1.0
    intercept: float = 0.0
    line_skip: int = 0
    values_per_voxel: int = 1
    packed_bytes: int | None = None
    surplus: str = "ignore"
