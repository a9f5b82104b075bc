import pytest

from somray.config import load_config, parse_config
from somray.config.document import read_document
from somray.errors import ConfigError

HEAD = "scans: s.csv\noutput: run\nprotocols:\n"
PLAIN = HEAD + "  p: {modality: CT}\n"


def load(tmp_path, content, *overrides):
    file = tmp_path / "cohort.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_config(file, overrides)


def message_of(tmp_path, content):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, content)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["001", "no", "on", "1e3", "010", "1.10", "null", "true", "1_0", "0x1F"]
)
def test_a_protocol_is_called_what_stands_there(tmp_path, name):
    assert list(load(tmp_path, f"{HEAD}  {name}: {{modality: CT}}\n").protocols) == [name]


@pytest.mark.parametrize("name", ["010", "no", "2024-01-02", "0x1F", "01"])
def test_a_subject_that_yaml_would_rewrite_stays_text(tmp_path, name):
    reference = f"{{subject: {name}, session: {name}, slices: [5]}}"
    config = load(tmp_path, f"{HEAD}  p: {{teacher: {{reference: {reference}}}}}\n")
    (named,) = config.protocols["p"].teacher.named
    assert (named.subject, named.session) == (name, name)


@pytest.mark.parametrize("value", ["12", "1.5", "1e3", "true"])
def test_a_number_where_a_name_is_meant_asks_for_quotes_and_says_where(tmp_path, value):
    reference = f"{{subject: {value}, session: t, slices: [5]}}"
    told = message_of(tmp_path, f"{HEAD}  p: {{teacher: {{reference: {reference}}}}}\n")
    assert "reference.subject" in told
    assert "quote it" in told
    assert "(line 4)" in told


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0), ("-2.5E-2", -0.025), (".5", 0.5), ("1.", 1.0), ("0", 0), ("-7", -7), ("007", "007"),
        ("1:30", "1:30"), ("yes", "yes"), ("True", True), ("~", None), ("", None), ("+3", 3), ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_plain_values_are_those_of_yaml_1_2(text, value):
    read = read_document(f"a: {text}\n", "x").data["a"]
    assert read == value
    assert type(read) is type(value)


def test_windows_encodings_and_line_ends_change_nothing(tmp_path):
    windows = PLAIN.replace("\n", "\r\n")
    for content in (windows.encode(), PLAIN.encode("utf-8-sig"), windows.encode("utf-16")):
        assert load(tmp_path, content) == parse_config(
            {"scans": "s.csv", "output": "run", "protocols": {"p": {"modality": "CT"}}}
        )


