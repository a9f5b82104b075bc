import dataclasses

from somray.domain.tables import SliceRow
from somray.domain.work import Outcome, Result, Unit
from somray.io.ledger import Ledger, entry_of
from somray.io.storage import Storage

UNIT = Unit("som", "sub-a_ses-b+som+t0+z00000", "p", "d1", None)
ROW = SliceRow("a", "b", "som", 0, 0, 1 / 3, 0.1, None)


def _entry(unit=UNIT):
    result = Result({"slices": [ROW]}, {"shape": [1, 2]})
    return entry_of(unit, Outcome(unit.stage, unit.name, result), result)


def test_a_unit_is_found_with_the_digest_it_was_done_with(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    assert ledger.find(UNIT) is None
    ledger.put(_entry())
    assert ledger.find(UNIT) == _entry()
    assert ledger.find(dataclasses.replace(UNIT, digest="d2")).digest == UNIT.digest


def test_floats_come_back_bit_for_bit(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    ledger.put(_entry())
    assert ledger.find(UNIT).rows["slices"][0]["target_area_mm2"] == 1 / 3


def test_a_damaged_entry_makes_the_unit_due_again(tmp_path):
    storage = Storage.at(tmp_path)
    ledger = Ledger(storage)
    ledger.put(_entry())
    storage.write_text(f"work/ledger/som/p/{UNIT.name}.json", '{"half": ')
    assert ledger.find(UNIT) is None


def test_a_family_is_a_unit_with_all_that_extend_its_name(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    other = dataclasses.replace(UNIT, name="sub-a_ses-b2+som+t0+z00000")
    ledger.put(_entry())
    ledger.put(_entry(other))
    assert ledger.family("som", "p", "sub-a_ses-b") == [_entry()]
    assert ledger.family("som", "p", UNIT.name) == [_entry()]
    assert list(ledger.entries()) == list(ledger.entries("p")) == [_entry(), _entry(other)]
    assert list(ledger.entries("q")) == []
