"""The one seam between pages and a run on storage: tables as plain rows, pixels slice by slice."""

from somray.report.data.run import ProtocolData, ReportData, Row, Rows, SubjectData, is_4d
from somray.report.data.scan import ScanPixels, SliceFrame

__all__ = [
    "ProtocolData",
    "ReportData",
    "Row",
    "Rows",
    "ScanPixels",
    "SliceFrame",
    "SubjectData",
    "is_4d",
]
