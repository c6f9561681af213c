"""Sweeps of dies as a user calls them: rows, files, resume, bad options."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from helpers.run_calls import call, refused

from bench import evaluate as bench_evaluate
from bench import run as bench_run
from bench.machines.backend import Conditions, Settling, point_key
from bench.machines.crossbar import CrossbarBackend
from bench.machines.crossbar_dies import Point, check_options, device_of, die, points, reference_point
from bench.machines.crossbar_options import CrossbarOptions, DeviceOptions, RemedyOptions, TileOptions
from bench.reports.format import si
from bench.robustness.names import disturbances_of
from bench.run import MainOptions, RunConfig, check, model_of
from hw.crossbar.devices.presets import PRESETS
from mapping.machines import to_digital
from mapping.placement.cores import PlacementError
from models.data import load_data
from models.ep.links import ConvLink, DenseLink
from models.ep.network import EPNetwork
from models.files.checkpoint import manifest_path
from models.zoo import FOLDER, load_model

SHORT = ["--backend", "crossbar", "--limit", "12", "--steps", "6", "--dies", "2"]
CLEAN = ["--disturbances", *SHORT]
"""Attacks take most of a run: only for those who ask about them."""
TIMED = ("wall_s_per_image", "latency_s", "energy_measured_j", "date")


def test_a_sweep_has_a_row_for_every_point_and_pictures_of_it(tmp_path):
    folder = tmp_path / "run"
    sweep = ["--noise-scale", "0", "1", "--hours", "0", "24", "--adc-bits", "8", "None"]
    rows = call(bench_run, *SHORT, *sweep, "--output", str(folder))["rows"]
    reference, *dies = rows
    assert (reference["backend"], reference["precision"], reference["point"]) == ("torch", "float", None)
    points = [(row["point"]["adc_bits"], row["point"]["hours"], row["point"]["noise_scale"]) for row in dies]
    assert points == [(bits, hours, scale) for bits in (8, None) for hours in (0.0, 24.0) for scale in (0.0, 1.0)]
    for row in dies:
        assert row["model"] == "digits-noise-aware"
        assert len(row["accuracy_by_die"]) == 2
        low, high = row["accuracy_ci95"]
        assert 0 <= low <= row["accuracy"] <= high <= 1
        assert row["accuracy"] == pytest.approx(np.mean(row["accuracy_by_die"]))
        assert set(row["dies"][0]) == {"mismatch", "kappa", "programming"}
        assert row["energy_measured_j"] is None
        assert row["latency_s"]["measured"] is None
    disturbed = [row for row in dies if row["robust"]]
    assert [row["point"]["noise_scale"] for row in disturbed] == [1.0], "attacks are shown to one point"
    assert set(disturbed[0]["robust"]) == set(disturbances_of(1))
    clean = [row for row in dies if row["point"] == {**disturbed[0]["point"], "noise_scale": 0.0, "adc_bits": None}]
    assert clean[0]["accuracy"] == reference["accuracy"], "no noise, hardly any rounding: the float answers"
    priced = [set(row["costs"]) for row in dies if row["point"]["adc_bits"] == 8]
    assert all(names == {"hermes-14nm", "aimc-28nm"} for names in priced)
    assert all("dac_bits" in row["unpriced"]["isaac-32nm"] for row in dies)
    names = {file.name for file in folder.iterdir()}
    assert {"sweep-noise_scale.png", "sweep-hours.png", "sweep-adc_bits.png", "energy.png"} <= names
    report = (folder / "report.md").read_text()
    assert report.count("| pcm-nandakumar-2019 |") == 8
    assert "![Accuracy over dies](sweep-hours.png)" in report


def test_a_killed_sweep_goes_on_with_the_points_it_lacks(monkeypatch, tmp_path):
    folder = tmp_path / "run"
    noisy = ["--disturbances", "gaussian-0.2", *SHORT]
    options = [*noisy, "--noise-scale", "0", "2", "--output", str(folder)]
    whole = call(bench_run, *options)["rows"]
    file = folder / "rows.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]) + lines[-1][:40])  # killed while it wrote the last point
    made = []
    evaluate = bench_evaluate.evaluate
    monkeypatch.setattr(
        bench_evaluate, "evaluate", lambda *arguments: made.append(arguments[1].point) or evaluate(*arguments)
    )
    again = call(bench_run, *options, "--resume")["rows"]
    assert [point.noise_scale for point in made] == [2.0]
    untimed = [[{k: v for k, v in row.items() if k not in TIMED} for row in rows] for rows in (whole, again)]
    assert untimed[0] == untimed[1], "a die is its seed: the point made anew is the one that was lost"
    other = [*noisy, "--noise-scale", "0", "4", "--output", str(folder), "--resume"]
    said = refused(bench_run, *other)
    assert "noise_scale = [0.0, 2.0], not [0.0, 4.0]" in said


def test_of_all_presets_those_without_published_retention_get_an_empty_row(tmp_path):
    options = ["--backend", "crossbar", "--limit", "2", "--steps", "2", "--dies", "1", "--device-preset", "all"]
    options += ["--disturbances"]
    rows = call(bench_run, *options, "--output", str(tmp_path / "run"))["rows"][1:]
    assert [row["point"]["device"] for row in rows] == list(PRESETS)
    for row in rows:
        assert (row["accuracy"] is None) == (PRESETS[row["point"]["device"]].retention is None)
    assert "| pcm-joshi-2020 | 1 | 1 | 8 | 256 | - |" in (tmp_path / "run" / "report.md").read_text()


def test_written_pulse_by_pulse_a_row_tells_the_pulses(tmp_path):
    options = [*CLEAN, "--device-preset", "li-ecram-2018", "--hours", "0", "--programming", "write-verify"]
    row = call(bench_run, *options, "--output", str(tmp_path / "run"))["rows"][1]
    devices = 0
    for programming in (drawn["programming"] for drawn in row["dies"]):
        assert programming["devices"] == 2 * (25 * 32 + 288 * 32 + 512 * 10), "pairs of links 1, 2 and the readout"
        assert programming["pulses"] > programming["devices"]
        assert programming["pulses"] <= programming["verify_reads"] <= programming["pulses"] + programming["devices"]
        assert programming["energy_j"] is None, "no voltage of a pulse is published"
        devices += programming["devices"]
    ledger = row["tiles"]["written"]
    assert ledger["devices"] == devices
    assert ledger["pulses"] == sum(die["programming"]["pulses"] for die in row["dies"])
    pulses = si(ledger["pulses"] / 2, "")
    assert f"| {pulses} | - |" in (tmp_path / "run" / "report.md").read_text()
    with (tmp_path / "run" / "summary.csv").open() as stream:
        _, line = csv.DictReader(stream)
    assert float(line["written_per_die.pulses"]) == ledger["pulses"] / 2
    assert line["written_per_die.energy_j"] == ""


def test_pulses_of_a_known_voltage_and_length_have_joules(tmp_path):
    """2 V for 1 us into 2 to 20 uS: 8 to 80 pJ a pulse."""
    file = tmp_path / "mine.toml"
    file.write_text(
        'base = "li-ecram-2018"\nname = "mine"\n[pulses]\nkind = "linear-step"\ng_min_s = 2e-6\ng_max_s = 20e-6\n'
        "zero_s = 10e-6\nstep_s = 5e-7\nvoltage_v = 2.0\nwidth_s = 1e-6\n"
    )
    options = [*CLEAN, "--device-preset", str(file), "--hours", "0", "--programming", "write-verify"]
    row = call(bench_run, *options, "--output", str(tmp_path / "run"))["rows"][1]
    written = row["tiles"]["written"]
    assert 8e-12 < written["energy_j"] / written["pulses"] < 80e-12
    assert written["energy_j"] == pytest.approx(sum(die["programming"]["energy_j"] for die in row["dies"]))
    assert f"| {si(written['energy_j'] / 2, 'J')} |" in (tmp_path / "run" / "report.md").read_text()


def test_stuck_devices_of_a_file_stay_unless_the_command_says_otherwise(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "ideal"\nname = "mine"\nstuck_on = 0.02\nstuck_off = 0.03\n')
    options = CrossbarOptions(DeviceOptions((str(file),)))
    (point,) = points(options)
    for faults, expected in (({}, (0.02, 0.03)), ({"stuck_on": 0.0}, (0.0, 0.03)), ({"stuck_off": 0.1}, (0.02, 0.1))):
        device = device_of(point, replace(options, device=replace(options.device, **faults)))
        assert (device.stuck_on, device.stuck_off) == expected


def test_a_die_is_read_at_a_temperature_that_its_device_and_its_wires_have(tmp_path):
    file = tmp_path / "warm.toml"
    file.write_text('base = "ideal"\nname = "warm"\ntemperature = {activation_ev = 0.05, reference_k = 300}\n')
    options = [*CLEAN, "--device-preset", str(file), "--wires", "none"]
    heat = []
    for kelvin in ("300", "350"):
        folder = str(tmp_path / kelvin)
        row = call(bench_run, *options, "--kelvin", kelvin, "--no-drift-compensation", "--output", folder)
        heat.append(row["rows"][1]["tiles"]["array_j"][0][0])
    # link 1 sees the same image: exp(0.05 eV / k (1 / 300 K - 1 / 350 K)), k = 8.617e-5 eV / K
    assert heat[1] / heat[0] == pytest.approx(np.exp(0.05 / 8.617333e-5 * (1 / 300 - 1 / 350)), rel=1e-4)
    for kelvin, words in (("600", "200.0 to 500.0 K"), ("1200", "0 to 1000 K"), ("nan", "0 to 1000 K")):
        said = refused(bench_run, *options, "--kelvin", kelvin).replace("\n", " ")
        assert f"--kelvin {float(kelvin)}: temperature is" in said
        assert words in said


def test_a_device_of_the_users_own_is_run_and_known_by_its_content(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('base = "pcm-nandakumar-2019"\nname = "mine"\nsource = "my lab, 2026"\nread_v = 0.1\n')
    folder = tmp_path / "run"
    rows = call(bench_run, *CLEAN, "--device-preset", str(file), "--output", str(folder))["rows"]
    assert rows[1]["point"]["device"] == "mine", "the name that the file says, not where it lies"
    published = call(bench_run, *CLEAN, "--output", str(tmp_path / "other"))["rows"]
    heat = [np.sum(run[1]["tiles"]["array_j"]) for run in (rows, published)]
    assert heat[0] == pytest.approx(heat[1] / 4, rel=0.02), "half the voltage, a quarter of V**2 G t"
    file.write_text(file.read_text().replace("0.1", "0.2"))
    said = refused(bench_run, *CLEAN, "--device-preset", str(file), "--output", str(folder), "--resume")
    assert "device_sha256" in said


def test_two_devices_of_one_name_are_refused(tmp_path):
    files = [tmp_path / name for name in ("a.toml", "b.toml")]
    for file in files:
        file.write_text('base = "ideal"\nname = "mine"\n')
    said = refused(bench_run, *CLEAN, "--device-preset", *map(str, files)).replace("\n", " ")
    assert "is the second device named 'mine'" in said
    files[0].write_text('base = "ideal"\nname = "ideal"\n')
    assert "is the name of a preset" in refused(bench_run, *CLEAN, "--device-preset", str(files[0])).replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--device-preset", "pcm-2099"], ["'pcm-2099'", *PRESETS]),
        (["--device-preset", "no-such.toml"], ["no-such.toml"]),
        (["--device-preset", "all", "ideal"], ["--device-preset all"]),
        (["--device-preset", "pcm-joshi-2020"], ["3600.0 s", "pcm-joshi-2020", "0 s to 0 s"]),
        (["--device-preset", "sonos-2022", "--hours", "1000"], ["sonos-2022", "3600000.0 s", "432000 s"]),
        (["--hours", "-1"], ["--hours is -1"]),
        (["--noise-scale", "-0.5"], ["noise scale is -0.5"]),
        (["--noise-scale", "1", "1"], ["--noise-scale [1.0, 1.0]"]),
        (["--adc-bits", "1"], ["adc_bits is 1", "2 to 24"]),
        (["--tile-size", "0"], ["--tile-size is 0"]),
        (["--dies", "0"], ["--dies is 0"]),
        (["--draws", "0"], ["--draws is 0"]),
        (["--stuck-off", "1.5"], ["stuck_off is 1.5"]),
        (["--encoding", "ternary"], ["'ternary'", "'pair', 'balanced', 'offset'"]),
        (["--wires", "gold"], ["'gold'", "none", "aihwkit"]),
        (["--programming", "write-verify"], ["pcm-nandakumar-2019", "pulse by pulse", "li-ecram-2018"]),
        (["--device-preset", "all", "--kelvin", "350"], ["--device-preset all", "--kelvin"]),
        (["--kelvin", "350"], ["--kelvin 350", "one temperature"]),
        (["--offset-correction", "--neurons", "analog"], ["--offset-correction needs --neurons digital"]),
        (["--slice-bits", "9"], ["slice_bits is 9"]),
        (["--column-gains", "--no-drift-compensation"], ["--column-gains with --no-drift-compensation"]),
    ],
)
def test_what_no_die_can_be_made_of_is_refused_before_anything_runs(options, words):
    said = refused(bench_run, "--backend", "crossbar", *options).replace("\n", " ")
    for word in words:
        assert word in said, said


def aware(backend, model):
    """A run with --noise-aware True."""
    machines = {**RunConfig().machines, "crossbar": CrossbarBackend(remedies=RemedyOptions(noise_aware=True))}
    return RunConfig(MainOptions(backend, model=model), machines=machines)


def test_a_network_trained_with_noise_is_its_own_remedy_and_needs_no_twin(tmp_path):
    options = ["--backend", "crossbar", "--noise-aware", "True"]
    for name, noise, ran in (("own", [0.02, 0.1], "own"), ("plain", [], None)):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes((FOLDER / "digits.safetensors").read_bytes())
        manifest = json.loads((FOLDER / "digits.json").read_text())
        manifest["hyperparameters"]["weight_noise"] = noise
        manifest_path(file).write_text(json.dumps(manifest))
        if ran is None:
            said = refused(bench_run, *options, "--model", str(file))
            assert "plain.safetensors was trained without noise" in said
            assert "plain.safetensors-noise-aware" in said
        else:
            check(aware(("crossbar",), str(file)))
            assert model_of(aware(("crossbar",), str(file))) == str(file)
    check(aware(("crossbar",), "digits-noise-aware"))
    assert model_of(aware(("crossbar",), "digits-noise-aware")) == "digits-noise-aware"
    assert model_of(aware(("crossbar",), "digits")) == "digits-noise-aware"
    assert model_of(aware(("lava",), "digits")) == "digits"


def test_the_grid_has_every_value_with_every_other():
    device = DeviceOptions(noise_scale=(0.5, 1.0), hours=(0.0, 1.0, 2.0))
    options = CrossbarOptions(device, TileOptions(tile_size=(64, 128)))
    grid = points(options)
    assert len(set(grid)) == 12
    assert reference_point(options) == Point("pcm-nandakumar-2019", 1.0, 0.0, 8, 64)
    assert reference_point(replace(options, device=replace(device, noise_scale=(0.5, 2.0)))).noise_scale == 0.5
    assert len({point_key(point) for point in grid}) == 12
    assert Point(**json.loads(point_key(grid[3]))) == grid[3]
    assert point_key(asdict(grid[3])) == point_key(grid[3]), "a row of a file has the key of its point"
    check_options(options)


@pytest.mark.parametrize(("device", "most"), [("reram-wan-2022-crosssim", 0.9), ("pcm-nandakumar-2019", 1.0)])
def test_a_die_with_its_offsets_corrected_is_closer_to_the_network(device, most):
    """Little closer where slow noise, which no correction knows, is the most of it."""
    network, data = load_model("digits"), load_data("digits")
    shown = data.train.first(128).floats().numpy()
    reference = to_digital(network, steps=20).settle(shown).states
    apart = {}
    for corrected in (False, True):
        options = CrossbarOptions(
            DeviceOptions((device,), hours=(0.0,)), remedies=RemedyOptions(offset_correction=corrected)
        )
        (point,) = points(options)
        machine = die(network, point, options, Conditions(Settling(20, 128), shown[:64], 0, "cpu"), index=1)
        states = machine.settle(shown).states
        apart[corrected] = sum(float(np.abs(a - b).mean()) for a, b in zip(states, reference, strict=True))
    assert apart[True] < most * apart[False]


def test_states_that_the_buffers_of_tiles_do_not_hold_are_refused_by_the_link():
    """32 maps of 64 x 64 made of 3 in one tile: 143,360 bytes at 8 bits; behind ideal converters nothing is a byte."""
    wide = ConvLink(torch.zeros(32, 3, 3, 3), torch.zeros(32), (3, 64, 64), padding=1)
    network = EPNetwork((wide, DenseLink(torch.zeros(10, 32 * 64 * 64), torch.zeros(10), (32, 64, 64))))
    with pytest.raises(PlacementError, match=r"link 1 of 2 keeps 143,360 bytes .* it needs 3 tiles, and tiles of 16 x"):
        CrossbarBackend().check_network(network, Settling(), 1)
    for tiles in (TileOptions(input_bits=None), TileOptions(tile_size=(16,)), TileOptions(input_bits=3)):
        CrossbarBackend(tiles=tiles).check_network(network, Settling(), 1)
