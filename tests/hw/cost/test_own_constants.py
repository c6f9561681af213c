"""Constants of a user's own file: priced beside the published ones, refused by name where they cannot be defended."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hw.cost.constants import TABLE
from hw.cost.constants.own import MODELLED, NAMES_TAKEN, read_own
from hw.cost.crossbar_profiles import CROSSBAR_PROFILES, OF_GROUP, crossbar_profiles
from hw.cost.loihi import loihi_cost
from hw.cost.profiles import OF_GROUP as LOIHI_OF_GROUP
from hw.cost.profiles import PROFILES, loihi_profiles
from hw.cost.spiking import SPIKING
from hw.events.messages import COLUMNS, MessageEvents
from hw.ledger import Ledger

SYNAPSE = '[mine.synapse_energy]\nnominal = 50e-12\nunit = "J"\nsource = "our own board, page 4"\n'
LIKE = '[mine]\nlike = "davies2018"\n'


def written(folder: Path, text: str, name: str = "own.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def one_synapse() -> Ledger:
    """One image and step: 1 unit of the input sends one message of 1000 operations."""
    events = np.zeros((1, 2, len(COLUMNS)))
    events[0, 0, COLUMNS.index("synops_up")] = 1000
    messages = MessageEvents(np.array([1]), (1, 1), (1, 1), ("dense",), events, events, events, "delta", 0.0)
    return Ledger(1, messages)


def test_a_profile_takes_its_constants_from_the_file_and_the_others_from_its_group(tmp_path: Path) -> None:
    (own,) = read_own([written(tmp_path, LIKE + SYNAPSE)])
    assert own.constants["synapse_energy"].nominal == own.constants["synapse_energy"].high == 50e-12
    assert {name for name in own.constants if own.constants[name] != TABLE["davies2018"][name]} == {"synapse_energy"}
    priced = {name: loihi_cost(one_synapse(), profile) for name, profile in loihi_profiles([own]).items()}
    assert list(priced) == ["davies2018", "sanafe", "mine"]
    assert priced["mine"].profile == "mine"
    difference = priced["mine"].breakdown_j["synapses"] - priced["davies2018"].breakdown_j["synapses"]
    assert difference == pytest.approx(1000 * (50e-12 - 23.6e-12))
    assert priced["mine"].breakdown_j["neurons"] == priced["davies2018"].breakdown_j["neurons"]


def test_a_crossbar_profile_of_ones_own_reads_as_the_file_says(tmp_path: Path) -> None:
    text = '[fast]\nlike = "hermes2023"\n[fast.one_phase_read_time]\nnominal = 50e-9\nunit = "s"\n'
    (own,) = read_own([written(tmp_path, text + 'source = "our own chip, page 2"\n')])
    fast, published = crossbar_profiles([own])["fast"], CROSSBAR_PROFILES["hermes-14nm"]
    assert fast.adc_s(8, 256).nominal == 50e-9
    assert fast.adc_s(8, 256).high == published.adc_s(8, 256).high
    assert fast.adc.energy_j(8) == published.adc.energy_j(8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LIKE + SYNAPSE.replace('unit = "J"\n', ""), "own.toml: mine.synapse_energy has no unit"),
        (LIKE + SYNAPSE.replace('source = "our own board, page 4"\n', ""), "mine.synapse_energy has no source"),
        (LIKE + SYNAPSE.replace("our own board, page 4", "me"), "mine.synapse_energy: source 'me' says too little"),
        (
            LIKE + SYNAPSE.replace('"J"', '"pJ"'),
            "mine.synapse_energy.unit is 'pJ', davies2018.synapse_energy is in 'J'",
        ),
        (LIKE + SYNAPSE.replace("50e-12", '"50 pJ"'), "mine.synapse_energy.nominal is '50 pJ', must be a number"),
        (LIKE + SYNAPSE + "low = 1e-12\n", "mine.synapse_energy has low alone"),
        (LIKE + SYNAPSE + "low = 60e-12\nhigh = 70e-12\n", "low 6e-11, nominal 5e-11, high 7e-11"),
        (LIKE + SYNAPSE + "nomnal = 1\n", "has 'nomnal', known are low, nominal"),
        (
            LIKE + SYNAPSE.replace("synapse_energy", "synapse_enrgy"),
            r"no constant of davies2018 \(nearest: synapse_ene",
        ),
        (SYNAPSE, "mine has no `like`"),
        (LIKE.replace("davies2018", "davis2018") + SYNAPSE, r"mine.like is 'davis2018' \(nearest: davies2018\)"),
        (LIKE.replace("mine", "sanafe"), "two profiles of one name: 'sanafe' is published"),
        (LIKE + LIKE, "own.toml: .*"),
        ("", "holds no profile"),
        ("mine = 3", "mine has no `like`"),
    ],
)
def test_what_cannot_be_defended_is_refused_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_own([written(tmp_path, text)])


def test_two_files_with_one_name_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    files = [written(tmp_path, LIKE + SYNAPSE, name) for name in ("a.toml", "b.toml")]
    with pytest.raises(ValueError, match=r"b.toml: two profiles of one name: 'mine' is in .*a.toml too"):
        read_own(files)
    with pytest.raises(ValueError, match=r"none\.toml: No such file"):
        read_own([tmp_path / "none.toml"])


def test_every_group_that_a_file_may_start_from_makes_a_profile_and_no_published_name_is_free() -> None:
    assert {*LOIHI_OF_GROUP, *OF_GROUP} == set(MODELLED)
    assert {*TABLE, *PROFILES, *CROSSBAR_PROFILES, *SPIKING} <= set(NAMES_TAKEN)
