"""Device files: what a user may write, and what the error says when it is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from hw.crossbar.devices import device_file
from hw.crossbar.devices.curves import ClampedLog, ConstantCurve, PerConductance, Piecewise, Points, Polynomial
from hw.crossbar.devices.device import Flicker, Nonlinearity, Telegraph, Temperature
from hw.crossbar.devices.device_file import KINDS, load_device
from hw.crossbar.devices.presets import preset
from hw.crossbar.devices.pulses import ExpStep, LinearStep
from hw.crossbar.devices.retention import Broadening, LogRelaxation, PowerLawDrift

PLAIN = """
name = "mine"
source = "measured"
g_min_s = 1e-6
g_max_s = 50e-6
read_v = 0.2
read_s = 100e-9
programming = {kind = "polynomial", coefficients = [0.1, 0.5], reference_s = 50e-6, unit = 1e-6}
fresh = {kind = "constant", value = 1e-7}
"""


def _file(folder: Path, text: str, name: str = "device.toml") -> Path:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    return path


def test_the_example_of_the_docstring(tmp_path: Path) -> None:
    assert device_file.__doc__ is not None
    start, end = device_file.__doc__.index("    name ="), device_file.__doc__.index("`base =")
    device = load_device(_file(tmp_path, device_file.__doc__[start:end]))
    assert device.name == "my-reram"
    assert isinstance(device.retention, Broadening)
    assert device.retention.longest_s == 86400.0
    middle = np.array([25e-6])
    assert device.programming(middle)[0] == pytest.approx(1.1e-6)
    assert device.retention.moments(middle, 86400.0)[1][0] == pytest.approx(1.9e-6)


def test_defaults_are_those_of_the_device(tmp_path: Path) -> None:
    device = load_device(_file(tmp_path, PLAIN))
    assert device.programming == Polynomial((0.1, 0.5), reference_s=50e-6, unit=1e-6)
    assert device.fresh == ConstantCurve(1e-7)
    assert (device.retention, device.flicker, device.pulses) == (None, None, None)
    assert device.stuck_on == 0


def test_everything_a_device_can_have(tmp_path: Path) -> None:
    device = load_device(
        _file(
            tmp_path,
            PLAIN
            + """
            stuck_on = 0.01
            stuck_off = 0
            assumed = "nothing"
            telegraph = {share = 0.1, relative = 0.05}
            temperature = {activation_ev = 0.2, reference_k = 300}

            [retention]
            kind = "power-law-drift"
            nu_mean = {kind = "clamped-log", slope = -0.02, offset = 0.02, reference_s = 5e-5, low = 0.05, high = 0.1}
            nu_sigma = {kind = "constant", value = 0.01}
            t0_s = 20
            longest_s = inf

            [flicker]
            read_s = 250e-9
            start_s = 20.0
            [flicker.relative]
            kind = "piecewise"
            split_s = 5e-6
            below = {kind = "constant", value = 0.02}
            above = {kind = "per-conductance", curve = {kind = "constant", value = 1e-7}}

            [nonlinearity]
            largest_v = 0.5
            second = {kind = "constant", value = 0.0}
            third = {kind = "points", g_s = [1e-6, 50e-6], value = [0.0, 1e-6], outside = "hold"}

            [pulses]
            kind = "linear-step"
            g_min_s = 1e-6
            g_max_s = 50e-6
            zero_s = 25e-6
            step_s = 1e-7
            multiplicative = false
            cycle = 0.3
            voltage_v = 1.5
            """.replace("\n            ", "\n"),
        )
    )
    assert device.stuck_on == 0.01
    assert device.telegraph == Telegraph(0.1, 0.05)
    assert device.temperature == Temperature(0.2, 300.0)
    assert device.retention == PowerLawDrift(ClampedLog(-0.02, 0.02, 5e-5, 0.05, 0.1), ConstantCurve(0.01), 20.0)
    assert device.flicker == Flicker(
        Piecewise(5e-6, ConstantCurve(0.02), PerConductance(ConstantCurve(1e-7))), 250e-9, 20.0
    )
    third = Points((1e-6, 50e-6), (0.0, 1e-6), outside="hold")
    assert device.nonlinearity == Nonlinearity(ConstantCurve(0.0), third, 0.5)
    assert isinstance(device.pulses, LinearStep)
    assert (device.pulses.multiplicative, device.pulses.voltage_v, device.pulses.width_s) == (False, 1.5, None)


def test_json_says_the_same(tmp_path: Path) -> None:
    table = {
        "name": "mine",
        "source": "measured",
        "g_min_s": 1e-6,
        "g_max_s": 50e-6,
        "read_v": 0.2,
        "read_s": 100e-9,
        "programming": {"kind": "polynomial", "coefficients": [0.1, 0.5], "reference_s": 50e-6, "unit": 1e-6},
        "fresh": {"kind": "constant", "value": 1e-7},
    }
    assert load_device(_file(tmp_path, json.dumps(table), "device.json")) == load_device(_file(tmp_path, PLAIN))
    assert load_device(str(tmp_path / "device.json")).name == "mine"


def test_other_kinds_of_retention_and_pulses(tmp_path: Path) -> None:
    relaxed = PLAIN + (
        '[retention]\nkind = "log-relaxation"\nmean_slope_s = -1e-7\nsigma_slope_s = 1e-8\nsigma_offset_s = 4e-7\n'
        "first_s = 1.0\nlongest_s = 1e6\n"
        '[pulses]\nkind = "exp-step"\ng_min_s = 0\ng_max_s = 2e-5\nzero_s = 1e-5\nstep_s = 1e-8\na = -0.5\nb = -0.5\n'
        "amplitude_up = -1.2\namplitude_down = -0.08\ngamma_up = 5\ngamma_down = 5\n"
    )
    device = load_device(_file(tmp_path, relaxed))
    assert device.retention == LogRelaxation(-1e-7, 1e-8, 4e-7, 1.0, 1e6)
    assert isinstance(device.pulses, ExpStep)


def test_a_preset_with_changes(tmp_path: Path) -> None:
    text = """
    base = "pcm-nandakumar-2019"
    name = "quieter"
    fresh = {kind = "constant", value = 0.0}
    stuck_off = 0.02
    """
    expected = replace(preset("pcm-nandakumar-2019"), name="quieter", fresh=ConstantCurve(0.0), stuck_off=0.02)
    assert load_device(_file(tmp_path, text)) == expected


def _without(key: str) -> str:
    return "\n".join(line for line in PLAIN.splitlines() if not line.startswith(key))


LAW = '\n[retention]\nkind = "broadening"\nseconds = [1.0, 9.0]\nsigma = [{}, {}]\n'
MILO = 'base = "reram-milo-2021"\nname = "x"\n'
FLAT, BELOW = '{kind = "constant", value = 0.0}', '{kind = "constant", value = -0.1}'
POINTS = '{kind = "points", g_s = [60e-6, 70e-6], value = [0.1, 0.1]}'
QUIET = f"programming = {FLAT}\nfresh = {FLAT}\n"
SAME = '{kind = "polynomial", coefficients = [0.1, 0.5], reference_s = 50e-6, unit = 1e-6}'


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (PLAIN + "g_mx_s = 1e-6", ["unknown key g_mx_s", "g_max_s", "programming"]),
        (PLAIN.replace("unit =", "units ="), ["unknown key programming.units", "coefficients", "reference_s"]),
        (_without("read_v"), ["read_v is missing"]),
        (PLAIN.replace("coefficients = [0.1, 0.5], ", ""), ["programming.coefficients is missing"]),
        (PLAIN.replace('kind = "constant", ', ""), ["fresh.kind is missing", "constant", "points"]),
        (PLAIN.replace('"constant"', '"gaussian"'), ["fresh.kind is 'gaussian'", "constant", "piecewise"]),
        (PLAIN + LAW.replace("broadening", "decay").format(SAME, SAME), ["retention.kind is 'decay'", "broadening"]),
        (PLAIN + '[pulses]\nkind = "step"', ["pulses.kind is 'step'", "linear-step, exp-step"]),
        (PLAIN.replace("g_max_s = 50e-6", 'g_max_s = "50 uS"'), ["g_max_s is '50 uS', expected a number"]),
        (PLAIN.replace("[0.1, 0.5]", "0.1"), ["programming.coefficients is 0.1, expected a list"]),
        (PLAIN.replace("0.1, 0.5", "0.1, true"), ["programming.coefficients[1] is True, expected a number"]),
        (PLAIN.replace("1e-7}", "nan}"), ["fresh.value is nan, expected a number"]),
        (PLAIN.replace("1e-7}", "inf}"), ["fresh.value is inf, expected a number"]),
        (PLAIN.replace('"measured"', "3"), ["source is 3, expected text"]),
        (PLAIN.replace('fresh = {kind = "constant", value = 1e-7}', "fresh = 1e-7"), ["fresh is 1e-07", "a table"]),
        (PLAIN.replace("g_min_s = 1e-6", "g_min_s = 60e-6"), ["'mine'", "expected 0 <= g_min_s < g_max_s"]),
        (PLAIN.replace("reference_s = 50e-6", "reference_s = 0"), ["programming: reference_s is 0.0"]),
        (PLAIN.replace("[0.1, 0.5]", "[0.1, -0.5]"), ["programming is -", "cannot be negative"]),
        (PLAIN.replace("value = 1e-7", "value = -1e-7"), ["fresh is -1e-07 at 1e-06 S"]),
        (
            PLAIN.replace(
                'fresh = {kind = "constant", value = 1e-7}',
                'fresh = {kind = "points", g_s = [5e-6, 50e-6], value = [1e-7, 1e-7]}',
            ),
            ["fresh: conductance 1e-06 S is outside the measured 5e-06 S to 5e-05 S"],
        ),
        (
            PLAIN.replace(
                'fresh = {kind = "constant", value = 1e-7}',
                'fresh = {kind = "points", g_s = [1e-6, 50e-6], value = [1e-7, 1e-7], outside = "guess"}',
            ),
            ["fresh.outside is 'guess'", "'refuse', 'hold'"],
        ),
        (PLAIN + LAW.format(SAME, SAME).replace("9.0", "0.5"), ["retention: times of measurement", "ascend"]),
        (PLAIN + LAW.format(SAME, '{kind = "constant", value = -1e-9}'), ["retention.sigma[1] is -1e-09"]),
        (PLAIN + LAW.format(SAME, '{kind = "constant"}'), ["retention.sigma[1].value is missing"]),
        (PLAIN + LAW.format('{kind = "constant", value = 1e-6}', SAME), ["programming is", "retention.sigma[0]"]),
        ('base = "pcm"\nname = "x"', ["base: no device is called 'pcm'", "pcm-joshi-2020"]),
        ('base = ["ideal"]\nname = "x"', ["base"]),
        ('base = "ideal"', ["name is missing"]),
        ('base = "ideal"\nname = "x"\ng_max = 1', ["unknown key g_max;"]),
        ('base = "ideal"\nname = "x"\nread_v = 99.0', ["read_v is 99.0 V"]),
        (
            'base = "reram-milo-2021"\nname = "x"\ng_max_s = 500e-6',
            [
                "g_max_s is 0.0005 S, outside the 5e-05 S to 0.000225 S on which the laws of reram-milo-2021",
                "programming, fresh, nonlinea",
            ],
        ),
        (f"{MILO}g_min_s = 1e-6\n{QUIET}", ["g_min_s is 1e-06 S", "give your own of nonlinearity"]),
        (f"{MILO}read_v = 0.6", ["read_v is 0.6 V, its I-V curve is published up to 0.5 V"]),
        (f"{MILO}telegraph = {{share = 2.0, relative = 0.1}}", ["telegraph: share is 2.0, expected 0 to 1"]),
        (f"{MILO}telegraph = {{share = 0.2, relative = 2.1}}", ["telegraph: relative is 2.1, expected 0 to 2"]),
        (f"{MILO}flicker = {{relative = {FLAT}, read_s = 0.0}}", ["flicker: read_s is 0.0 s"]),
        (f"{MILO}flicker = {{relative = {FLAT}, read_s = 1e-6, start_s = -1}}", ["flicker: start_s is -1.0 s"]),
        (f"{MILO}flicker = {{relative = {BELOW}, read_s = 1e-6}}", ["flicker.relative is -0.1", "cannot be negative"]),
        (f"{MILO}temperature = {{activation_ev = 0.1, reference_k = 0}}", ["temperature: reference_k is 0.0 K"]),
        (f"{MILO}temperature = {{activation_ev = 99, reference_k = 300}}", ["temperature: activation_ev is 99.0 eV"]),
        (
            f"{MILO}nonlinearity = {{largest_v = 0, second = {FLAT}, third = {FLAT}}}",
            ["nonlinearity: largest_v is 0.0"],
        ),
        (
            f"{MILO}nonlinearity = {{largest_v = 0.5, second = {POINTS}, third = {FLAT}}}",
            ["nonlinearity.second: conductance 0.0 S is outside", "use outside = 'hold'"],
        ),
        (
            f'{MILO}retention = {{kind = "power-law-drift", nu_mean = {POINTS}, nu_sigma = {FLAT}, t0_s = 1.0}}',
            ["retention.nu_mean: conductance 4.9", "outside the measured 6e-05 S"],
        ),
        (
            f'{MILO}[pulses]\nkind = "linear-step"\ng_min_s = 0\ng_max_s = 1e-4\nzero_s = 5e-5\nstep_s = 1e-8\n'
            "width_s = -1.0",
            ["pulses: width_s is -1.0 s, expected a positive number"],
        ),
        (f'{MILO}fresh = {{kind = ["constant"], value = 0.0}}', ["fresh.kind is ['constant']", "points"]),
        ("name = ", ["device.toml"]),
    ],
)
def test_errors_name_the_file_the_key_and_the_choices(tmp_path: Path, text: str, messages: list[str]) -> None:
    with pytest.raises(ValueError, match=r"device\.toml") as error:
        load_device(_file(tmp_path, text))
    for message in messages:
        assert message in str(error.value)


def test_a_number_too_large_for_a_float_is_named(tmp_path: Path) -> None:
    text = '{"base": "ideal", "name": "x", "read_v": 1' + "0" * 400 + "}"
    with pytest.raises(ValueError, match=r"huge\.json: read_v is 10000.*, expected a number"):
        load_device(_file(tmp_path, text, "huge.json"))


def test_a_preset_with_laws_of_its_own_may_have_a_wider_range(tmp_path: Path) -> None:
    nothing = f"nonlinearity = {{largest_v = 0.5, second = {FLAT}, third = {FLAT}}}"
    wide = load_device(_file(tmp_path, f"{MILO}g_max_s = 500e-6\n{QUIET}{nothing}"))
    assert wide.g_max_s == 500e-6
    narrow = load_device(_file(tmp_path, f"{MILO}g_min_s = 50e-6\ng_max_s = 100e-6"))  # 50 is the end, but for rounding
    assert narrow.programming is preset("reram-milo-2021").programming


def test_files_that_are_no_device_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.toml or \.json"):
        load_device(_file(tmp_path, PLAIN, "device.yaml"))
    with pytest.raises(ValueError, match=r"broken\.json"):
        load_device(_file(tmp_path, "{", "broken.json"))
    with pytest.raises(ValueError, match=r"list\.json: expected a table"):
        load_device(_file(tmp_path, "[1]", "list.json"))
    with pytest.raises(FileNotFoundError):
        load_device(tmp_path / "missing.toml")


def test_every_kind_can_be_named() -> None:
    """No law is left out of the registry."""
    from hw.crossbar.devices import curves, pulses, retention

    named = {kind for choices in KINDS.values() for kind in choices.values()}
    for module in (curves, pulses, retention):
        laws = {kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__}
        assert laws - {pulses.PulsedDevice} <= named
