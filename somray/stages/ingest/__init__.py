"""Source files to OME-Zarr: channels on one grid, repairs counted, brick by brick.

A scan is taken in by one unit (`run`). A large one whose source can be read in parts is only opened by it; further
units fill some bricks each (`fill`), and one more joins what they told and sets the mark (`close`).

Nothing complete is left behind by a scan that fails: the mark is written last, and a refused scan's group
is removed.
"""

from somray.stages.ingest.item import IngestItem
from somray.stages.ingest.parts import ClosingItem, PartItem, close, fill, look_again
from somray.stages.ingest.scan import look, needs, probe, run

__all__ = [
    "ClosingItem",
    "IngestItem",
    "PartItem",
    "close",
    "fill",
    "look",
    "look_again",
    "needs",
    "probe",
    "run",
]