def test_equal_keys_are_refused_with_both_lines(tmp_path):
    told = message_of(tmp_path, PLAIN + "  p: {modality: MR}\n")
    assert "'p' stands twice, in lines 4 and 5" in told
    assert "lines 1 and 5" in message_of(tmp_path, PLAIN + "scans: other.csv\n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEAD + "\tp: {modality: CT}\n", ("line 4", "spaces")),
        ((HEAD + "  p: {}  # für\n").encode("cp1252"), ("line 4", "UTF-8")),
        (HEAD + "  p: !!python/object/apply:os.system [ls]\n", ("line 4", "tags")),
        (PLAIN + "---\na: 1\n", ("line 5", "one document")),
        ("scans: a: b\n", ("line 1", "quote")),
        ('scans: "C:\\data\\s.csv"\n', ("line 1", "single quotes")),
        ("a: \x07\n", ("line 1", "no text has")),
        ("? [a]\n: b\n", ("line 1", "plain text")),
        ("", ("is empty",)),
        ("# nothing yet\n", ("is empty",)),
        ("- a\n", ("mapping",)),
        (HEAD, ("protocols: a mapping", "got nothing", "line 3")),
        (HEAD + "  p:\n", ("protocols.p: a mapping", "got nothing", "line 4")),
        (HEAD + "  - p\n", ("protocols: a mapping", "got a list", "line 3")),
        (HEAD + "  a b: {}\n", ("'a b' must be letters", "line 4")),
        (HEAD + "  p: {chanels: [CT]}\n", ("did you mean 'channels'", "line 4")),
        ("scans: ~\n", ("scans: is empty", "line 1")),
        (PLAIN.replace("run", "' '"), ("output: is empty", "line 2")),
        (PLAIN.replace("  p", "\u00a0\u00a0p"), ("line 4", "no-break space")),
        (PLAIN.replace(": run", ":\u00a0run"), ("line 2", "no-break space")),
        (PLAIN.replace("s.csv", "s3://b/s.csv"), ("scans: ", "from a disk")),
        (PLAIN.replace("run", '"run\\t1"'), ("output: holds a line break, a tab", "line 2")),
        (PLAIN + "seed: true\n", ("seed: a number is expected, got True", "line 5")),
        (PLAIN + "resources: {workers: yes}\n", ("resources.workers", "whole number")),
        (HEAD + "  p: {intensity: {other: {window: 1}}}\n", ("other.window: a list", "got 1")),
        (HEAD + "  p: {teacher: {classes: {lesion: [25]}}}\n", ("node 25", "0 to 24", "line 4")),
        (HEAD + "  p: {teacher: {classes: {a: [1], b: [1]}}}\n", ("node 1", "'a' and 'b'")),
        (HEAD + "  p: {teacher: {target: tumor}}\n", ("'tumor' is no class", "lesion")),
    ],
)
def test_what_cannot_be_read_is_one_plain_message_with_its_line(tmp_path, content, words):
    told = message_of(tmp_path, content)
    assert "cohort.yaml" in told
    for word in words:
        assert word in told


def test_classes_that_a_rule_may_name_are_targets_too(tmp_path):
    file = tmp_path / "cohort.yaml"
    for target in ("boundary", "dense", "dark"):
        file.write_text(HEAD + f"  p: {{modality: CT, teacher: {{target: {target}}}}}\n")
        assert load_config(file).protocols["p"].teacher.target == target


@pytest.mark.parametrize(
    "content",
    [
        "a: " + "[" * 5000 + "]" * 5000,
        "a: " + "[" * 60 + "]" * 60,
        "a: &a [*a]\n",
        "a: &a {b: *a}\n",
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join(['*' + p] * 10)}]\n"
            for p, c in zip("abcdefg", "bcdefgh", strict=True)
        ),
        "a: " + "x" * (1 << 20),
    ],
    ids=["abyss", "deep", "circle", "ring", "laughs", "large"],
)
def test_what_would_swell_is_refused_before_it_does(tmp_path, content):
    assert "configuration can" in message_of(tmp_path, content) or "no end" in message_of(
        tmp_path, content
    )


def test_anchors_and_merges_work_and_own_keys_win(tmp_path):
    text = HEAD + "  p: &p {modality: CT, segment: som}\n  q: {<<: *p, segment: student}\n  r: *p\n"
    protocols = load(tmp_path, text).protocols
    assert [p.segment for p in protocols.values()] == ["som", "student", "som"]
    assert {p.modality for p in protocols.values()} == {"CT"}


def test_a_setting_on_the_command_line_is_read_alike(tmp_path):
    setting = "protocols.p.teacher.reference={subject: 010, session: no, slices: [1]}"
    (named,) = load(tmp_path, PLAIN, setting).protocols["p"].teacher.named
    assert (named.subject, named.session) == ("010", "no")
    assert load(tmp_path, PLAIN, " seed = 3").seed == 3
    assert list(load(tmp_path, PLAIN, "protocols.q={modality: MR}").protocols) == ["p", "q"]
    with pytest.raises(ConfigError, match="no protocol 'P'; the configuration has p"):
        load(tmp_path, PLAIN, "protocols.P.segment=som")
    with pytest.raises(ConfigError, match="stands twice"):
        load(tmp_path, PLAIN, "resources={workers: 1, workers: 2}")
