"""Find evolving lesions and defects in cohorts of 3D/4D scans without a single label.

The names below are public; docs/reference/python.md describes them. Each is imported when first used, so that
`import somray` starts neither Ray nor torch.
"""

import difflib
import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    import somray.som as som
    from somray.api.measures import agreement, lesions
    from somray.api.registration import register
    from somray.api.run import open_run
    from somray.api.slices import features
    from somray.api.student import Student
    from somray.api.teacher import Teacher
    from somray.kernels.features import FEATURES

_PLACES = {
    "FEATURES": "somray.kernels.features",
    "Student": "somray.api.student",
    "Teacher": "somray.api.teacher",
    "agreement": "somray.api.measures",
    "features": "somray.api.slices",
    "lesions": "somray.api.measures",
    "open_run": "somray.api.run",
    "register": "somray.api.registration",
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
        near = difflib.get_close_matches(name, __all__, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise AttributeError(f"module 'somray' has no attribute {name!r}{hint}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
