"""Published devices, ready to use. Coefficients are those of the sources, in the unit of the sources.

What a source does not give is left out: no retention, no read noise, no stuck devices. `assumed` says what we chose.
No preset has random telegraph noise or a temperature: none of these sources gives a figure.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from hw.crossbar.devices.curves import (
    ClampedLog,
    ClampedPower,
    ConstantCurve,
    LogPolynomial,
    PerConductance,
    Piecewise,
    Polynomial,
    Saturating,
    SquareRoot,
)
from hw.crossbar.devices.device import Device, Flicker, Nonlinearity
from hw.crossbar.devices.pulses import ExpStep, LinearStep
from hw.crossbar.devices.retention import Broadening, LogRelaxation, PowerLawDrift

_US = 1e-6
"""One microsiemens."""
_DAY = 86400.0

IDEAL = Device(
    name="ideal",
    source="none: a perfect device, for tests and as a reference",
    g_min_s=0.0,
    g_max_s=25 * _US,
    read_v=0.2,
    read_s=250e-9,
    programming=ConstantCurve(0.0),
    fresh=ConstantCurve(0.0),
    retention=PowerLawDrift(nu_mean=ConstantCurve(0.0), nu_sigma=ConstantCurve(0.0), t0_s=1.0),
    assumed="range and read pulse of the PCM of Nandakumar 2019; never drifts",
)

PCM_NANDAKUMAR_2019 = Device(
    name="pcm-nandakumar-2019",
    source="Nandakumar et al., Phase-change memory models for deep learning training and inference, ICECS 2019, "
    "ieeexplore 8964852, coefficients in aihwkit inference/noise/pcm.py; fresh noise: Rasch et al., Nat. Commun. 14, "
    "5282, 2023, arXiv 2302.08469, 1.75 % of g_max times sqrt(g / g_max); read voltage: the PCM cell of CiMLoop",
    g_min_s=0.0,
    g_max_s=25 * _US,
    read_v=0.2,
    read_s=250e-9,
    programming=Polynomial((0.26348, 1.9650, -1.1731), reference_s=25 * _US, unit=_US),
    fresh=SquareRoot(0.0175, g_max_s=25 * _US),
    retention=PowerLawDrift(
        nu_mean=ClampedLog(-0.0155, 0.0244, reference_s=25 * _US, low=0.049, high=0.1),
        nu_sigma=ClampedLog(-0.0125, -0.0059, reference_s=25 * _US, low=0.008, high=0.045),
        t0_s=20.0,
    ),
    flicker=Flicker(relative=ClampedPower(0.0088, 0.65, reference_s=25 * _US, high=0.2), read_s=250e-9, start_s=20.0),
)

PCM_JOSHI_2020 = Device(
    name="pcm-joshi-2020",
    source="Joshi et al., Nat. Commun. 11, 2473, 2020, Fig. 3b, 27.36 s after programming, quadratic fit of CrossSim "
    "devices/custom/PCM_Joshi.py; neither drift nor read noise is fitted there",
    g_min_s=0.25 * _US,
    g_max_s=25 * _US,
    read_v=0.2,
    read_s=250e-9,
    programming=Polynomial((0.28638599, 0.07585724, -0.00178767), reference_s=_US, unit=_US),
    fresh=ConstantCurve(0.0),
    assumed="read pulse of the PCM of Nandakumar 2019, measured on the same array",
)

_HERMES_SOURCE = (
    "Le Gallo et al., Nat. Electron. 6, 680, 2023, and Khaddam-Aljameh et al., IEEE JSSC 57, 1027, 2022, "
    "coefficients in aihwkit inference/noise/hermes.py"
)
_HERMES_ASSUMED = (
    "read voltage; read pulse: 133 ns, the one-phase product of the chip's abstract; fresh noise: that aihwkit's "
    "fit of PCM read noise by integration time (tiles/analog_mvm_irdrop_t.py at 4545f11, second-hand) holds for it"
)
# that fit at u = log10(133) = 2.1239: sigma = slope G + offset, both polynomials of fourth order in u
_FRESH_SLOPE = 0.01083586
_FRESH_OFFSET_US = 0.04817436


def _hermes_nu_mean(g_max_s: float) -> Piecewise:
    return Piecewise(
        split_s=0.0945 * g_max_s,
        below=ClampedLog(-0.0387, -0.0182, reference_s=g_max_s, low=0.0720, high=0.13),
        above=Polynomial((0.0736, -0.0126, -0.0436), reference_s=g_max_s),
    )


PCM_HERMES_2023_1 = Device(
    name="pcm-hermes-2023-1",
    source=f"{_HERMES_SOURCE}, one device",
    g_min_s=0.0,
    g_max_s=10.35 * _US,
    read_v=0.2,
    read_s=133e-9,
    programming=Polynomial((0.15781817, 2.32443916, -2.16310839, 0.68841818), reference_s=10.35 * _US, unit=_US),
    fresh=Polynomial((_FRESH_OFFSET_US, _FRESH_SLOPE), reference_s=_US, unit=_US),
    retention=PowerLawDrift(
        nu_mean=_hermes_nu_mean(10.35 * _US),
        nu_sigma=Piecewise(
            split_s=0.3039 * 10.35 * _US,
            below=ClampedLog(-0.0120, -0.0023, reference_s=10.35 * _US, low=0.0124, high=0.04),
            above=Polynomial((0.0104, 0.0116, -0.0165), reference_s=10.35 * _US),
        ),
        t0_s=200.0,
    ),
    flicker=Flicker(
        relative=Piecewise(
            split_s=0.1591 * 10.35 * _US,
            below=ClampedLog(-0.0078, 0.0038, reference_s=10.35 * _US, low=0.0179, high=0.04),
            above=Polynomial((0.0088, 0.0768, -0.1352, 0.0664), reference_s=10.35 * _US),
        ),
        read_s=512e-9,
        start_s=200.0,
    ),
    assumed=_HERMES_ASSUMED,
)

PCM_HERMES_2023_2 = Device(
    name="pcm-hermes-2023-2",
    source=f"{_HERMES_SOURCE}, two devices in parallel programmed as in Vasilopoulos et al., IEEE TED 70, 2023",
    g_min_s=0.0,
    g_max_s=20.7 * _US,
    read_v=0.2,
    read_s=133e-9,
    programming=Polynomial((0.16603222, 4.71806468, -8.48101252, 4.68961419), reference_s=20.7 * _US, unit=_US),
    # two devices that each hold half of the conductance: their variances add
    fresh=Polynomial((sqrt(2) * _FRESH_OFFSET_US, _FRESH_SLOPE / sqrt(2)), reference_s=_US, unit=_US),
    retention=PowerLawDrift(
        nu_mean=_hermes_nu_mean(20.7 * _US),
        nu_sigma=Piecewise(
            split_s=0.3055 * 20.7 * _US,
            below=ClampedLog(-0.0117, -0.0057, reference_s=20.7 * _US, low=0.0091, high=0.04),
            above=Polynomial((0.0073, 0.0093, -0.0118), reference_s=20.7 * _US),
        ),
        t0_s=300.0,
    ),
    flicker=Flicker(
        relative=Piecewise(
            split_s=0.16 * 20.7 * _US,
            below=ClampedLog(-0.0117, -0.0069, reference_s=20.7 * _US, low=0.015, high=0.04),
            above=Polynomial((0.0123, 0.0211, -0.0280, 0.0069), reference_s=20.7 * _US),
        ),
        read_s=512e-9,
        start_s=300.0,
    ),
    assumed=_HERMES_ASSUMED,
)

_WAN_SOURCE = "Wan et al., Nature 608, 504, 2022, Extended Data Fig. 3"
_WAN_ASSUMED = (
    "lowest conductance, and that the read noise of about 1 % of g_max that aihwkit suggests for weights is that of "
    "each device; read pulse: the cell of CiMLoop"
)
_WAN_SIGMA = (
    Polynomial((0.348, 16.030, -43.853, 45.393, -16.815), reference_s=40 * _US, unit=_US),
    Polynomial((0.701, 22.086, -50.773, 47.095, -16.458), reference_s=40 * _US, unit=_US),
    Polynomial((0.782, 20.274, -43.507, 37.062, -11.934), reference_s=40 * _US, unit=_US),
)
"""Around the target after 1 s, 1 day and 2 days."""

RERAM_WAN_2022_AIHWKIT = Device(
    name="reram-wan-2022-aihwkit",
    source=f"{_WAN_SOURCE}, fit of fourth order of aihwkit inference/noise/reram.py",
    g_min_s=1 * _US,
    g_max_s=40 * _US,
    read_v=0.5,
    read_s=2e-9,
    programming=_WAN_SIGMA[0],
    fresh=ConstantCurve(0.01 * 40 * _US),
    retention=Broadening(seconds=(1.0, _DAY, 2 * _DAY), sigma=_WAN_SIGMA),
    assumed=f"{_WAN_ASSUMED}; that a device keeps its place in the distribution while it broadens",
)

RERAM_WAN_2022_CROSSSIM = Device(
    name="reram-wan-2022-crosssim",
    source=f"{_WAN_SOURCE}, 1 s after programming, cubic fit of CrossSim devices/custom/RRAM_Wan.py: differs from "
    "aihwkit's fit of the same figure by 7 % to 55 %; no retention is fitted",
    g_min_s=1 * _US,
    g_max_s=39.26 * _US,
    read_v=0.5,
    read_s=2e-9,
    programming=Polynomial((1.053, 2.374e-1, -1.167e-2, 1.536e-4), reference_s=_US, unit=_US),
    fresh=ConstantCurve(0.01 * 39.26 * _US),
    assumed=_WAN_ASSUMED,
)

RERAM_MILO_2021 = Device(
    name="reram-milo-2021",
    source="Milo et al., IRPS 2021, ieeexplore 9405119, Fig. 4 (IGVVA-100) and Fig. 1 (I-V between 62.5 and 110 uS; "
    "above, CrossSim assumes that it becomes linear at 225 uS), fits of CrossSim devices/custom/RRAM_Milo.py; neither "
    "retention nor read noise is fitted",
    g_min_s=50 * _US,
    g_max_s=225 * _US,
    read_v=0.2,
    read_s=100e-9,
    programming=Polynomial((4.782321, -0.009107), reference_s=_US, unit=_US),
    fresh=ConstantCurve(0.0),
    nonlinearity=Nonlinearity(
        second=LogPolynomial((0.007063, 0.005711, 0.001541, 0.0001388), low_s=50 * _US, high_s=225 * _US),
        third=LogPolynomial((1.2968e-03, 6.7919e-04, 8.8710e-05), low_s=50 * _US, high_s=225 * _US),
        largest_v=0.5,
    ),
    assumed="read pulse",
)


def _cmo_hfox(accepted_percent: str, programming: Polynomial) -> Device:
    return Device(
        name=f"reram-cmo-hfox-{accepted_percent}",
        source="Falcone et al., arXiv 2502.04524, 2025, and for read noise Lombardo et al., DRC 2024, coefficients in "
        f"aihwkit inference/noise/reram.py and docs/source/reram_inference.rst; accepted within {accepted_percent} % "
        "of the target; relaxation measured at 50 uS and found independent of the conductance",
        g_min_s=9 * _US,
        g_max_s=88.19 * _US,
        read_v=0.2,
        read_s=1e-6,
        programming=programming,
        # the 1/f law is the whole read noise that is published
        fresh=ConstantCurve(0.0),
        retention=LogRelaxation(
            mean_slope_s=-0.08900206 * _US,
            sigma_slope_s=0.04201137 * _US,
            sigma_offset_s=0.41183342 * _US,
            first_s=1.0,
            longest_s=10 * 365.25 * _DAY,
        ),
        # published as an absolute spread, 0.0277 log10(G / uS) uS
        flicker=Flicker(
            relative=PerConductance(
                LogPolynomial((0.0, 0.0277316483), low_s=_US, high_s=90 * _US, reference_s=_US, unit=_US)
            ),
            read_s=1e-6,
        ),
        assumed="read voltage; that the relaxation, fitted from 1 s, grows linearly in time before",
    )


RERAM_CMO_HFOX_02 = _cmo_hfox("0.2", Polynomial((0.00081107, 0.00106879), reference_s=_US, unit=_US))
RERAM_CMO_HFOX_2 = _cmo_hfox("2", Polynomial((0.0112185391, 0.01129027418), reference_s=_US, unit=_US))

_NA = 1e-8
"""One nanoampere at the 0.1 V of the fit, in siemens."""


def _sonos_sigma(amplitude: float, scale: float) -> Saturating:
    return Saturating(amplitude, reference_s=scale * _NA, unit=_NA)


def _sonos_shift(*coefficients: float) -> Polynomial:
    return Polynomial(coefficients, reference_s=_NA, unit=_NA)


_SONOS_SIGMA = (
    _sonos_sigma(19.88665, 176.3115),
    _sonos_sigma(25.59102, 186.85544),
    _sonos_sigma(28.72753, 193.56834),
    _sonos_sigma(31.04318, 198.90332),
    _sonos_sigma(33.76214, 204.77023),
    _sonos_sigma(34.57909, 207.34309),
)
"""After 0 to 5 days, by mean current at that time."""
# fmt: off
_SONOS_SHIFT = (
    _sonos_shift(0.0),
    _sonos_shift(
        1.72684e-01, 5.72552e-02, -6.85715e-04, 3.50271e-06, -9.37682e-09, 1.40575e-11,
        -1.19803e-14, 5.41293e-18, -8.85448e-22, -1.66869e-25, 5.95180e-29,
    ),
    _sonos_shift(
        2.50712e-01, 6.62195e-02, -6.83218e-04, 2.99442e-06, -6.78255e-09, 7.70482e-12,
        -3.04983e-15, -2.15919e-18, 2.94617e-21, -1.23359e-24, 1.85329e-28,
    ),
    _sonos_shift(
        -1.75300e-02, 9.76883e-02, -9.63791e-04, 4.55551e-06, -1.22391e-08, 1.93786e-11,
        -1.85899e-14, 1.07659e-17, -3.58211e-21, 5.96785e-25, -3.30410e-29,
    ),
    _sonos_shift(
        4.03338e-02, 1.03111e-01, -1.04740e-03, 4.83961e-06, -1.28132e-08, 1.99484e-11,
        -1.85139e-14, 1.00008e-17, -2.84944e-21, 3.01008e-25, 1.18747e-29,
    ),
    _sonos_shift(
        3.19927e-01, 1.06596e-01, -1.04054e-03, 4.50290e-06, -1.10352e-08, 1.56477e-11,
        -1.27592e-14, 5.45513e-18, -7.26841e-22, -2.43893e-25, 7.14608e-29,
    ),
)
# fmt: on

SONOS_2022 = Device(
    name="sonos-2022",
    source="Agrawal et al., Subthreshold operation of SONOS analog memory, IEDM 2022, ieeexplore 10019564, Fig. 10 "
    "and 11b, 128 K devices, fits of CrossSim 3.2.0 (f4fe899, 2026) devices/custom/SONOS.py (1600 nA = 16 uS, so at "
    "0.1 V); drift is fitted up to 1800 nA. Earlier versions (601222e) have another fit of the same drift, which runs "
    "away above 14.5 uS",
    g_min_s=0.0,
    g_max_s=16 * _US,
    read_v=0.1,
    read_s=100e-9,
    programming=_SONOS_SIGMA[0],
    fresh=_sonos_sigma(12.58037, 215.36557),
    retention=Broadening(
        seconds=tuple(day * _DAY for day in range(6)), sigma=_SONOS_SIGMA, shift=_SONOS_SHIFT, between="time"
    ),
    assumed="length of a read; that a device keeps its place in the distribution while it broadens",
)


def _steps(low_s: float, high_s: float, w_min: float, w_max: float, dw_min: float, **rest: Any) -> LinearStep:
    """aihwkit's normalised steps on a range of conductance."""
    scale = (high_s - low_s) / (w_max - w_min)
    return LinearStep(g_min_s=low_s, g_max_s=high_s, zero_s=low_s - w_min * scale, step_s=dw_min * scale, **rest)


