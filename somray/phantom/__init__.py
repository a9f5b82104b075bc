"""Synthetic cohorts with known truth: CT-like, PET/CT-like and X-ray micro-CT-like scans over time.

A subject is one continuous scene in mm (`torso`, `organs`, `skeleton`, `vessels`, or `composite`) with
lesions that live over sessions (`lesions`). Each session is rendered from that scene through its own
pose (`motion`, `canvas`) and spoiled by its own scanner (`ct_artefacts`, `scenes`, `composite`).
Nothing here knows files: `somray.phantom.files.write` writes them.
"""

from somray.phantom.drawing.grids import DEFAULT_SHAPES, MIN_SHAPE, check_request
from somray.phantom.session import (
    CHANNELS,
    REGIONS,
    PhantomEvent,
    PhantomSession,
)
from somray.phantom.subject import make_subject

__all__ = [
    "CHANNELS",
    "DEFAULT_SHAPES",
    "MIN_SHAPE",
    "REGIONS",
    "PhantomEvent",
    "PhantomSession",
    "check_request",
    "make_subject",
]
