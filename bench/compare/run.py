"""The whole comparison: networks, machines and images are loaded, then everything is run, measured and worked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.compare.bits import Bits, bits_needed
from bench.compare.measured import measure_all
from bench.compare.options import CompareOptions
from bench.compare.physics import fan_in, physics_of
from bench.compare.platforms import Compared, Entry, Shown, compare_on, on_board
from bench.compare.sensitivity import Side, conclusions
from bench.compare.training import training_rows
from bench.machines.backend import INTEGERS, Backend, Conditions, RowKey, Workload
from bench.options import CALIBRATION_IMAGES, DIE_CALIBRATION_IMAGES, check_fit
from bench.progress import Progress
from hw.cost.constants.own import read_own
from hw.ledger import counted
from hw.meters import Plan
from mapping.circuit import circuit_of
from models.command_line import before_work
from models.data import Dataset
from models.ep.network import EPNetwork

TWIN_PRECISIONS = {"torch": "float", "lava": "delta", "crossbar": "analog"}
"""Platforms of the twin: a processor, changes on a chip, tiles."""
RESISTIVE = {"digits": "drn-digits", "mnist": "drn-mnist"}
"""Networks of resistors, by data: they stand in where the network itself is none that resistors can express."""


@dataclass(frozen=True)
class Prepared:
    """Everything that is run."""

    options: CompareOptions
    machines: Mapping[str, Backend]
    entries: tuple[Entry, ...]
    shown: Shown
    data: Dataset
    absent: Mapping[str, str]
    """Machines that cannot hold the network, and why."""


def prepare(options: CompareOptions, machines: Mapping[str, Backend]) -> Prepared:
    """Load and check; ConfigError where model, data or an option do not fit each other."""
    from bench.networks import checkpoint_name
    from models.controls import load_for_machines
    from models.data import load_data
    from models.zoo.manifests import check_same, trained_on

    with before_work():
        network = load_for_machines(options.model)
        data = load_data(trained_on(checkpoint_name(options.model)), options.data_dir)
        check_same(checkpoint_name(options.model), data)
        check_fit(options.model, network, data)
        entries, absent = _entries(options, machines, network, data)
        if (twin := options.twin_name) is not None:
            other = load_for_machines(twin)
            check_fit(twin, other, data)
            if other.feedback:
                raise ValueError(f"--twin {twin!r} has feedback: a twin is one pass, made by python -m models.twin")
            entries += _entries_of_twin(options, machines, (twin, other), data)
    validation = data.validation.at_most(options.at_most(options.validation))
    test = data.test.at_most(options.at_most(options.limit))
    shown = Shown(*(part for one in (validation, test) for part in (one.floats().numpy(), one.labels.numpy())))
    return Prepared(options, machines, tuple(entries), shown, data, absent)


def _entries(
    options: CompareOptions, machines: Mapping[str, Backend], network: EPNetwork, data: Dataset
) -> tuple[list[Entry], dict[str, str]]:
    """Every machine in every number format that it usually runs in, with the network that it is given."""
    from models.zoo import load_model, model_names

    entries: list[Entry] = []
    absent: dict[str, str] = {}
    for name in options.backends:
        backend = machines[name]
        given = backend.model(options.model) if options.model in model_names() else options.model
        used = network if given == options.model else load_model(given)
        if name == "resistive" and (why := _no_resistors(used)) is not None:
            absent[name] = why
            if (stand_in := RESISTIVE.get(data.name)) is None:
                continue
            given, used = stand_in, load_model(stand_in)
        backend.check_network(used, options.settling, 1)
        keys = [
            RowKey(name, precision, backend.main_point())
            for precision in backend.precisions
            if precision not in backend.on_request
        ]
        work = _workload(options, used, data, any(key.precision in INTEGERS for key in keys))
        entries += [Entry(given, backend, key, work) for key in keys if (name, key.precision) not in UNPRICED]
    return entries, absent


UNPRICED = {
    ("torch", "fixed"): "integers on a processor stop where those of Lava do, bit for bit, and no profile prices them",
    ("lava", "float"): "no neuromorphic chip computes in floating point",
    ("brian", "rate"): "an integration of rates is no event of any chip",
}
"""Number formats for which no profile has a price, and why."""


def _entries_of_twin(
    options: CompareOptions, machines: Mapping[str, Backend], twin: tuple[str, EPNetwork], data: Dataset
) -> list[Entry]:
    name, network = twin
    work = _workload(options, network, data, "lava" in options.backends)
    return [
        Entry(name, machines[backend], RowKey(backend, TWIN_PRECISIONS[backend], machines[backend].main_point()), work)
        for backend in options.backends
        if backend in TWIN_PRECISIONS
    ]


def _no_resistors(network: EPNetwork) -> str | None:
    """Why resistors cannot be the network; None if they can."""
    from mapping.resistive import NotResistiveError, resistive_of

    try:
        resistive_of(network)
    except NotResistiveError as error:
        return str(error)
    return None


def _workload(options: CompareOptions, network: EPNetwork, data: Dataset, integers: bool) -> Workload:
    from mapping.quantization import quantize

    calibration = data.train.at_most(DIE_CALIBRATION_IMAGES).floats().numpy()
    own = read_own(options.constants)
    conditions = Conditions(options.settling, calibration, options.seed, options.device, own=own)
    if not integers:
        return Workload(network, None, conditions)
    shown = data.train.at_most(CALIBRATION_IMAGES).floats()
    program = quantize(network, shown, state_bits=options.state_bits, steps=options.steps)
    return Workload(network, program, conditions)


def compare(prepared: Prepared) -> dict[str, Any]:
    """Every figure, as JSON types."""
    from bench.compare.robust import kept_rows, with_robustness

    options = prepared.options
    found: list[tuple[Entry, Compared]] = []
    with Progress("comparing", len(prepared.entries)) as progress:
        for entry in prepared.entries:
            progress.advance(entry.name)
            found.append((entry, compare_on(entry, prepared.shown, options.loss, progress.note)))
            progress.finished(entry.name)
        plan = Plan(options.window_s, options.repeats)
        measured = measure_all(prepared.entries, prepared.shown.test, options.batches, plan, progress.note)
        training = training_rows(prepared.entries, prepared.data.train, progress.note)
        physics = _physics(prepared, found, progress.note)
    kept, exact = kept_rows(), prepared.machines["lava"].delta_threshold == 1  # type: ignore[attr-defined]
    rows = [
        row for entry, one in found for row in with_robustness(one.rows, kept, entry.key.point, exact_changes=exact)
    ]
    return {
        "model": options.model,
        "twin": options.twin_name,
        "data": prepared.data.name,
        "images": len(prepared.shown.test),
        "validation": len(prepared.shown.validation),
        "loss": options.loss,
        "steps": options.steps,
        "own": list(dict.fromkeys(own.name for entry in prepared.entries for own in entry.work.conditions.own)),
        "rows": [row.to_json() for row in rows],
        "measured": measured,
        "training": training,
        "sensitivity": _sensitivity(found),
        "physics": physics,
        "curves": [point for _, one in found for point in one.curves],
        "places": [
            {"network": entry.network, "machine": f"{entry.key.backend} {entry.key.precision}", **one.place}
            for entry, one in found
            if one.place is not None
        ],
        "absent": dict(prepared.absent),
        "without_price": {" ".join(pair): why for pair, why in UNPRICED.items() if pair[0] in options.backends},
        "unpriced": {entry.name: dict(one.unpriced) for entry, one in found if one.unpriced},
    }


VARIED = {
    ("lava", "delta"): "sanafe",
    ("crossbar", "analog"): "hermes-14nm",
    ("resistive", "analog"): "settling-circuit",
}
"""Platforms whose constants are varied, and by which profile."""
NOISY_IMAGES = 100
"""Validation images that noise is added to the sums of."""


def _sensitivity(found: Sequence[tuple[Entry, Compared]]) -> list[dict[str, Any]]:
    """The platforms on which the network settles, against the twin on the GPU, all images at once; without a twin
    against the network itself there."""
    ours, theirs = [], None
    for entry, one in found:
        where = (entry.key.backend, entry.key.precision)
        if entry.in_floats and one.together is not None and (theirs is None or not entry.settles):
            (profile, cost), *_ = on_board(one.together).items()
            theirs = Side(f"{entry.network} on a GPU (H200)", profile, one.together, cost)
        if entry.settles and (profile := VARIED.get(where, "")):
            prices = entry.backend.pricer(entry.key, entry.work)(one.ledger)
            updates = _digital_updates(entry, one)
            row = next((row for row in one.rows if row.profile == profile), None)
            if row is not None:
                name = f"{entry.network} on {row.platform}"
                ours.append(Side(name, profile, one.ledger, prices.costs[profile], updates))
    return [] if theirs is None else conclusions(ours, theirs)


def _digital_updates(entry: Entry, one: Compared) -> float:
    """Neuron updates of digital neurons of crossbars, summed over images."""
    if entry.key.backend != "crossbar" or entry.backend.tiles.neurons == "analog":  # type: ignore[attr-defined]
        return 0.0
    return float(counted(one.ledger.messages, "messages").neuron_updates_by_step().sum())


def _physics(
    prepared: Prepared, found: Sequence[tuple[Entry, Compared]], done: Callable[[str], None]
) -> dict[str, Any]:
    """Joules per multiply-accumulate, of the steps that a processor would do for the same answers."""
    macs: dict[tuple[str, str], float] = {}
    needed: dict[str, Bits] = {}
    devices: dict[str, float] = {}
    for entry, _ in found:
        network, name = entry.work.network, entry.network
        if name not in needed:
            done(f"{name}: noise on its sums")
            images = prepared.data.validation.at_most(prepared.options.at_most(NOISY_IMAGES))
            needed[name] = bits_needed(network, images, prepared.options.steps)
            devices[name] = fan_in(network)
        macs[name, entry.key.backend] = _macs(entry, prepared.options.steps)
    return physics_of([row for _, one in found for row in one.rows], macs, needed, devices)


def _macs(entry: Entry, steps: int) -> float:
    """Of one image: those of a processor in as many steps; of a circuit without steps, one pass up and one down."""
    wires = circuit_of(entry.work.network)
    first, *others = [wire.macs for wire in wires.wires]
    readout = 0 if wires.readout is None else wires.readout.weight.size
    passes = 1 if entry.key.backend == "resistive" else steps
    return first + readout + (2 * passes * sum(others) if entry.settles else sum(others))
