"""The verdict on a scan as people see it."""

from dataclasses import dataclass, fields

from somray.api.shown.page import block
from somray.kernels.teacher.drift import Drift

__all__ = ["ShownDrift"]


@dataclass(frozen=True, repr=False)
class ShownDrift(Drift):
    """A `Drift` that says in a line what it found."""

    @classmethod
    def of(cls, drift: Drift | None) -> "ShownDrift | None":
        """Take a verdict as it is; None stays None."""
        if drift is None:
            return None
        return cls(**{field.name: getattr(drift, field.name) for field in fields(Drift)})

    def __repr__(self) -> str:
        sharp = "" if self.sharpness is None else f", sharpness {self.sharpness:.2f}"
        why = f": {self.reason}" if self.reason else ""
        return (
            f"Drift {self.status}{why} (distance {self.distance_ratio:.2f} times the reference's, "
            f"{100 * self.far_fraction:.1f} % far off, {self.feature} moved {self.shift:+.2f} standard "
            f"deviations{sharp})"
        )

    def _repr_html_(self) -> str:
        return block(f"Drift: {self.status}", [], [repr(self)])
