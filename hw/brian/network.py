"""A circuit as Brian objects, for several images side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw.brian.equations import neurons
from hw.brian.layer import Layer
from hw.brian.loading import brian_at_work, load_brian
from hw.brian.options import Imperfections, Rate, RateCoding, Scheme, SigmaDelta, Simulation
from hw.brian.wiring import Wiring, wiring
from hw.circuit import Circuit, FixedNeuron, Wire
from hw.kernels import Kernel, build_kernel

SILENCE = 1e300
"""A threshold that nothing crosses."""


def _nothing(_: int = 0) -> None:
    """What a phase does where it is told nothing."""


@dataclass(frozen=True)
class Phase:
    """A number of steps, and what is done around them; all phases of a run are one run of Brian's."""

    steps: int
    begin: Callable[[], None]
    step: Callable[[int], None] = _nothing
    """Before every step, told its number from 0."""
    after: Callable[[int], None] = _nothing
    """After every step."""
    finish: Callable[[], None] = lambda: None
    since: int = 0
    """Steps before this phase for which the threshold has already fallen."""


class Network:
    """Layers 1..L and the links between them; what the clamped input sends is a constant of layer 1."""

    def __init__(
        self, circuit: Circuit, scheme: Scheme, simulation: Simulation, imperfections: Imperfections, copies: int
    ) -> None:
        brian = load_brian()
        self.circuit, self.scheme, self.simulation, self.copies = circuit, scheme, simulation, copies
        self.imperfections = imperfections
        self.step_tau = simulation.step_tau(scheme)
        self.latency = round(imperfections.latency_s / (self.step_tau * simulation.tau_s))
        self.clock = brian.Clock(dt=self.step_tau * simulation.tau_s * brian.second, name="steps*")
        self.layers = [self._layer(index) for index in range(len(circuit.wires))]
        self.biases = [np.asarray(bias, np.float64) for bias in circuit.biases]
        self.input = build_kernel(circuit.wires[0], circuit.wires[0].weight, copies, np.float64)
        self.noise = np.random.default_rng((imperfections.seed, 1))
        self._spread_thresholds()
        operators, objects = simulation.linear == "operator", [layer.group for layer in self.layers]
        self.kernels: list[Kernel] = []
        self.links: list[tuple[Wiring, Any]] = []
        self._sent: deque[list[NDArray[np.float64] | None]] = deque()
        if operators:
            self.kernels = [build_kernel(wire, wire.weight, copies, np.float64) for wire in circuit.wires[1:]]
        else:
            self.links = [self._synapses(index, wire) for index, wire in enumerate(circuit.wires[1:], start=1)]
        objects += [synapses for _, synapses in self.links]
        if operators and len(self.layers) > 1:
            carry = self._carry_rates if isinstance(scheme, Rate) else self._carry_spikes
            place = ("groups", -1) if isinstance(scheme, Rate) else ("synapses", 0)
            objects.append(self._operation(carry, *place))
        self._phases: list[Phase] = []
        self._place, self._row = 0, 0
        objects += [self._operation(self._before, "start", 0), self._operation(self._after, "end", 0)]
        self.net = brian.Network(*objects)

    @property
    def said(self) -> list[NDArray[np.float64]]:
        """Of every layer, (units, copies) what its neurons tell: states, states as they were sent, or spikes so far."""
        name = "s" if isinstance(self.scheme, Rate) else "sent"
        return [layer.arrays[name] for layer in self.layers]

    def run(self, phases: Sequence[Phase]) -> None:
        """All phases, one after another."""
        self._phases, self._place, self._row = list(phases), 0, 0
        second = load_brian().second
        with brian_at_work(self.simulation.target):
            self.net.run(sum(phase.steps for phase in phases) * self.clock.dt_ * second, namespace={})

    def clear(self) -> None:
        """As before the first step."""
        for layer in self.layers:
            layer.clear()
        self._sent.clear()
        if isinstance(self.scheme, RateCoding):
            # neurons that all start at 0 fire in step, which flatters them
            phases = np.random.default_rng((self.imperfections.seed, 2))
            for layer in self.layers:
                layer.arrays["v"][...] = phases.random(layer.units)[:, None]

    def clamp(self, codes: NDArray[np.generic]) -> None:
        """Show images (copies, *input shape), as codes."""
        wire = self.circuit.wires[0]
        sums = self.input.up(np.moveaxis(codes, 0, -1)) * 2.0**wire.up_shift
        for index, layer in enumerate(self.layers):
            bias = np.broadcast_to(self.biases[index], layer.shape).reshape(-1, 1)
            layer.arrays["drive"][...] = bias + (sums.reshape(layer.units, -1) if index == 0 else 0.0)

    def load(self, index: int, weight: NDArray[np.generic]) -> None:
        """Take this weight of wire `index` from now on."""
        if index == 0:
            self.input.load(weight)
        elif self.kernels:
            self.kernels[index - 1].load(weight)
        else:
            found, synapses = self.links[index - 1]
            synapses.variables["w"].get_value()[:] = np.repeat(found.strengths(weight), self.copies)

    def correlate(self, index: int, below: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
        """dPhi/dW of wire `index`, summed over images: what every synapse's two ends told, (units, images), multiplied,
        and added up over the synapses of a weight."""
        if index and self.links:
            found, _ = self.links[index - 1]
            return found.gathered(np.einsum("sb,sb->s", below[found.pre], above[found.post]))
        wire, images = self.circuit.wires[index], below.shape[1]
        kernel = build_kernel(wire, wire.weight, images, np.float64)
        return kernel.correlate(below.reshape(*wire.below, images), above.reshape(*wire.above, images))

    def _layer(self, index: int) -> Layer:
        circuit, brian, kind = self.circuit, load_brian(), self.circuit.neuron
        rate = isinstance(self.scheme, Rate)
        ends = (("up",) if index else ()) + (("down",) if index + 1 < len(circuit.wires) else ())
        text = neurons(self.scheme, kind, ends if rate else ("arrived",), self.latency > 0)
        constants = self._constants()
        if isinstance(kind, FixedNeuron):
            constants["scale"] = 2.0 ** -kind.exponents[index]
        refractory = self.imperfections.refractory_s
        return Layer(
            f"layer{index + 1}",
            circuit.layers[index + 1],
            self.copies,
            text,
            self.clock,
            constants,
            refractory * brian.second if refractory and not rate else False,
        )

    def _constants(self) -> dict[str, Any]:
        """What the equations of all layers name."""
        constants = {"tau": self.simulation.tau_s * load_brian().second, "one": float(self.circuit.neuron.one)}
        if isinstance(self.scheme, RateCoding):
            constants["spikes_per_tau"] = self.scheme.spikes_per_tau
        return constants

    def _synapses(self, index: int, wire: Wire) -> tuple[Wiring, Any]:
        """One object for both directions: each weight is held once. Copies do not touch each other."""
        brian, found = load_brian(), wiring(wire)
        up, down = f"{2.0**wire.up_shift} * w", f"{2.0**wire.down_shift} * w"
        if isinstance(self.scheme, Rate):
            text = {"model": f"w : 1\nup_post = {up} * s_pre : 1 (summed)\ndown_pre = {down} * s_post : 1 (summed)"}
        else:
            text = {
                "model": "w : 1",
                "on_pre": f"arrived_post += {up} * payload_pre",
                "on_post": f"arrived_pre += {down} * payload_post",
            }
        synapses = brian.Synapses(
            self.layers[index - 1].group,
            self.layers[index].group,
            clock=self.clock,
            namespace=self._constants(),
            name=f"link{index + 1}*",
            **text,
        )
        copies = np.arange(self.copies)
        neurons_of = [(units[:, None] * self.copies + copies).ravel() for units in (found.pre, found.post)]
        synapses.connect(i=neurons_of[0], j=neurons_of[1])
        synapses.w = np.repeat(found.strengths(wire.weight), self.copies)
        if self.latency:
            delay = self.latency * self.clock.dt_ * brian.second
            synapses.pre.delay, synapses.post.delay = delay, delay
        return found, synapses

    def _operation(self, work: Callable[[], None], when: str, order: int) -> Any:
        return load_brian().NetworkOperation(
            work, clock=self.clock, when=when, order=order, name=f"{work.__name__[1:]}*"
        )

    def _spread_thresholds(self) -> None:
        if isinstance(self.scheme, Rate):
            return
        rng = np.random.default_rng((self.imperfections.seed, 0))
        for layer in self.layers:
            factors = 1 + self.imperfections.threshold_mismatch * rng.standard_normal(layer.units)
            layer.arrays["spread"][...] = np.maximum(factors, 0.01)[:, None]

    def _before(self) -> None:
        phase = self._phases[self._place]
        if self._row == 0:
            phase.begin()
        if not isinstance(self.scheme, Rate):
            self._set_thresholds(phase)
            self._shake()
        phase.step(self._row)

    def _after(self) -> None:
        phase = self._phases[self._place]
        phase.after(self._row)
        self._row += 1
        if self._row == phase.steps:
            phase.finish()
            self._place, self._row = self._place + 1, 0

    def _set_thresholds(self, phase: Phase) -> None:
        """Silent at the end of a phase for as long as spikes are on their way, so that all have arrived."""
        theta = 1.0
        if isinstance(self.scheme, SigmaDelta):
            theta = self.scheme.threshold * self.circuit.neuron.one
            if self.scheme.fall_tau is not None:
                theta *= exp(-(phase.since + self._row) * self.step_tau / self.scheme.fall_tau)
        if self._row >= phase.steps - self.latency:
            theta = SILENCE
        for layer in self.layers:
            layer.arrays["theta"][...] = theta

    def _shake(self) -> None:
        """White noise on every membrane: at rest its state, held by a leak of h = dt / tau a step, then varies by
        `membrane_noise`."""
        if not self.imperfections.membrane_noise:
            return
        h = self.step_tau
        if isinstance(self.scheme, RateCoding):
            h = 1 - exp(-h)
            size = self.imperfections.membrane_noise
        else:
            size = self.imperfections.membrane_noise * self.circuit.neuron.one
        for layer in self.layers:
            values = layer.arrays["noise"]
            values[...] = size * ((2 - h) / h) ** 0.5 * self.noise.standard_normal(values.shape)

    def _carry_rates(self) -> None:
        """The sums of all links from the states as they are, before any state moves."""
        for below, above, kernel, wire in self._between():
            states = below.shaped(below.arrays["s"]), above.shaped(above.arrays["s"])
            above.arrays["up"][...] = (kernel.up(states[0]) * 2.0**wire.up_shift).reshape(above.units, -1)
            below.arrays["down"][...] = (kernel.down(states[1]) * 2.0**wire.down_shift).reshape(below.units, -1)

    def _carry_spikes(self) -> None:
        """What the spikes of `latency` steps ago carry arrives."""
        self._sent.append([self._carried(layer) for layer in self.layers])
        if len(self._sent) <= self.latency:
            return
        sent = self._sent.popleft()
        for index, (below, above, kernel, wire) in enumerate(self._between()):
            low, high = sent[index], sent[index + 1]
            if low is not None:
                sums = kernel.up(below.shaped(low)) * 2.0**wire.up_shift
                above.arrays["arrived"] += sums.reshape(above.units, -1)
            if high is not None:
                sums = kernel.down(above.shaped(high)) * 2.0**wire.down_shift
                below.arrays["arrived"] += sums.reshape(below.units, -1)

    def _carried(self, layer: Layer) -> NDArray[np.float64] | None:
        """What the spikes of this step carry, (units, copies); None without any."""
        fired = layer.fired()
        if not len(fired):
            return None
        scheme, one = self.scheme, self.circuit.neuron.one
        carried = np.zeros(layer.units * self.copies)
        if isinstance(scheme, RateCoding):
            carried[fired] = one / scheme.spikes_per_tau
        else:
            gap = layer.arrays["s"].ravel()[fired] - layer.arrays["sent"].ravel()[fired]
            unit = isinstance(scheme, SigmaDelta) and scheme.payload == "unit"
            carried[fired] = layer.arrays["theta"][0] * np.sign(gap) if unit else gap
        return carried.reshape(layer.units, self.copies)

    def _between(self) -> list[tuple[Layer, Layer, Kernel, Wire]]:
        """(below, above, kernel, wire) of every link between computed layers."""
        return list(zip(self.layers[:-1], self.layers[1:], self.kernels, self.circuit.wires[1:], strict=True))
