import pytest

from somray.config import load_config
from somray.config.places import expand
from somray.errors import ConfigError


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SCRATCH", "/scratch")
    monkeypatch.setenv("NOTHING", "")
    monkeypatch.delenv("UNSET", raising=False)


def test_home_and_variables_are_expanded(tmp_path):
    assert expand("~/a", tmp_path, "x") == f"{tmp_path}/home/a"
    assert expand("~", tmp_path, "x") == f"{tmp_path}/home"
    assert expand("$SCRATCH/a", tmp_path, "x") == "/scratch/a"
    assert expand("${SCRATCH}x/$SCRATCH", tmp_path, "x") == "/scratchx//scratch"
    assert expand("~/$SCRATCH", tmp_path, "x") == f"{tmp_path}/home//scratch"


@pytest.mark.parametrize("text", ["a/b", "s3://$UNSET/~", "a~b", "50%", "cost$", "a $ b", "x%y%z"])
def test_other_paths_and_urls_stay_as_written(tmp_path, text):
    assert expand(text, tmp_path, "x") == text


def test_a_path_that_exists_as_written_is_taken_so(tmp_path):
    (tmp_path / "$UNSET").mkdir()
    assert expand("$UNSET", tmp_path, "x") == "$UNSET"


@pytest.mark.parametrize(
    "text",
    [
        "${SCRATCH:-a}",
        "$(pwd)/a",
        "${SCRATCH}/${}",
        "$UNSET/a",
        "${UNSET}",
        "$NOTHING/a",
        "~nobody-of-that-name/a",
        "%TEMP%/a",
    ],
)
def test_what_cannot_be_expanded_is_refused_by_name(tmp_path, text):
    with pytest.raises(ConfigError, match="output"):
        expand(text, tmp_path, "output")


def test_every_path_of_a_configuration_is_expanded(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text(
        "scans: ~/s.csv\noutput: $SCRATCH/run\nprotocols: {p: {teacher: {previous: ~/old}}}\n"
    )
    config = load_config(file)
    assert config.scans == f"{tmp_path}/home/s.csv"
    assert config.output == "/scratch/run"
    assert config.protocols["p"].teacher.previous == f"{tmp_path}/home/old"
    assert load_config(file, ("output=~/x",)).output == f"{tmp_path}/home/x"
    with pytest.raises(ConfigError, match=r"output.*UNSET is not set"):
        load_config(file, ("output=$UNSET/x",))
    file.write_text("scans: s\noutput: r\nprotocols: [p]\n")
    with pytest.raises(ConfigError, match="expected"):
        load_config(file)


def test_paths_of_windows_are_turned_where_that_leads_somewhere(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "s.csv").write_text("")
    file = tmp_path / "c.yaml"
    file.write_text("scans: a\\s.csv\noutput: a\\\nprotocols: {p: {}}\n")
    assert load_config(file).scans == "a/s.csv"
    for place in (r"C:\runs", "D:/runs", r"\\\\server\runs", r"runs\lung"):
        with pytest.raises(ConfigError, match=r"output.*is a path of Windows"):
            load_config(file, (f"output={place}",))
    (tmp_path / r"runs\lung").mkdir()
    assert load_config(file, (r"output=runs\lung",)).output == r"runs\lung"