_HFO2_STEPS = _steps(
    low_s=10 * _US,
    high_s=100 * _US,
    w_min=-1.0,
    w_max=1.0,
    dw_min=0.4622,
    step_dtod=0.7125,
    step_log_normal=True,
    up_down_dtod=0.01,
    g_max_dtod=0.4295,
    g_min_dtod=0.5990,
    gamma_up=1.0,
    gamma_down=1.0,
    own_bounds=True,
    multiplicative=False,
    cycle=0.2174,
    write_noise=0.5841,
)

RERAM_HFO2_GONG_2022 = Device(
    name="reram-hfo2-gong-2022",
    source="Gong, Rasch et al., IEDM 2022, ieeexplore 10019569, baseline HfO2, fit of aihwkit presets/devices.py "
    "ReRamArrayHfO2PresetDevice (soft bounds; its reference device is left to the encoding; 9.77 % of the devices of "
    "the array were corrupt and are left out of the fit); programming is derived: the published write noise, 0.5841 "
    "steps; neither retention nor read noise is published",
    g_min_s=10 * _US,
    g_max_s=100 * _US,
    read_v=0.2,
    read_s=100e-9,
    programming=ConstantCurve(_HFO2_STEPS.write_noise * _HFO2_STEPS.step_s),
    fresh=ConstantCurve(0.0),
    pulses=_HFO2_STEPS,
    assumed="absolute conductances, read pulse; on them the published spread of the lower bound, 60 % of its distance "
    "from the middle, is cut at 0 S for 35.5 % of the devices: they switch off, and the mean lower bound is 15.4 uS",
)


