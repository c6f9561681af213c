"""Devices fitted to measurements: what a known device was measured as gives that device back."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from hw.crossbar.devices.curves import ConstantCurve, Polynomial
from hw.crossbar.devices.device import Device
from hw.crossbar.devices.device_array import program
from hw.crossbar.devices.device_file import load_device
from hw.crossbar.devices.fit.card import draw_card
from hw.crossbar.devices.fit.card import main as card
from hw.crossbar.devices.fit.cited import PROGRAMMING
from hw.crossbar.devices.fit.command import main
from hw.crossbar.devices.fit.to_toml import device_toml
from hw.crossbar.devices.presets import PRESETS
from hw.crossbar.devices.pulses import LinearStep
from hw.crossbar.devices.retention import PowerLawDrift

US = 1e-6
TRUE = Device(
    name="true",
    source="made up",
    g_min_s=2 * US,
    g_max_s=22 * US,
    read_v=0.3,
    read_s=1e-7,
    programming=Polynomial((0.3, 1.2, -0.7), reference_s=22 * US, unit=US),
    fresh=Polynomial((0.02, 0.1), reference_s=22 * US, unit=US),
    retention=PowerLawDrift(Polynomial((0.06, -0.03), reference_s=22 * US), ConstantCurve(0.01), t0_s=20.0),
    pulses=LinearStep(
        g_min_s=2 * US,
        g_max_s=22 * US,
        zero_s=12 * US,
        step_s=0.4 * US,
        step_dtod=0.2,
        up_down=0.25,
        cycle=0.3,
        gamma_up=0.6,
        gamma_down=0.4,
        multiplicative=False,
    ),
)
"""Measured below."""
HEADER = "kind,device,target_s,seconds,pulse,g_s\n"


def measured(device: Device, seed: int = 3) -> str:
    """A table as a prober would write it."""
    rng, lines = np.random.default_rng(seed), []
    targets_s = np.linspace(device.g_min_s, device.g_max_s, 7)
    array = program(np.repeat(targets_s[:, None], 1000, axis=1), device, rng)
    for k, target_s in enumerate(targets_s):
        lines += [f"program,,{target_s!r},,,{g!r}" for g in array.programmed_s[k].tolist()]
        for time_s in (0.0, 100.0, 1e3, 1e4, 1e5):
            aged = array.at(time_s).conductance_s()[k, :150].tolist()
            lines += [f"drift,d{k}-{n},{target_s!r},{time_s + 20.0!r},,{g!r}" for n, g in enumerate(aged)]
        reads = target_s + device.fresh(np.full(600, target_s)) * rng.standard_normal(600)
        lines += [f"read,r{k},,,,{g!r}" for g in reads.tolist()]
    assert device.pulses is not None
    steps = device.pulses.draw((60,), rng)
    g_s = np.full(60, 12 * US)
    rows = [(0, g_s)]
    for count in range(240):
        up = np.full(60, (count // 12) % 2 == 0)
        g_s = device.pulses.pulse(g_s, up, steps, rng)
        seen_s = g_s + device.fresh(g_s) * rng.standard_normal(60)
        rows.append((1 if up[0] else -1, seen_s))
    for n in range(60):
        lines += [f"pulse,p{n},,,{pulse},{g[n]!r}" for pulse, g in rows]
    return HEADER + "\n".join(lines) + "\n"


def test_a_measured_device_is_found_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "curves.csv"
    table.write_text(measured(TRUE))
    target, picture = tmp_path / "mine.toml", tmp_path / "card.png"
    assert main([str(table), "--output", str(target), "--picture", str(picture), "--read-v", "0.3"]) == 0
    told = capsys.readouterr().out
    assert "programming: 7 points" in told
    assert "assumed: read_s 2.5e-07 s" in told
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = load_device(target)
    assert (found.name, found.g_min_s, found.g_max_s, found.read_v) == ("mine", 2 * US, pytest.approx(22 * US), 0.3)
    g_s = np.linspace(2 * US, 22 * US, 9)
    np.testing.assert_allclose(found.programming(g_s), TRUE.programming(g_s), rtol=0.07)
    np.testing.assert_allclose(found.fresh(g_s), TRUE.fresh(g_s), rtol=0.08)
    law, true = found.retention, TRUE.retention
    assert isinstance(law, PowerLawDrift)
    assert isinstance(true, PowerLawDrift)
    assert (law.t0_s, law.longest_s) == (20.0, 1e5)
    np.testing.assert_allclose(law.nu_mean(g_s), true.nu_mean(g_s), atol=0.002)
    np.testing.assert_allclose(law.nu_sigma(g_s), true.nu_sigma(g_s), rtol=0.15)
    pulses, known = found.pulses, TRUE.pulses
    assert isinstance(pulses, LinearStep)
    assert isinstance(known, LinearStep)
    for name, relative in (("step_s", 0.1), ("cycle", 0.1), ("step_dtod", 0.35), ("up_down", 0.2)):
        assert getattr(pulses, name) == pytest.approx(getattr(known, name), rel=relative), name
    assert pulses.gamma_up == pytest.approx(0.6, abs=0.15)
    assert pulses.gamma_down == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_its_device_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "same.toml"
    file.write_text(device_toml(PRESETS[name]), encoding="utf-8")
    assert load_device(file) == PRESETS[name]


def test_scaled_noise_has_no_name_in_a_file() -> None:
    with pytest.raises(ValueError, match=r"programming is a Scaled, kinds are constant"):
        device_toml(TRUE.noisy(2.0))


def test_a_card_is_drawn_of_presets_and_files_only(tmp_path: Path) -> None:
    draw_card(PRESETS["li-ecram-2018"], (), tmp_path / "card.png")
    assert (tmp_path / "card.png").read_bytes().startswith(b"\x89PNG")
    assert card(["pcm-joshi", "--output", str(tmp_path / "x.png")]) == 2
    assert card(["ideal", "--output", str(tmp_path / "x.pdf")]) == 2


def test_cited_figures_are_those_of_other_fits_and_of_none_but_presets() -> None:
    """The formulas once more, of the sources that the figures name."""
    joshi = [0.28638599 + 0.07585724 * g - 0.00178767 * g**2 for g in (5, 12.5, 25)]
    nandakumar = [0.26348 + 1.9650 * x - 1.1731 * x**2 for x in (0.2, 0.5, 1)]
    crosssim = [1.053 + 0.2374 * g - 1.167e-2 * g**2 + 1.536e-4 * g**3 for g in (10, 20, 40)]
    aihwkit = [0.348 + 16.030 * x - 43.853 * x**2 + 45.393 * x**3 - 16.815 * x**4 for x in (0.25, 0.5, 1)]
    assert PROGRAMMING.keys() <= PRESETS.keys()
    for name, figures in (
        ("pcm-nandakumar-2019", joshi),
        ("pcm-joshi-2020", nandakumar),
        ("reram-wan-2022-aihwkit", crosssim),
        ("reram-wan-2022-crosssim", aihwkit),
    ):
        assert PROGRAMMING[name].sigma_us == pytest.approx(figures, abs=0.006)


def legends(device: Device) -> str:
    """All that the legends of a card say."""
    told: list[str] = []

    def kept(figure: Figure, *_: object, **__: object) -> None:
        drawn = [axes.get_legend() for axes in figure.axes]
        told.extend(text.get_text() for legend in drawn if legend is not None for text in legend.get_texts())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", kept)
        draw_card(device, (), Path("card.png"))
    return "\n".join(told)


def test_a_card_shows_other_figures_or_says_that_there_are_none() -> None:
    nandakumar = PRESETS["pcm-nandakumar-2019"]
    told = legends(nandakumar)
    assert "Joshi et al. 2020, Fig. 3b as CrossSim fits it" in told
    assert told.count("formula of the source; no published points") == 2, "read noise and retention"
    assert "Joshi" not in legends(replace(nandakumar, g_max_s=20 * US)), "another device of the same name"


@pytest.mark.slow
def test_every_preset_has_a_card(tmp_path: Path) -> None:
    assert card(["all", "--output", str(tmp_path)]) == 0
    assert {file.stem for file in tmp_path.glob("*.png")} == set(PRESETS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("kind,g\n", r"columns are kind, g, expected kind, device"),
        (HEADER + "programme,,1e-6,,,1e-6\n", r"line 2: kind is 'programme', choices are program, drift, read, pulse"),
        (HEADER + "program,,1e-6,,,\n", r"line 2: g_s is missing, program needs target_s, g_s"),
        (HEADER + "program,,1e-6,,,12.5\n", r"line 2: g_s is '12.5', expected siemens, 0 to 0.1"),
        (HEADER + "program,,1e-6,,,-1e-6\n", r"g_s is '-1e-6', expected siemens"),
        (HEADER + "drift,a,1e-6,0,,1e-6\n", r"seconds is '0', expected seconds since the last write pulse"),
        (HEADER + "pulse,a,,,2,1e-6\n", r"pulse is '2', expected 1 for a pulse up"),
        (HEADER + "program,,1e-6,,,1e-6\n" * 3, r"program: 1 different target_s, expected 2 or more"),
        (HEADER + "program,,1e-6,,,1e-6\n" * 3 + "program,,2e-6,,,2e-6\n", r"program: 1 devices at target_s 2e-06"),
    ],
)
def test_bad_tables_are_refused(table: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "curves.csv"
    file.write_text(table)
    assert main([str(file), "--output", str(tmp_path / "mine.toml")]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert not (tmp_path / "mine.toml").exists()


def test_a_file_that_is_there_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.toml").write_text("kept")
    assert main([str(tmp_path / "curves.csv"), "--output", str(tmp_path / "mine.toml")]) == 2
    assert "exists: give another name, or --force" in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text() == "kept"
