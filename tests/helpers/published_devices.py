"""The laws of every preset a second time, in microsiemens and with the numbers of the sources, on purpose: nothing is
called from the curves under test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log, log10, sqrt

SECOND, HOUR, DAY, MONTH = 1.0, 3600.0, 86400.0, 30 * 86400.0
Law = Callable[[float], float]


def _none(_: float) -> float:
    return 0.0


@dataclass(frozen=True)
class Published:
    """Laws by target conductance in microsiemens; times in seconds."""

    range_us: tuple[float, float]
    programming: Law
    fresh: Law = _none
    drift: tuple[Law, Law, float] | None = None
    """Mean and spread of nu, t0."""
    flicker: tuple[Law, float, float] | None = None
    """Q, t_read, seconds from the last write pulse to time 0."""
    moments: dict[float, Callable[[float], tuple[float, float]]] | None = None
    """Mean and spread by time, for laws that are no power of time."""
    longest: float = 0.0


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _ln(x: float) -> float:
    return log(x) if x > 0 else -inf


def _hermes_nu(x: float) -> float:
    return _clamp(-0.0387 * _ln(x) - 0.0182, 0.0720, 0.13) if x < 0.0945 else -0.0436 * x**2 - 0.0126 * x + 0.0736


def _hermes_1_nu_sigma(x: float) -> float:
    return _clamp(-0.0120 * _ln(x) - 0.0023, 0.0124, 0.04) if x < 0.3039 else -0.0165 * x**2 + 0.0116 * x + 0.0104


def _hermes_2_nu_sigma(x: float) -> float:
    return _clamp(-0.0117 * _ln(x) - 0.0057, 0.0091, 0.04) if x < 0.3055 else -0.0118 * x**2 + 0.0093 * x + 0.0073


def _hermes_1_q(x: float) -> float:
    if x < 0.1591:
        return _clamp(-0.0078 * _ln(x) + 0.0038, 0.0179, 0.04)
    return 0.0664 * x**3 - 0.1352 * x**2 + 0.0768 * x + 0.0088


def _hermes_2_q(x: float) -> float:
    if x < 0.16:
        return _clamp(-0.0117 * _ln(x) - 0.0069, 0.015, 0.04)
    return 0.0069 * x**3 - 0.0280 * x**2 + 0.0211 * x + 0.0123


def _hermes_fresh(g: float) -> float:
    u = log10(133)
    slope = 2.1926e-4 * u**4 - 1.87352e-3 * u**3 + 6.55714e-3 * u**2 - 1.46159e-2 * u + 2.578764e-2
    offset = (1.11906e-9 * u**4 - 9.08577e-9 * u**3 + 3.07015e-8 * u**2 - 6.77079e-8 * u + 1.17763e-7) * 1e6
    return slope * g + offset


def _wan_1s(g: float) -> float:
    x = g / 40
    return 0.348 + 16.030 * x - 43.853 * x**2 + 45.393 * x**3 - 16.815 * x**4


def _wan_1d(g: float) -> float:
    x = g / 40
    return 0.701 + 22.086 * x - 50.773 * x**2 + 47.095 * x**3 - 16.458 * x**4


def _wan_2d(g: float) -> float:
    x = g / 40
    return 0.782 + 20.274 * x - 43.507 * x**2 + 37.062 * x**3 - 11.934 * x**4


def _wan_1h(g: float) -> float:
    share = log(3600) / log(86400)  # linear in ln t between 1 s and 1 day
    return _wan_1s(g) + share * (_wan_1d(g) - _wan_1s(g))


def _cmo(seconds: float, programming: Law) -> Callable[[float], tuple[float, float]]:
    def moments(g: float) -> tuple[float, float]:
        spread = 0.04201137 * log(seconds) + 0.41183342
        return g - 0.08900206 * log(seconds), sqrt(programming(g) ** 2 + spread**2)

    return moments


def _cmo_hfox(programming: Law) -> Published:
    return Published(
        range_us=(9, 88.19),
        programming=programming,
        flicker=(lambda g: 0.0277316483 * log10(g) / g, 1e-6, 0.0),
        moments={t: _cmo(t, programming) for t in (SECOND, HOUR, DAY, MONTH)},
        longest=10 * 365.25 * DAY,
    )


SONOS_DAYS = (
    (19.88665, 176.3115, ()),
    (25.59102, 186.85544, (1.72684e-01, 5.72552e-02, -6.85715e-04, 3.50271e-06, -9.37682e-09, 1.40575e-11,
                           -1.19803e-14, 5.41293e-18, -8.85448e-22, -1.66869e-25, 5.95180e-29)),
    (28.72753, 193.56834, (2.50712e-01, 6.62195e-02, -6.83218e-04, 2.99442e-06, -6.78255e-09, 7.70482e-12,
                           -3.04983e-15, -2.15919e-18, 2.94617e-21, -1.23359e-24, 1.85329e-28)),
    (31.04318, 198.90332, (-1.75300e-02, 9.76883e-02, -9.63791e-04, 4.55551e-06, -1.22391e-08, 1.93786e-11,
                           -1.85899e-14, 1.07659e-17, -3.58211e-21, 5.96785e-25, -3.30410e-29)),
    (33.76214, 204.77023, (4.03338e-02, 1.03111e-01, -1.04740e-03, 4.83961e-06, -1.28132e-08, 1.99484e-11,
                           -1.85139e-14, 1.00008e-17, -2.84944e-21, 3.01008e-25, 1.18747e-29)),
    (34.57909, 207.34309, (3.19927e-01, 1.06596e-01, -1.04054e-03, 4.50290e-06, -1.10352e-08, 1.56477e-11,
                           -1.27592e-14, 5.45513e-18, -7.26841e-22, -2.43893e-25, 7.14608e-29)),
)  # fmt: skip


def _sonos(day: int) -> Callable[[float], tuple[float, float]]:
    def moments(g: float) -> tuple[float, float]:
        amplitude, scale, shift = SONOS_DAYS[day]
        current = g / 0.01  # nA at 0.1 V
        current += sum(c * current**k for k, c in enumerate(shift))
        return current * 0.01, max(amplitude * (1 - exp(-current / scale)), 0.0) * 0.01

    return moments


def _sonos_hour(g: float) -> tuple[float, float]:
    (mean_0, sigma_0), (mean_1, sigma_1) = _sonos(0)(g), _sonos(1)(g)
    return mean_0 + (mean_1 - mean_0) / 24, sigma_0 + (sigma_1 - sigma_0) / 24


PUBLISHED = {
    "ideal": Published(range_us=(0, 25), programming=_none, drift=(_none, _none, 1.0), longest=inf),
    "pcm-nandakumar-2019": Published(
        range_us=(0, 25),
        programming=lambda g: 0.26348 + 1.9650 * (g / 25) - 1.1731 * (g / 25) ** 2,
        fresh=lambda g: 0.0175 * 25 * sqrt(g / 25),
        drift=(
            lambda g: _clamp(-0.0155 * _ln(g / 25) + 0.0244, 0.049, 0.1),
            lambda g: _clamp(-0.0125 * _ln(g / 25) - 0.0059, 0.008, 0.045),
            20.0,
        ),
        flicker=(lambda g: min(0.0088 / (g / 25) ** 0.65, 0.2) if g else 0.2, 250e-9, 20.0),
        longest=inf,
    ),
    "pcm-joshi-2020": Published(
        range_us=(0.25, 25), programming=lambda g: 0.28638599 + 0.07585724 * g - 0.00178767 * g**2
    ),
    "pcm-hermes-2023-1": Published(
        range_us=(0, 10.35),
        programming=lambda g: (
            0.15781817 + 2.32443916 * (g / 10.35) - 2.16310839 * (g / 10.35) ** 2 + 0.68841818 * (g / 10.35) ** 3
        ),
        fresh=_hermes_fresh,
        drift=(lambda g: _hermes_nu(g / 10.35), lambda g: _hermes_1_nu_sigma(g / 10.35), 200.0),
        flicker=(lambda g: _hermes_1_q(g / 10.35), 512e-9, 200.0),
        longest=inf,
    ),
    "pcm-hermes-2023-2": Published(
        range_us=(0, 20.7),
        programming=lambda g: (
            0.16603222 + 4.71806468 * (g / 20.7) - 8.48101252 * (g / 20.7) ** 2 + 4.68961419 * (g / 20.7) ** 3
        ),
        fresh=lambda g: sqrt(2 * _hermes_fresh(g / 2) ** 2),
        drift=(lambda g: _hermes_nu(g / 20.7), lambda g: _hermes_2_nu_sigma(g / 20.7), 300.0),
        flicker=(lambda g: _hermes_2_q(g / 20.7), 512e-9, 300.0),
        longest=inf,
    ),
    "reram-wan-2022-aihwkit": Published(
        range_us=(1, 40),
        programming=_wan_1s,
        fresh=lambda _: 0.4,
        moments={
            SECOND: lambda g: (g, _wan_1s(g)),
            HOUR: lambda g: (g, _wan_1h(g)),
            DAY: lambda g: (g, _wan_1d(g)),
            2 * DAY: lambda g: (g, _wan_2d(g)),
        },
        longest=2 * DAY,
    ),
    "reram-wan-2022-crosssim": Published(
        range_us=(1, 39.26),
        programming=lambda g: 1.536e-4 * g**3 - 1.167e-2 * g**2 + 2.374e-1 * g + 1.053,
        fresh=lambda _: 0.3926,
    ),
    "reram-milo-2021": Published(range_us=(50, 225), programming=lambda g: -0.009107 * g + 4.782321),
    "reram-cmo-hfox-0.2": _cmo_hfox(lambda g: 0.00106879 * g + 0.00081107),
    "reram-cmo-hfox-2": _cmo_hfox(lambda g: 0.01129027418 * g + 0.0112185391),
    # weights -1 to 1 on 10 to 100 uS: write noise 0.5841 steps of 0.4622
    "reram-hfo2-gong-2022": Published(range_us=(10, 100), programming=lambda _: 0.5841 * 0.4622 * 45),
    # weights -1 to 1 on the same range: write noise 75 steps of 0.00135
    "reram-gong-2018": Published(range_us=(10, 100), programming=lambda _: 75 * 0.00135 * 45),
    "sonos-2022": Published(
        range_us=(0, 16),
        programming=lambda g: _sonos(0)(g)[1],
        fresh=lambda g: 12.58037 * (1 - exp(-g / 0.01 / 215.36557)) * 0.01,
        moments={0.0: _sonos(0), HOUR: _sonos_hour, **{day * DAY: _sonos(day) for day in range(1, 6)}},
        longest=5 * DAY,
    ),
    # a weight of 2 is 18 uS
    "li-ecram-2018": Published(range_us=(2, 20), programming=lambda _: 0.002 * 9 * sqrt(1 / 12 + 0.3**2)),
    "mo-ecram-2019": Published(range_us=(2, 20), programming=lambda _: 2.8214e-4 * 9 * sqrt(1 / 12 + 2.0**2)),
}
