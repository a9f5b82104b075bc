import pytest

from somray.config import load_config, parse_config
from somray.errors import ConfigError

MINIMAL = {"scans": "scans.csv", "output": "run", "protocols": {"p": {"modality": "CT"}}}


def _with(**protocol):
    return {**MINIMAL, "protocols": {"p": {"modality": "CT", **protocol}}}


def test_everything_but_scans_output_and_protocols_has_a_default():
    config = parse_config(MINIMAL)
    assert config.seed == 0
    assert config.protocols["p"].channels == ["CT"]
    assert config.protocols["p"].teacher.grid == (5, 5)


@pytest.mark.parametrize("key", ["scans", "output", "protocols"])
def test_a_missing_key_is_named(key):
    data = {k: v for k, v in MINIMAL.items() if k != key}
    with pytest.raises(ConfigError, match=f"{key}: missing"):
        parse_config(data)


def test_petct_has_two_channels_by_default():
    data = {**MINIMAL, "protocols": {"p": {"modality": "PETCT"}}}
    assert parse_config(data).protocols["p"].channels == ["CT", "PET"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({**MINIMAL, "protcols": {}}, r"protcols: unknown key; did you mean 'protocols'"),
        (_with(teacher={"gird": [3, 3]}), r"protocols\.p\.teacher\.gird.*did you mean 'grid'"),
        (_with(student={"round": 3}), r"protocols\.p\.student\.round.*did you mean 'rounds'"),
        (_with(intensity={"CT": {"windw": [0, 1]}}), r"CT\.windw.*did you mean 'window'"),
    ],
)
def test_an_unknown_key_is_refused_with_its_path_and_the_nearest_known_one(data, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(data)


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"intensity": {"CT": {"window": [5, 5]}}}, "low < high"),
        ({"intensity": {"PET": {"window": [0, 5]}}}, "channel 'PET'"),
        ({"teacher": {"features": ["edgy"]}}, "did you mean 'edge'"),
        ({"teacher": {"features": []}}, "at least one feature"),
        ({"channels": ["CT", "CT"]}, "channels must differ"),
        ({"channels": 0}, "a list such as"),
        ({"channels": ""}, "a list such as"),
        ({"repair_fraction": float("nan")}, "repair_fraction"),
    ],
)
def test_a_wrong_value_is_refused_in_words(protocol, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(_with(**protocol))


def test_all_problems_come_in_one_message():
    with pytest.raises(ConfigError) as caught:
        parse_config({**_with(teacher={"gird": 1}, segment="u-net"), "sed": 1})
    assert all(word in str(caught.value) for word in ("gird", "segment", "sed"))


def test_a_setting_wins_over_the_file_even_where_a_protocol_name_holds_dots():
    data = {**MINIMAL, "protocols": {"chest.ct": {"modality": "CT"}}}
    config = parse_config(data, ("protocols.chest.ct.student.rounds=5", "seed=7"))
    assert config.protocols["chest.ct"].student.rounds == 5
    assert config.seed == 7


@pytest.mark.parametrize("setting", ["seed", "=1", "seed=[1"])
def test_a_malformed_setting_is_refused(setting):
    with pytest.raises(ConfigError, match="--set"):
        parse_config(MINIMAL, (setting,))


def test_the_digest_ignores_places_and_resources_but_not_settings():
    base = parse_config(MINIMAL).digest()
    assert parse_config({**MINIMAL, "output": "x"}, ("resources.workers=2",)).digest() == base
    assert parse_config(MINIMAL, ("seed=1",)).digest() != base


def test_a_file_that_is_missing_or_no_yaml_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_config(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(ConfigError, match="mapping"):
        load_config(tmp_path / "list.yaml")


def test_features_are_kept_in_the_order_of_the_table():
    config = parse_config(_with(teacher={"features": ["mean3", "intensity"]}))
    assert config.protocols["p"].teacher.feature_names == ("intensity", "mean3")


NAMED = {"subject": "s01", "session": "t0", "slices": [3]}


@pytest.mark.parametrize(
    ("reference", "every", "named", "folds"),
    [
        ("auto", None, 0, False),
        ("cohort", 1, 0, True),
        ({"every": 4}, 4, 0, True),
        (NAMED, None, 1, False),
        ([NAMED, {**NAMED, "session": "t1"}], None, 2, True),
    ],
)
def test_a_reference_is_a_word_a_scan_a_list_or_the_cohort(reference, every, named, folds):
    data = _with(teacher={"reference": reference})
    config = parse_config(data)
    teacher = config.protocols["p"].teacher
    assert (teacher.every, len(teacher.named), teacher.folds) == (every, named, folds)
    assert parse_config(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        ({"reference": "all"}, "teacher.reference: must be 'auto' or 'cohort', got 'all'"),
        ({"reference": {"each": 2}}, "teacher.reference.each: unknown key"),
        (
            {"reference": {**NAMED, "slice": 3}},
            "teacher.reference.slice: unknown key; did you mean 'slices'?",
        ),
        ({"refit": True}, "refit needs `previous`"),
        ({"engine": "minisom", "torus": True}, "engine minisom fits rectangular maps"),
        ({"engine": "torch", "reference": "cohort"}, "engine torch fits one scan's slices"),
        ({"denoise": "bm3d"}, "teacher.denoise: must be 'auto', 'none' or 'nlm', got 'bm3d'"),
        ({"smoothing_mm": -1}, "teacher.smoothing_mm: must be at least 0"),
    ],
)
def test_a_teacher_that_cannot_be_is_refused_in_words_of_the_form_that_was_meant(teacher, message):
    with pytest.raises(ConfigError) as caught:
        parse_config(_with(teacher=teacher))
    assert message in str(caught.value)
    assert "list[" not in str(caught.value)


def test_a_student_chooses_its_own_steps_and_learns_from_sixteen_scans_unless_told():
    student = parse_config(MINIMAL).protocols["p"].student
    assert (student.rounds, student.steps, student.cohort, student.confidence) == (
        3,
        None,
        16,
        False,
    )
    told = parse_config(_with(student={"cohort": 0, "steps": 40})).protocols["p"].student
    assert (told.cohort, told.steps) == (0, 40)
    assert parse_config(_with(student={"steps": None})).protocols["p"].student.steps is None


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"scans": 3}, "student.scans: unknown key"),
        ({"neighbours": 1}, "student.neighbours: unknown key"),
        ({"start": "centroids"}, "student.start: unknown key"),
        ({"labels": "soft"}, "student.labels: unknown key"),
        ({"steps": 0}, "student.steps: must be at least 1"),
        ({"cohort": -1}, "student.cohort: must be at least 0"),
        ({"cohort": 65}, "student.cohort: must be at most 64, got 65"),
        ({"cohort": "all"}, "student.cohort: a whole number is expected, got 'all'"),
        ({"rounds": 0}, "student.rounds: must be at least 1"),
    ],
)
def test_a_student_that_cannot_be_is_refused(student, message):
    with pytest.raises(ConfigError, match=message):
        parse_config(_with(student=student))
