"""How the classes fill a subject's scans along z."""

from somray.report.data import SubjectData, is_4d
from somray.report.drawing.blocks import Gallery, Section, Text
from somray.report.drawing.classes import class_legend
from somray.report.figures.areas import areas_along_z
from somray.report.texts.notices import doubts

__all__ = ["areas_section"]

TITLE = "Classes along z"
MOST_PICTURES = 8


def areas_section(subject: SubjectData, prefix: str) -> Section:
    """Show the share of each class slice by slice, session by session."""
    teacher, pictures = subject.teacher, []
    for number, scan in enumerate(subject.scans[:MOST_PICTURES]):
        if teacher is None:
            break
        rows = subject.rows("areas", session=scan["session"], t=0)
        where = f"session {scan['session']}" + (" at time index 0" if is_4d(scan) else "")
        pictures.append(areas_along_z(rows, teacher, where, f"{prefix}-areas{number}"))
    drawn = tuple(p for p in pictures if p is not None)
    if teacher is None or not drawn:
        told = "Nothing to show: no scan of this protocol carries a class map yet."
        return Section(f"{prefix}-areas", TITLE, (Text(told),))
    blocks = (
        *doubts(teacher, teacher.class_names.values()),
        Gallery(drawn, "chart"),
        class_legend(teacher),
    )
    return Section(f"{prefix}-areas", TITLE, blocks)
