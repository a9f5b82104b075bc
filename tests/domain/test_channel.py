import pytest

from somray.domain.channel import Channel, channels_of, kinds_of


@pytest.mark.parametrize("name", ["PET", "pet_ac", "SUVbw", "FDG", "PT1"])
def test_channels_of_petct_are_told_by_their_names(name):
    assert channels_of("PETCT", ("CT", name)) == (Channel("CT", "CT"), Channel(name, "PET"))
    assert [channel.is_uptake for channel in channels_of("PETCT", (name, "low_dose"))] == [1, 0]


@pytest.mark.parametrize("modality", ["CT", "PET", "MR", "XCT", "other"])
def test_channels_of_one_modality_measure_that(modality):
    assert kinds_of(channels_of(modality, ("PET", "FLAIR"))) == (modality, modality)
