"""Methods ready to paste: what this run did, and nothing cited that it did not use."""

import re

import pytest

from somray.report.texts.citations import WORKS
from tests.report.small_run import PROTOCOL, SmallRun
from tests.report.test_pages import section


@pytest.fixture
def told(small_run: SmallRun) -> str:
    return section(small_run.page(f"method-{PROTOCOL}.html"), "methods")


def test_the_text_has_this_runs_figures(told: str):
    for words in ("3 CT scans of 2 subjects", "1 scan was excluded", "2 × 2 rectangular nodes", "0.921",
                  "0.930 for equal training", "9 pairs: 8 ok, 1 refused", "Seed 0", "KAZE keypoints",
                  "agreement with the teacher, not accuracy", "RECIST"):  # fmt: skip
        assert words in told, words


def test_what_was_not_used_is_not_cited(told: str):
    assert "Ronneberger" in told
    assert "Alcantarilla" in told
    for absent in ("MiniSom", "PERCIST", "MAGSAC", "SimpleITK", "3D U-Net", "Moritz"):
        assert absent not in told, absent


def test_citations_are_numbered_in_order_and_all_listed(told: str):
    text = told.split("Works cited")[0]
    numbers = [int(n) for n in re.findall(r"\[(\d+)\]", text)]
    firsts = list(dict.fromkeys(numbers))
    assert firsts == list(range(1, len(firsts) + 1))
    listed = re.findall(r"^\[(\d+)\]|>\[(\d+)\]", told.split("Works cited")[1], re.MULTILINE)
    assert len(listed) == len(firsts)
    assert told.count("@article") + told.count("@inproceedings") + told.count("@misc") == len(
        firsts
    )


@pytest.mark.parametrize("key", WORKS)
def test_a_work_is_whole_in_both_forms(key: str):
    work = WORKS[key]
    entry = work.bibtex(key)
    assert entry.count("{") == entry.count("}")
    assert key in entry
    assert str(work.year) in key
    assert work.plain.startswith(work.authors.split(",")[0])
