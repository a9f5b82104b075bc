import dataclasses

from somray.domain.tables import SliceRow
from somray.domain.work import Outcome, Result, Unit
from somray.io.ledger import Ledger, entry_of, plain_rows
from somray.io.storage import Storage

UNIT = Unit("som", "sub-a_ses-b+som+t0+z00000", "p", "d1", None)
ROW = SliceRow("a", "b", "som", 0, 0, 1 / 3, 0.1, None)


def _entry(unit=UNIT):
    outcome = Outcome(unit.stage, unit.name, Result({"slices": [ROW]}, {"shape": [1, 2]}))
    return entry_of(unit, outcome, plain_rows(outcome))


def test_a_unit_is_found_by_its_digest_alone(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    assert ledger.find(UNIT) is None
    ledger.put(_entry())
    assert ledger.find(UNIT) == _entry()
    assert ledger.find(dataclasses.replace(UNIT, digest="d2")) is None


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


def test_a_unit_is_forgotten_with_all_that_extend_its_name(tmp_path):
    ledger = Ledger(Storage.at(tmp_path))
    other = dataclasses.replace(UNIT, name="sub-a_ses-b2+som+t0+z00000")
    ledger.put(_entry())
    ledger.put(_entry(other))
    ledger.remove_family("som", "p", "sub-a_ses-b")
    assert [e.name for e in ledger.entries()] == [other.name]