_GONG_STEPS = ExpStep(
    g_min_s=10 * _US,
    g_max_s=100 * _US,
    zero_s=55 * _US,
    step_s=0.00135 * 45 * _US,
    step_dtod=0.2,
    up_down=0.259359,
    up_down_dtod=0.05,
    g_max_dtod=0.3,
    g_min_dtod=0.3,
    a=-0.5,
    b=-0.5,
    amplitude_up=-1.18445,
    amplitude_down=-0.081404,
    gamma_up=5.0,
    gamma_down=5.0,
    cycle=5.0,
    write_noise=75.0,
)
"""Weights -1 to 1 on 90 uS; steps grow exponentially towards the bound they leave."""

RERAM_GONG_2018 = Device(
    name="reram-gong-2018",
    source="Gong, Ide, Kim et al., Signal and noise extraction from analog memory elements, "
    "Nat. Commun. 9, 2102, 2018, fit of aihwkit presets/devices.py ReRamESPresetDevice; programming "
    "is derived: the published write noise, 75 steps; neither retention nor read noise is published",
    g_min_s=10 * _US,
    g_max_s=100 * _US,
    read_v=0.2,
    read_s=100e-9,
    programming=ConstantCurve(_GONG_STEPS.write_noise * _GONG_STEPS.step_s),
    fresh=ConstantCurve(0.0),
    pulses=_GONG_STEPS,
    assumed="absolute conductances, those of the later array of the same authors; on them the published spread of the "
    "lower bound, 30 % of its distance from the middle, is cut at 0 S for 22.9 % of the devices: they switch off, and "
    "the mean lower bound is 11.8 uS; read pulse",
)


