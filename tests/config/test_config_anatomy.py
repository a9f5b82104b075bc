import pytest

from somray.config import parse_config
from somray.errors import ConfigError


def _parse(**protocol):
    data = {"scans": "s.csv", "output": "run", "protocols": {"p": {"modality": "PET", **protocol}}}
    return parse_config(data)


def test_neither_names_nor_exclusions_are_needed():
    protocol = _parse().protocols["p"]
    assert (protocol.anatomy, protocol.exclude) == ({}, [])


def test_values_are_numbers_however_yaml_wrote_them():
    config = _parse(anatomy={5: " spleen ", "21": "urinary_bladder"}, exclude=["organ 5"])
    assert config.protocols["p"].anatomy == {5: "spleen", 21: "urinary_bladder"}
    assert config.protocols["p"].exclude == ["organ 5"]


def test_an_exclusion_changes_the_digest():
    assert _parse().digest() != _parse(exclude=["brain"]).digest()
    assert _parse(anatomy={5: "spleen"}).digest() != _parse(anatomy={6: "spleen"}).digest()


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ({"anatomy": {"spleen": 5}}, r"protocols\.p\.anatomy: .*write \{5: spleen\}"),
        ({"anatomy": {0: "air"}}, r"protocols\.p\.anatomy\.0.*at least 1, got 0"),
        ({"anatomy": {2**24: "spleen"}}, r"protocols\.p\.anatomy\.16777216"),
        ({"anatomy": {5: "  "}}, r"protocols\.p\.anatomy\.5"),
        ({"anatomy": {5: "spl\x1b[31meen"}}, r"protocols\.p\.anatomy\.5"),
        ({"anatomy": ["spleen"]}, r"protocols\.p\.anatomy"),
        ({"exclude": "brain"}, r"protocols\.p\.exclude.*list"),
        ({"exclude": ["brain", "x" * 65]}, r"protocols\.p\.exclude\.1"),
        ({"exlude": ["brain"]}, r"protocols\.p\.exlude.*did you mean 'exclude'"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_path(protocol, message):
    with pytest.raises(ConfigError, match=message):
        _parse(**protocol)


def test_the_lungs_rule_is_for_ct_alone():
    assert _parse(modality="CT", objects={"rule": "lung"}).protocols["p"].objects.rule == "lung"
    with pytest.raises(ConfigError, match="for modality CT, not PET"):
        _parse(objects={"rule": "lung"})
