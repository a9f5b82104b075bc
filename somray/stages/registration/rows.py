"""Rows of `registration` and `residuals`, and what is read back from them: which pair, matrices, steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from somray.domain.run import ScanPlace
from somray.domain.tables import RegistrationRow, values_for
from somray.kernels.registration import SliceRegistration, VolumeRegistration
from somray.kernels.registration.chain.repair import Step

__all__ = ["RegisteredPair", "matrix_of", "numbers_of", "registration_row", "step_of"]

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class RegisteredPair:
    """Which pair a row tells of.

    Args:
        kind: slices (anatomy) or sessions (change); never summed.
        fixed: what stays.
        moving: what moves; the same scan for slices.
        t: time index; None for volumes in space, and so the next two.
        fixed_z: fixed slice.
        moving_z: moving slice.
    """

    kind: str
    fixed: ScanPlace
    moving: ScanPlace
    t: int | None = None
    fixed_z: int | None = None
    moving_z: int | None = None

    def columns(self) -> dict[str, Any]:  # Any: fields of different types
        """Return the columns that name the pair in a table."""
        return {
            "subject": self.fixed.subject, "kind": self.kind,
            "fixed_session": self.fixed.session, "moving_session": self.moving.session,
            "t": self.t, "fixed_z": self.fixed_z, "moving_z": self.moving_z,
        }  # fmt: skip


def registration_row(
    pair: RegisteredPair,
    found: SliceRegistration | VolumeRegistration,
    matrix: Matrix | None = None,
) -> RegistrationRow:
    """Turn a finding into a row; `matrix` stands for the finding's own where it is given."""
    named = pair.columns() | {"matrix": numbers_of(found.matrix if matrix is None else matrix)}
    return RegistrationRow(**values_for(RegistrationRow, found) | named)


def step_of(row: Mapping[str, Any] | None) -> Step:
    """Return a row of `registration` as a step of a chain; None: its slab could not be registered."""
    if row is None:
        return Step(None, "refused", "the pair's slab could not be registered")
    figures = (row["status"], row["reason"], row["ncc_before"], row["ncc_after"])
    return Step(matrix_of(row["matrix"]), *figures)


def matrix_of(numbers: Any) -> Matrix | None:  # Any: a list, tuple or array of numbers, or None
    """Read 9 or 16 row-major numbers as a square matrix; None stays None."""
    if numbers is None:
        return None
    flat = np.asarray(numbers, dtype=np.float64).ravel()
    return flat.reshape(round(flat.size**0.5), -1)


def numbers_of(matrix: Matrix | None) -> list[float] | None:
    """List a matrix's numbers row by row, as tables hold them; None stays None."""
    return None if matrix is None else [float(v) for v in matrix.ravel()]
