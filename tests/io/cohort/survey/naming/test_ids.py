import re
import unicodedata

import pytest

from somray.io.cohort.survey.naming.ids import safe_id, safe_ids

FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
ALIKE = [
    ("Müller", "Muller", "Mu\u0308ller", "MULLER", "muller"), ("a (1)", "a [1]", "a_1", "a-1", "a  1", "a {1}"),
    ("Иванов", "Петров", "Ива́нов"), ("王伟", "李娜", "王 伟"), ("محمد", "أحمد"), ("x" * 90, "x" * 91, "X" * 90),
    ("..", "???", "", " ", "_"), ("é", "è", "e", "E"), ("ø", "o", "Ø"), ("1", "１", "①"),
]  # fmt: skip


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_differ_stay_apart_on_any_disk(names):
    ids = safe_ids(names)
    assert set(ids) == set(names)
    assert len({made.casefold() for made in ids.values()}) == len(names)
    for made in ids.values():
        assert FORM.fullmatch(made)
        assert len(made) <= 48


def test_a_name_that_is_an_id_keeps_it():
    for name in ("001", "LIDC-IDRI-0001", "P01_a.b", "s", "A" * 48):
        assert safe_ids([name, "other", name + "ü"])[name] == name
        assert safe_id(name) == name


def test_the_same_names_give_the_same_ids_in_any_order_and_company():
    first = safe_ids(["Иванов", "Müller", "a"])
    assert safe_ids(["a", "Müller", "Иванов"]) == first
    assert safe_ids(["Иванов", "b", "c"])["Иванов"] == first["Иванов"]
    assert first["Müller"] == "Muller"


def test_ten_thousand_names_in_another_script_are_ten_thousand_ids():
    names = [chr(0x4E00 + n // 200) + chr(0x4E00 + n % 200) for n in range(10_000)]
    assert len(set(safe_ids(names).values())) == 10_000


def test_two_compositions_of_one_name_are_two_folders():
    names = [unicodedata.normalize(form, "Zoë") for form in ("NFC", "NFD")]
    assert len(set(safe_ids(names).values())) == 2
