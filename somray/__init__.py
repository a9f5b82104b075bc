"""Find evolving lesions and defects in cohorts of 3D/4D scans without a single label.

The names below are public; see CONTRACT in the README. Each is imported when first used, so that
`import somray` starts neither Ray nor torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    import somray.som as som
    from somray.api.run import open_run
    from somray.api.student import Student
    from somray.api.teacher import Teacher
    from somray.kernels.features import FEATURES, features
    from somray.kernels.lesions.instances import lesions
    from somray.kernels.metrics.overlap import agreement
    from somray.kernels.registration import register

_PLACES = {
    "FEATURES": "somray.kernels.features",
    "Student": "somray.api.student",
    "Teacher": "somray.api.teacher",
    "agreement": "somray.kernels.metrics.overlap",
    "features": "somray.kernels.features",
    "lesions": "somray.kernels.lesions.instances",
    "open_run": "somray.api.run",
    "register": "somray.kernels.registration",
}

__all__ = [
    "FEATURES",
    "Student",
    "Teacher",
    "__version__",
    "agreement",
    "features",
    "lesions",
    "open_run",
    "register",
    "som",
]


def __getattr__(name: str) -> Any:  # Any: whatever the public name is
    """Import a public name when it is first used."""
    if name == "som":
        return importlib.import_module("somray.som")
    if name not in _PLACES:
        raise AttributeError(f"module 'somray' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