def _verified(steps: LinearStep) -> ConstantCurve:
    """Closed loop with steps: what is left is half a step of rounding and the variation of the last step."""
    return ConstantCurve(steps.step_s * sqrt(1 / 12 + steps.cycle**2))


_ECRAM_DERIVED = (
    "programming is derived: step sqrt(1/12 + cycle**2), rounding to a step and the variation of the last one; neither "
    "retention nor read noise is published"
)
_ECRAM_ASSUMED = (
    "absolute conductances (other oxide ECRAM was shown between 0.1 and 230 uS: Chen et al., Nat. Commun. 2023, "
    "10.1038/s41467-023-41958-4, Fig. 2), read pulse"
)
_LI_ECRAM_STEPS = _steps(
    low_s=2 * _US,
    high_s=20 * _US,
    w_min=-0.8276,
    w_max=1.1724,
    dw_min=0.002,
    step_dtod=0.1,
    up_down_dtod=0.01,
    g_max_dtod=0.05,
    g_min_dtod=0.05,
    gamma_up=0.1153,
    gamma_down=0.5085,
    gamma_dtod=0.05,
    cycle=0.3,
)
_MO_ECRAM_STEPS = _steps(
    low_s=2 * _US,
    high_s=20 * _US,
    w_min=-0.8286,
    w_max=1.1714,
    dw_min=2.8214e-4,
    step_dtod=0.1,
    up_down_dtod=0.01,
    g_max_dtod=0.05,
    g_min_dtod=0.05,
    gamma_up=0.4152,
    gamma_down=0.7342,
    gamma_dtod=0.05,
    cycle=2.0,
)

