"""The report of a measurement: every page says first that its masks are foreign, and whose."""

from markupsafe import escape

from somray.domain.work import Mapper
from somray.io.run import open_run
from somray.report.pages import write_report
from somray.report.texts.foreign import foreign_notice

__all__ = ["write_marked_report"]

HEADING = "</h1>"


def write_marked_report(root: str, mapper: Mapper | None = None) -> list[str]:
    """Write the report of a run and put the notice under each page's title, unless it stands there.

    Args:
        root: path or URL of the run.
        mapper: spreads the pages.
    """
    pages = write_report(root) if mapper is None else write_report(root, mapper)
    run = open_run(root)
    notice = foreign_notice(run.info)
    if notice is None:
        return pages
    words = f"<strong>{escape(notice.lead)}</strong> {escape(notice.text)}"
    for page in pages:
        text = run.storage.read_text(page)
        if words not in text:
            marked = f'{HEADING}\n<p class="notice {notice.tone}">{words}</p>'
            run.storage.write_text(page, text.replace(HEADING, marked, 1))
    return pages
