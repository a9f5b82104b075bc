"""The table of subjects with a small picture each; of a large cohort the worst, and links to all."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from somray.report.data.cohort import SubjectFacts
from somray.report.drawing.blocks import (
    Block,
    Cell,
    PageLink,
    PageLinks,
    Section,
    Table,
    Text,
    Thumbnail,
)
from somray.report.drawing.changes import counted
from somray.report.drawing.scales import volume_unit
from somray.report.drawing.table import TableColumn, cell, plural, table_of
from somray.report.texts.attention import ORDER_TOLD, attention

__all__ = ["subjects_section", "worst_section"]

MOST_WORST = 25
Pictures = Mapping[str, Thumbnail | None]


def subjects_section(
    facts: Sequence[SubjectFacts], hrefs: Mapping[str, str], pictures: Pictures
) -> Section:
    """List subjects with links to their pages.

    Args:
        facts: of the subjects.
        hrefs: page of each.
        pictures: small picture of each.
    """
    told = f"{plural(len(facts), 'subject')}; each name leads to the subject's page."
    table = _table(told, facts, hrefs, pictures)
    return Section("subjects", "Subjects", (Text(ORDER_TOLD), table) if facts else (table,))


def worst_section(
    facts: Sequence[SubjectFacts],
    hrefs: Mapping[str, str],
    pictures: Pictures,
    pages: Sequence[PageLink],
) -> Section:
    """List the worst subjects of a large cohort, and link the pages of all."""
    ordered = sorted(facts, key=lambda f: f.gravity)
    worst = [f for f in ordered[:MOST_WORST] if f.concerns]
    concerned = sum(bool(f.concerns) for f in facts)
    links = PageLinks(f"All {len(facts)} subjects, by name:", tuple(pages))
    told = (
        f"The {len(worst)} subjects that most deserve a look, of {concerned} with something to look at; "
        "all stand in the pages above."
    )
    blocks: list[Block] = [links, Text(ORDER_TOLD), _table(told, worst, hrefs, pictures)]
    return Section("subjects", "Subjects", tuple(blocks))


def _table(
    told: str, facts: Sequence[SubjectFacts], hrefs: Mapping[str, str], pictures: Pictures
) -> Table:
    def picture(fact: SubjectFacts) -> Cell:
        found = pictures.get(fact.name)
        return Cell("–", "muted") if found is None else Cell("", thumbnail=found)

    largest = max((v or 0.0 for f in facts for v in (f.first_ml, f.last_ml)), default=0.0)
    unit, per_mm3 = volume_unit(1000 * largest)
    per_ml = 1000 * per_mm3

    def volume(ml: float | None) -> float | None:
        return None if ml is None else ml * per_ml

    several = len({p for f in facts for p in f.protocols}) > 1
    columns = (
        TableColumn("picture", picture),
        TableColumn("subject", lambda f: Cell(f.name, href=hrefs.get(f.name, ""))),
        TableColumn("attention", lambda f: attention(f.concerns), "", "why it deserves a look"),
        TableColumn("protocols", lambda f: ", ".join(f.protocols) if several else None, optional=True),
        TableColumn("scans", _scans, "", "scans done / scans in the manifest", True),
        TableColumn("lesions", lambda f: f.lesions, "", "lesion identities over all sessions", True),
        TableColumn("first", lambda f: volume(f.first_ml), unit, "volume of all lesions, first session", True),
        TableColumn("last", lambda f: volume(f.last_ml) if f.done > 1 else None, unit,
                    "the same at the last session", True, optional=True),
        TableColumn("change", _change, "%", "of that volume", True, optional=True),
        TableColumn("changes", lambda f: counted(f.changes) or None, optional=True),
        TableColumn("failures", lambda f: cell(f.failures or None), numeric=True, optional=True),
    )  # fmt: skip
    return replace(table_of(told, facts, columns, "the manifest names no scan."), worst=2)


def _scans(fact: SubjectFacts) -> Cell:
    return Cell(f"{fact.done} / {fact.scans}", "" if fact.done == fact.scans else "bad")


def _change(fact: SubjectFacts) -> Cell | None:
    if fact.done < 2 or fact.first_ml is None or fact.last_ml is None or fact.first_ml == 0:
        return None
    share = fact.last_ml / fact.first_ml - 1
    return Cell(f"{100 * share:+.0f}".replace("-", "−"), sort=round(share, 4))