LI_ECRAM_2018 = Device(
    name="li-ecram-2018",
    source="Tang et al., ECRAM as scalable synaptic cell, IEDM 2018, ieeexplore 8614551, 1000 steps, fit of aihwkit "
    f"presets/devices.py EcRamPresetDevice; {_ECRAM_DERIVED}",
    g_min_s=2 * _US,
    g_max_s=20 * _US,
    read_v=0.2,
    read_s=100e-9,
    programming=_verified(_LI_ECRAM_STEPS),
    fresh=ConstantCurve(0.0),
    pulses=_LI_ECRAM_STEPS,
    assumed=_ECRAM_ASSUMED,
)

MO_ECRAM_2019 = Device(
    name="mo-ecram-2019",
    source="Kim et al., Metal-oxide based, CMOS-compatible ECRAM, IEDM 2019, ieeexplore 8993463, 7000 steps, fit of "
    f"aihwkit presets/devices.py EcRamMOPresetDevice; {_ECRAM_DERIVED}",
    g_min_s=2 * _US,
    g_max_s=20 * _US,
    read_v=0.2,
    read_s=100e-9,
    programming=_verified(_MO_ECRAM_STEPS),
    fresh=ConstantCurve(0.0),
    pulses=_MO_ECRAM_STEPS,
    assumed=_ECRAM_ASSUMED,
)

PRESETS: dict[str, Device] = {
    device.name: device
    for device in (
        IDEAL,
        PCM_NANDAKUMAR_2019,
        PCM_JOSHI_2020,
        PCM_HERMES_2023_1,
        PCM_HERMES_2023_2,
        RERAM_WAN_2022_AIHWKIT,
        RERAM_WAN_2022_CROSSSIM,
        RERAM_MILO_2021,
        RERAM_CMO_HFOX_02,
        RERAM_CMO_HFOX_2,
        RERAM_HFO2_GONG_2022,
        RERAM_GONG_2018,
        SONOS_2022,
        LI_ECRAM_2018,
        MO_ECRAM_2019,
    )
}


def preset(name: str) -> Device:
    """The published device of that name."""
    if name not in PRESETS:
        raise ValueError(f"no device is called {name!r}; there are: {', '.join(PRESETS)}")
    return PRESETS[name]
