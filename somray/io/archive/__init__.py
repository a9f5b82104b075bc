"""How to talk with a picture archive: Orthanc's REST, and STOW-RS and C-STORE to any other.

Nothing here knows what a scan is. Passwords stand in no message, and neither does a header of an image.
"""

from somray.io.archive.connection import ArchiveAwayError, ArchiveConnection, ArchiveRefusedError
from somray.io.archive.orthanc import ArchivedSeries, Orthanc

__all__ = [
    "ArchiveAwayError",
    "ArchiveConnection",
    "ArchiveRefusedError",
    "ArchivedSeries",
    "Orthanc",
]
