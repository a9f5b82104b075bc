"""The one seam between pages and a run on storage: tables as plain rows, pixels slice by slice."""

from somray.report.data.lesions import Particles, SubjectLesions, change_counts
from somray.report.data.run import ProtocolData, ReportData, Row, Rows, SubjectData, is_4d
from somray.report.data.scan import ScanPixels, SliceFrame

__all__ = [
    "Particles",
    "ProtocolData",
    "ReportData",
    "Row",
    "Rows",
    "ScanPixels",
    "SliceFrame",
    "SubjectData",
    "SubjectLesions",
    "change_counts",
    "is_4d",
]
