"""SUVbw from every kind of header, with QIBA's factor, or none with its reason."""

import copy
import math

import pytest
from pydicom.dataset import Dataset

from somray.io.readers import open_source
from tests.io.dicom_files import make_pet, save

DOSE, WEIGHT, HALF_LIFE = (
    3.5e8,
    70.0,
    6600.0,
)  # of `make_pet`; the series starts one half-life after injection
PLAIN = WEIGHT * 1000 / DOSE


def injected(**changes):
    item = make_pet(0).RadiopharmaceuticalInformationSequence[0]
    for name, value in changes.items():
        setattr(item, name, value)
    return {"RadiopharmaceuticalInformationSequence": [item]}


def read(tmp_path, edit=None, count=3, **changes):
    """Return unit, factor of the first voxel to its stored activity, and codes."""
    slices = [make_pet(3.0 * i, "2.5", **changes) for i in range(count)]
    for i, data in enumerate(slices):
        if edit is not None:
            edit(data, i)
    with open_source(save(tmp_path / "a", slices)) as source:
        value = float(source.read(0, 0, 1)[0, 0, 0]) / (1000 * float(slices[0].RescaleSlope))
        return source.header.unit, value, source.header.repairs


HOURS = 3600 / HALF_LIFE
CLAIMED = {
    "start": ({}, PLAIN * 2),
    "admin": ({"DecayCorrection": "ADMIN"}, PLAIN),
    "codes in small letters": ({"DecayCorrection": "start", "Units": "bqml"}, PLAIN * 2),
    "with its date": (injected(RadiopharmaceuticalStartDateTime="20010203110000"), PLAIN * 2),
    "date-time without seconds": (injected(RadiopharmaceuticalStartDateTime="200102031100"), PLAIN * 2),
    "date alone, with the time": (
        injected(RadiopharmaceuticalStartDateTime="20010203"), PLAIN * 2
    ),
    "time left at 0": (
        injected(RadiopharmaceuticalStartDateTime="20010203110000.00", RadiopharmaceuticalStartTime="000000"),
        PLAIN * 2,
    ),
    "zone that nothing weighs": (
        injected(RadiopharmaceuticalStartDateTime="20010203110000+0100"), PLAIN * 2
    ),
    "zone of the data set": (
        {"TimezoneOffsetFromUTC": "+0200"}
        | injected(RadiopharmaceuticalStartDateTime="20010203100000.0+0100"), PLAIN * 2,
    ),
    "UTC beside a local clock": (
        injected(RadiopharmaceuticalStartDateTime="20010203090000+0000"), PLAIN * 2
    ),
    "the day before": (
        injected(RadiopharmaceuticalStartDateTime="20010202235000", RadiopharmaceuticalStartTime="235000",
                 RadionuclideHalfLife="45720"), PLAIN * 2 ** (13 * 3600 / 45720),
    ),
    "date-time left at 0": (injected(RadiopharmaceuticalStartDateTime="20010203000000.00"), PLAIN * 2),
    "acquisition left at 0": ({"AcquisitionTime": "000000.00"}, PLAIN * 2),
    "from midnight on": (
        {"SeriesTime": "000000", "AcquisitionTime": "000000"} | injected(RadiopharmaceuticalStartTime="221000"),
        PLAIN * 2,
    ),
    "injected at midnight": (
        {"SeriesTime": "015000"} | injected(RadiopharmaceuticalStartTime="000000"), PLAIN * 2
    ),
    "two days before": (
        injected(RadiopharmaceuticalStartDateTime="20010201125000", RadiopharmaceuticalStartTime="125000",
                 RadionuclideHalfLife="230400"), PLAIN * 2 ** (172800 / 230400),
    ),
    "old colons": ({"SeriesTime": "12:50:00", "AcquisitionTime": "12:55"}, PLAIN * 2),
    "no acquisition time": ({"AcquisitionTime": None}, PLAIN * 2),
    "mouse": (
        {"PatientWeight": "0.025"} | injected(RadionuclideTotalDose="8e6"), 25 / 8e6 * 2
    ),
    "Rb-82": (
        injected(RadionuclideTotalDose="1.5e9", RadionuclideHalfLife="76", RadiopharmaceuticalStartTime="124944"),
        70e3 / 1.5e9 * 2 ** (16 / 76),
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # pydicom on writing
@pytest.mark.parametrize("name", CLAIMED)
def test_suv_has_the_factor_of_the_pseudo_code(tmp_path, name):
    changes, wanted = CLAIMED[name]
    unit, factor, codes = read(tmp_path, **changes)
    assert unit == "SUVbw"
    assert codes == ()
    assert factor == pytest.approx(wanted, rel=1e-5)


def test_two_times_of_injection_that_disagree_are_told_and_the_dated_one_holds(tmp_path):
    unit, factor, codes = read(
        tmp_path, **injected(RadiopharmaceuticalStartDateTime="20010203115000")
    )
    assert (unit, codes) == ("SUVbw", ("suv_time_disagrees",))
    assert factor == pytest.approx(PLAIN * 2**HOURS, rel=1e-5)


REFUSED = {
    "no weight": ({"PatientWeight": None}, "suv_no_weight"),
    "weight 0": ({"PatientWeight": "0"}, "suv_no_weight"),
    "grams": ({"PatientWeight": "70000"}, "suv_weight_implausible"),
    "tonnes": ({"PatientWeight": "0.0007"}, "suv_weight_implausible"),
    "no dose": (injected(RadionuclideTotalDose=None), "suv_no_dose"),
    "no sequence": ({"RadiopharmaceuticalInformationSequence": None}, "suv_no_dose"),
    "MBq": (injected(RadionuclideTotalDose="350"), "suv_dose_implausible"),
    "kBq": (injected(RadionuclideTotalDose="350000"), "suv_dose_implausible"),
    "mCi": (injected(RadionuclideTotalDose="9.5"), "suv_dose_implausible"),
    "a thousandfold": (injected(RadionuclideTotalDose="3.5e11"), "suv_dose_implausible"),
    "weight 1": ({"PatientWeight": "1"}, "suv_dose_implausible"),
    "no half-life": (injected(RadionuclideHalfLife=None), "suv_no_half_life"),
    "half-life in hours": (injected(RadionuclideHalfLife="1.83"), "suv_no_half_life"),
    "half-life in minutes": (injected(RadionuclideHalfLife="110"), "suv_time_implausible"),
    "no injection": (injected(RadiopharmaceuticalStartTime=None), "suv_no_time"),
    "long-lived without date": (injected(RadionuclideHalfLife="282240"), "suv_no_time"),
    "no series time": ({"SeriesTime": None}, "suv_no_time"),
    "times taken": (
        {"SeriesTime": "000000", "AcquisitionTime": "000000"} | injected(RadiopharmaceuticalStartTime="000000"),
        "suv_no_time",
    ),
    "injection's time taken": (injected(RadiopharmaceuticalStartTime="000000.00"), "suv_no_time"),
    "injection's times taken": (
        injected(RadiopharmaceuticalStartDateTime="20010203000000", RadiopharmaceuticalStartTime=None), "suv_no_time"
    ),
    "a day alone of a long-lived tracer": (
        injected(RadiopharmaceuticalStartDateTime="20010201000000", RadiopharmaceuticalStartTime=None,
                 RadionuclideHalfLife="282240"), "suv_no_time",
    ),
    "series' time taken": (
        {"SeriesTime": "000000"} | injected(RadiopharmaceuticalStartTime="140000"), "suv_no_time"
    ),
    "half a day off": (injected(RadiopharmaceuticalStartTime="235000"), "suv_time_implausible"),
    "reconstructed later": ({"SeriesTime": "130000"}, "suv_no_time"),
    "injected tomorrow": (
        injected(RadiopharmaceuticalStartDateTime="20010204110000"), "suv_time_implausible"
    ),
    "injected last year": (
        injected(RadiopharmaceuticalStartDateTime="20000203110000"), "suv_time_implausible"
    ),
    "injected in year 0": (injected(RadiopharmaceuticalStartDateTime="00010101000000",
                                    RadiopharmaceuticalStartTime=None), "suv_no_time"),
    "yesterday's clock": (injected(RadiopharmaceuticalStartTime="130000"), "suv_time_implausible"),
    "no decay correction": ({"DecayCorrection": "NONE"}, "suv_not_corrected"),
    "decay correction left out": ({"DecayCorrection": None}, "suv_not_corrected"),
    "not attenuation corrected": ({"CorrectedImage": ["DECY"]}, "suv_not_corrected"),
    "one correction": ({"CorrectedImage": "ATTN"}, "suv_not_corrected"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_without_a_sound_header_activity_stays_and_the_reason_is_told(tmp_path, name):
    changes, code = REFUSED[name]
    unit, factor, codes = read(tmp_path, **changes)
    assert (unit, codes) == ("Bq/ml", (code,))
    assert factor == pytest.approx(1, rel=1e-6)


def test_f18_with_its_half_life_in_minutes_is_found_soon_after_injection(tmp_path):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "C-111A1", "SRT", "^18^Fluorine"
    soon = {"RadiopharmaceuticalStartTime": "124800", "RadionuclideCodeSequence": [code]}
    assert read(tmp_path, **injected(**soon))[0] == "SUVbw"
    changes = injected(RadionuclideHalfLife="110", **soon)
    assert read(tmp_path, **changes)[::2] == ("Bq/ml", ("suv_no_half_life",))


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("units", "kind", "unit", "codes"),
    [
        ("GML", None, "SUVbw", ()), ("gml", "BW", "SUVbw", ()), ("GML", "LBM", "raw", ("suv_other_unit",)),
        ("CNTS", None, "raw", ("suv_other_unit",)), ("PROPCPS", None, "raw", ("suv_other_unit",)),
        ("CM2ML", None, "raw", ("suv_other_unit",)), (None, None, "raw", ("suv_other_unit",)),
    ],
)  # fmt: skip
def test_other_units_are_suv_by_name_or_raw(tmp_path, units, kind, unit, codes):
    assert read(tmp_path, Units=units, SUVType=kind) == (unit, pytest.approx(1), codes)


@pytest.mark.parametrize(
    ("to_suv", "to_activity", "unit", "factor"),
    [
        ("0.002", None, "SUVbw", 0.002), ("0.002", "3", "SUVbw", 0.002), ("0", "3", "SUVbw", 6 * PLAIN),
        (None, "3", "SUVbw", 6 * PLAIN), ("nan", "0", "raw", 1.0), ("-1", None, "raw", 1.0),
    ],
)  # fmt: skip
def test_philips_counts_have_private_factors(tmp_path, to_suv, to_activity, unit, factor):
    def edit(data, _):
        block = data.private_block(0x7053, "Philips PET Private Group", create=True)
        for offset, value in ((0x00, to_suv), (0x09, to_activity)):
            if value is not None:
                block.add_new(offset, "LO", value)

    found = read(tmp_path, edit, Units="CNTS")
    assert found[:2] == (unit, pytest.approx(factor))


def test_ge_names_the_start_of_the_scan_when_the_series_was_made_later(tmp_path):
    def edit(data, _):
        block = data.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20010203125000.00")

    assert read(tmp_path, edit, SeriesTime="150000") == ("SUVbw", pytest.approx(PLAIN * 2), ())


def test_the_frame_leads_back_to_the_start_when_the_series_was_made_later(tmp_path):
    """The reference time of a frame is when its count rate is average: shortly before its middle."""
    decay = math.log(2) / HALF_LIFE
    average = math.log(decay * 180 / (1 - math.exp(-decay * 180))) / decay
    assert 89 < average < 90

    def edit(data, i):  # beds of three minutes, the first at 12:50
        data.AcquisitionTime = f"12{50 + 3 * i}00"
        data.ActualFrameDuration = 180000
        data.FrameReferenceTime = f"{(180 * i + average) * 1000:.3f}"

    found = read(tmp_path, edit, SeriesTime="150000")
    assert found == ("SUVbw", pytest.approx(PLAIN * 2, rel=1e-5), ())

    def disagree(data, i):
        edit(data, i)
        data.FrameReferenceTime = "1"

    assert read(tmp_path, disagree, SeriesTime="150000")[::2] == ("Bq/ml", ("suv_slices_disagree",))


@pytest.mark.parametrize(("clock", "unit"), [("125000.700", "SUVbw"), ("125002", "Bq/ml")])
def test_an_acquisition_rounded_down_to_the_second_is_no_later_series(tmp_path, clock, unit):
    found = read(tmp_path, SeriesTime=clock, AcquisitionTime="125000")
    assert found[0] == unit


def test_slices_of_different_weight_claim_no_suv(tmp_path):
    found = read(tmp_path, lambda data, i: setattr(data, "PatientWeight", str(70 + i)))
    assert found[::2] == ("Bq/ml", ("suv_slices_disagree",))
    found = read(tmp_path, lambda data, i: data.pop("PatientWeight") if i == 1 else None)
    assert found[::2] == ("Bq/ml", ("suv_no_weight",))


def test_enhanced_pet_is_scaled_by_its_real_world_unit_and_decay_date(tmp_path):
    unit, mapping = Dataset(), Dataset()
    unit.CodeValue, unit.CodingSchemeDesignator, unit.CodeMeaning = "Bq/ml", "UCUM", "Bq/ml"
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 2.5, 0.0
    changes = {
        "Units": None, "CorrectedImage": None, "DecayCorrection": None, "SeriesTime": None,
        "DecayCorrected": "YES", "AttenuationCorrected": "YES", "DecayCorrectionDateTime": "20010203125000",
        "RealWorldValueMappingSequence": [mapping], "SOPClassUID": "1.2.840.10008.5.1.4.1.1.130",
    }  # fmt: skip
    assert read(tmp_path, **changes) == ("SUVbw", pytest.approx(PLAIN * 2), ())
    suv = copy.deepcopy(mapping)
    suv.MeasurementUnitsCodeSequence[0].CodeValue, suv.RealWorldValueSlope = "g/ml{SUVbw}", 0.25
    changes |= {"RealWorldValueMappingSequence": [mapping, suv], "PatientWeight": None}
    assert read(tmp_path, **changes) == ("SUVbw", pytest.approx(0.1), ())


def test_of_two_injections_nobody_says_which_is_in_the_image(tmp_path):
    one = make_pet(0).RadiopharmaceuticalInformationSequence[0]
    other = copy.deepcopy(one)
    unit, factor, _ = read(tmp_path, RadiopharmaceuticalInformationSequence=[one, other])
    assert (unit, factor) == ("SUVbw", pytest.approx(PLAIN * 2, rel=1e-5))
    other.RadionuclideTotalDose = "1.2e8"
    unit, _, codes = read(tmp_path, RadiopharmaceuticalInformationSequence=[one, other])
    assert (unit, codes) == ("Bq/ml", ("suv_no_dose",))
