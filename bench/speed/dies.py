"""How fast dies settle together: `python -m bench.speed dies`."""

from __future__ import annotations

from collections.abc import Callable

from bench.command_line import ConfigError
from bench.evaluate import one_thread_each
from bench.speed.timing import Speed, check_counts, fastest
from hw.crossbar.devices.presets import preset
from hw.crossbar.dies import Dies
from hw.crossbar.fabrication import Fabrication
from hw.crossbar.machine import Crossbar
from hw.resistive.die import fabricate
from hw.resistive.dies import ResistiveDies
from hw.resistive.machine import Physics, Resistive
from mapping.machines import to_crossbar, to_resistive
from models.command_line import before_work
from models.data import load_data
from models.train.checks import check_device
from models.zoo import load_model

REPEATS = 3


def speed_dies(dies: int = 8, images: int = 64, steps: int = 40, device: str = "cpu") -> Speed:
    """Digits on dies of the default device an hour after programming, one die after the other and all of them at once.

    On a CPU in one thread, by its own time; `device` cuda by the wall clock. seconds: per image and die. Ratios:
    together over one after the other.
    """
    check_counts(dies=dies, images=images, steps=steps)
    with before_work():
        try:
            check_device(device)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    with one_thread_each():
        shown = load_data("digits").test.first(images).floats().numpy()
        crossbars = [_crossbar(index, steps, images, device) for index in range(dies)]
        resistors = [_resistors(index, images, device) for index in range(dies)]
        for die in crossbars:
            die.calibrate(shown)
        cases: dict[str, Callable[[], object]] = {
            "crossbar_alone": lambda: [die.settle(shown) for die in crossbars],
            "crossbar_together": lambda: together[0].settle(shown),
            "resistive_alone": lambda: [die.settle(shown) for die in resistors],
            "resistive_together": lambda: together[1].settle(shown),
        }
        together = Dies(crossbars), ResistiveDies(resistors)
        clock = "processor" if device == "cpu" else "wall"
        found = fastest(cases, repeats=REPEATS, device=device, clock=clock)  # type: ignore[arg-type]
    seconds = {name: each / (images * dies) for name, each in found.items()}
    ratios = {name: seconds[f"{name}_alone"] / seconds[f"{name}_together"] for name in ("crossbar", "resistive")}
    return Speed(seconds, f"per image and die, {dies} dies", ratios, device=device, clock=clock)  # type: ignore[arg-type]


def _crossbar(index: int, steps: int, images: int, device: str) -> Crossbar:
    fabrication = Fabrication(preset("pcm-nandakumar-2019"), seed=(index,), noise_seed=(index,))
    return to_crossbar(load_model("digits"), fabrication, steps=steps, batch_size=images, device=device)


def _resistors(index: int, images: int, device: str) -> Resistive:
    return to_resistive(
        load_model("drn-digits"),
        batch_size=images,
        physics=Physics(noise_seed=(index,)),
        fabricated=lambda mapped: fabricate(mapped.network, preset("pcm-nandakumar-2019"), (index,)).at(3600.0),
        device=device,
    )
