"""The crossbar export: what a lab reads in its files is the network, device by device and back."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.exporting import ZOO, called, exported
from helpers.random_nets import mixed_network, networks, program_of, restless_winners
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.crossbar.devices.presets import preset
from hw.crossbar.files.netlist import subcircuit
from hw.crossbar.tiles.wires import preset_wires
from mapping.export.crossbar.format import CrossbarFormat
from models.ep.links import ConvLink
from models.ep.network import EPNetwork
from models.zoo import load_model

PLAIN = CrossbarFormat(worst_ranges=True, pictures=False)


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    """The weights of every link, by arithmetic on the CSV files and layout.json alone, as `encoding.means` says."""
    layout = json.loads((folder / "layout.json").read_text())
    weights = {link["name"]: np.zeros(link["weight"]).reshape(link["weight"][0], -1) for link in layout["links"]}
    links = {link["name"]: link for link in layout["links"]}
    for tile in layout["tiles"]:
        link = links[tile["link"]]
        below = link["weight"][1:] if link["kind"] == "conv" else [*link["below"], 1, 1][:3]
        with (folder / "tiles" / f"{tile['name']}.csv").open() as file:
            rows = list(csv.DictReader(file))
        references = {
            int(row["row"]): float(row["target_s"])
            for row in rows
            if row["sign"] == "0" and int(row["row"]) < tile["rows"] - 1
        }
        assert {row["output"] for row in rows if row["sign"] == "0"} <= {"-1"}
        for row in rows:
            if row["sign"] == "0":
                continue
            place = [int(row[f"input_{name}"]) for name in ("channel", "row", "column")]
            g_s = float(row["target_s"])
            if layout["encoding"]["name"] == "offset":
                g_s -= references[int(row["row"])]
            share = int(row["sign"]) * g_s * tile["weight_per_siemens"] * tile["significance"]
            weights[tile["link"]][int(row["output"]), np.ravel_multi_index(place, below)] += share
    return weights


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    networks(pooling=("none", "average", "max")),
    st.sampled_from(["pair", "balanced", "offset"]),
    st.integers(2, 9),
    st.sampled_from([None, 4, 7]),
)
def test_the_tables_hold_the_network(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, encoding: str, tile_size: int, weight_bits: int | None
) -> None:
    folder = tmp_path_factory.mktemp("crossbar")
    kind = replace(PLAIN, encoding=encoding, tile_size=tile_size, weight_bits=weight_bits)
    exported(network, kind, folder)
    read = weights_of(folder / "out")
    named = {f"link{index}": link for index, link in enumerate(network.links, start=1)}
    named |= {} if network.readout is None else {"readout": network.readout}
    for name, link in named.items():
        weight = link.weight.flatten(1).double().numpy()
        if isinstance(link, ConvLink) and link.pooling == "average":
            weight = (link.weight / link.pool_size**2).flatten(1).numpy()  # float32, as the machine divides
        step = 0 if weight_bits is None else np.abs(weight).max() / (2 ** (weight_bits - 1) - 1)
        np.testing.assert_allclose(read[name], weight, rtol=0, atol=0.5 * step + 1e-6 * np.abs(weight).max())


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo_are_read_back_from_the_tables(tmp_path: Path, name: str) -> None:
    network = load_model(name)
    exported(network, PLAIN, tmp_path)
    for link_name, weight in weights_of(tmp_path / "out").items():
        tensor = network.named_parameters()[f"{link_name}.weight"].flatten(1).double().numpy()
        index = int(link_name[-1]) - 1 if link_name != "readout" else None
        window = 1 if index is None else getattr(network.links[index], "pool_size", 1) ** 2
        np.testing.assert_allclose(weight, tensor / window, rtol=0, atol=1e-6 * np.abs(tensor).max())


@pytest.mark.parametrize(("encoding", "weight_bits"), [("pair", None), ("offset", None), ("balanced", 5)])
def test_every_weight_is_found_on_its_devices(tmp_path: Path, encoding: str, weight_bits: int | None) -> None:
    """places.npz, the way back: tile, row and columns of a weight, in the matrices of the NPZ files."""
    kind = replace(PLAIN, encoding=encoding, weight_bits=weight_bits, tile_size=5)
    exported(mixed_network(), kind, tmp_path)
    out = tmp_path / "out"
    places, layout = np.load(out / "places.npz"), json.loads((out / "layout.json").read_text())
    tiles = {tile["name"]: tile for tile in layout["tiles"]}
    targets = {name: np.load(out / "tiles" / f"{name}.npz")["target_s"] for name in tiles}
    flat = weights_of(out)
    for link in layout["links"]:
        name = link["name"]
        tile, row, plus, minus = (places[f"{name}_{key}"] for key in ("tile", "row", "plus", "minus"))
        assert tile.shape[1:] == (
            *link["weight"][:1],
            *(link["weight"][1:] if link["kind"] == "conv" else [*link["below"], 1, 1][:3]),
        )
        found = np.zeros(tile.shape[1:])
        for index in np.ndindex(tile.shape):
            here = f"{name}-{tile[index]}"
            g_s = targets[here][row[index]]
            second = g_s[minus[index]] if minus[index] >= 0 else g_s[-1]
            found[index[1:]] += (
                tiles[here]["weight_per_siemens"] * tiles[here]["significance"] * (g_s[plus[index]] - second)
            )
        np.testing.assert_allclose(found.reshape(len(found), -1), flat[name], rtol=0, atol=1e-12)


def test_pulses_are_those_of_write_verify(tmp_path: Path) -> None:
    kind = replace(PLAIN, device_preset="reram-hfo2-gong-2022", die_seed=3)
    manifest = exported(mixed_network(), kind, tmp_path)
    tiles = sorted((tmp_path / "out" / "tiles").glob("*.npz"))
    sent = [np.load(file) for file in tiles]
    assert manifest["pulses"] == sum(int(each["pulses_up"].sum() + each["pulses_down"].sum()) for each in sent)
    device = preset("reram-hfo2-gong-2022")
    for file, each in zip(tiles, sent, strict=True):
        low = each["target_s"] < device.g_min_s + 0.01 * (device.g_max_s - device.g_min_s)
        high = each["target_s"] > device.g_min_s + 0.5 * (device.g_max_s - device.g_min_s)
        assert each["pulses_up"][low].mean() < 1 < each["pulses_up"][high].mean()
        with file.with_suffix(".csv").open() as table:
            rows = list(csv.DictReader(table))
        for name in ("pulses_up", "pulses_down", "given_up"):
            assert [int(row[name]) for row in rows] == each[name].ravel().tolist()
        assert [float(row["target_s"]) for row in rows] == each["target_s"].ravel().tolist()


def test_ranges_of_the_converters_are_those_that_training_images_need(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ("digits", "--to", "crossbar", "--no-pictures")
    assert called(capsys, *ask, "--output", tmp_path / "images")[0] == 0
    assert called(capsys, *ask, "--output", tmp_path / "worst", "--worst-ranges")[0] == 0
    assert called(capsys, *ask, "--output", tmp_path / "ideal", "--adc-bits", "None")[0] == 0
    images, worst, ideal = (
        json.loads((tmp_path / name / "layout.json").read_text())["tiles"] for name in ("images", "worst", "ideal")
    )
    for small, large, none in zip(images, worst, ideal, strict=True):
        assert 0 < small["adc_range_up"] < large["adc_range_up"]
        assert none["adc_range_up"] is None
    biases = np.load(tmp_path / "images" / "biases.npz")
    network = load_model("digits")
    np.testing.assert_array_equal(biases["link1"].ravel(), network.links[0].bias.numpy())


def test_a_device_file_goes_with_the_export_and_pictures_are_drawn(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nbase = "ideal"\ng_max_s = 20e-6\n')
    exported(restless_winners(), CrossbarFormat(device_preset=str(file), worst_ranges=True), tmp_path)
    assert (tmp_path / "out" / "device.toml").read_text() == file.read_text()
    layout = json.loads((tmp_path / "out" / "layout.json").read_text())
    assert (layout["device"]["name"], layout["device"]["g_max_s"]) == ("mine", 20e-6)
    for tile in layout["tiles"]:
        assert (tmp_path / "out" / "tiles" / f"{tile['name']}.png").stat().st_size > 1000


def test_a_program_sits_on_tiles_with_its_integers(tmp_path: Path) -> None:
    program = program_of(mixed_network(), state_bits=7, seed=2)
    exported(program, PLAIN, tmp_path)
    for name, weight in weights_of(tmp_path / "out").items():
        integers = program.named_links()[name].weight.reshape(len(weight), -1)
        np.testing.assert_array_equal(np.rint(weight), integers)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--tile-size", "0"), "--tile-size is 0"),
        (("--device-preset", "pcm"), "pcm"),
        (("--device-preset", "/no/such.toml"), "such.toml"),
        (("--weight-bits", "1"), "weight_bits is 1"),
        (("--verify-tolerance", "0"), "tolerance is 0"),
        (("--die-seed", "-1"), "--die-seed is -1"),
    ],
)
def test_a_chip_there_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    code, _, error = called(capsys, "digits", "--to", "crossbar", "--output", tmp_path / "out", *options)
    assert (code, error.count("\n")) == (2, 1)
    assert says in error


def test_an_option_of_another_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = called(capsys, "digits", "--to", "c", "--output", tmp_path / "out", "--tile-size=64")
    assert code == 2
    assert "--tile-size is an option of the format crossbar, not of c" in error


def test_netlists_are_those_of_the_targets_with_the_wires_asked_for(tmp_path: Path) -> None:
    exported(mixed_network(), replace(PLAIN, spice="mnsim"), tmp_path)
    tiles = tmp_path / "out" / "tiles"
    expected_names = {file.stem + end for file in tiles.glob("*.csv") for end in ("", "-up", "-down")}
    assert {file.stem for file in tiles.glob("*.cir")} == expected_names
    with np.load(tiles / "link1-1.npz") as held:
        expected = subcircuit("link1_1", held["target_s"], preset_wires("mnsim"))
    assert (tiles / "link1-1.cir").read_text() == expected
    with pytest.raises(ValueError, match=r"wires 'gold' unknown, choices are none"):
        replace(PLAIN, spice="gold").check()
