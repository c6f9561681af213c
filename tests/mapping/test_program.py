"""Programs: saved and loaded whole, refused with the place and the value, accumulators proven."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.naive import NaiveLink
from helpers.random_nets import mixed_network, networks, program_of, random_images
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from mapping.machines import to_digital
from mapping.program import (
    ACCUMULATOR_MAX,
    KEY,
    STATE_BITS,
    VERSION_1,
    Program,
    ProgramError,
    ProgramLink,
    accumulator_bounds,
    is_program,
    layer_exponents,
)
from models.ep.network import EPNetwork


def _program() -> Program:
    return program_of(mixed_network(), state_bits=7, seed=4)


def _dense(weight: Any, exponent: int = 5, bias: Any = None) -> ProgramLink:
    weight = np.asarray(weight, np.int8)
    bias = np.zeros(len(weight), np.int32) if bias is None else np.asarray(bias, np.int32)
    return ProgramLink("dense", (weight.shape[1], 1, 1), weight, exponent, bias)


def _rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object] | None = None) -> Path:
    """The file with its tensors and its description changed by hand."""
    program = _program()
    links = program.named_links()
    tensors: dict[str, NDArray[Any]] = {}
    content: dict[str, Any] = {"version": 2, "state_bits": program.state_bits, "links": {}}
    for name, link in links.items():
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = link.weight.copy(), link.bias.copy()
        content["links"][name] = {key: value for key, value in asdict(link).items() if key not in ("weight", "bias")}
    if change is not None:
        change(tensors, content)
    save_file(tensors, path, {KEY: json.dumps(content)})
    return path


# round trip


@settings(max_examples=25, deadline=None, derandomize=True)
@given(networks(), st.sampled_from(STATE_BITS), st.integers(0, 2**20))
def test_a_saved_program_comes_back_equal_in_every_field(
    tmp_path_factory: pytest.TempPathFactory, network: EPNetwork, state_bits: int, seed: int
) -> None:
    program = program_of(network, state_bits=state_bits, seed=seed)
    path = tmp_path_factory.mktemp("programs") / "a.program"
    program.save(path)
    loaded = Program.load(path)
    assert (loaded.state_bits, loaded.one, loaded.exponents) == (program.state_bits, program.one, program.exponents)
    assert list(loaded.named_links()) == list(program.named_links())
    for name, link in program.named_links().items():
        other = asdict(loaded.named_links()[name])
        for field, value in asdict(link).items():
            if isinstance(value, np.ndarray):
                assert other[field].dtype == value.dtype
                np.testing.assert_array_equal(other[field], value, err_msg=f"{name}.{field}")
            else:
                assert other[field] == value, (name, field)
                assert type(other[field]) is type(value), (name, field)
    assert [path.name for path in path.parent.iterdir()] == ["a.program"], "nothing else is left in the folder"


def test_a_file_written_by_hand_in_the_documented_layout_loads(tmp_path: Path) -> None:
    loaded = Program.load(_rewritten(tmp_path / "hand.program"))
    for ours, theirs in zip(loaded.links, _program().links, strict=True):
        np.testing.assert_array_equal(ours.weight, theirs.weight)


def test_the_same_program_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        _program().save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_file_of_version_1_loads_and_is_saved_as_version_2(tmp_path: Path) -> None:
    """As the package wrote it before: two metadata keys, and no version in the document."""
    old, new = tmp_path / "old.program", tmp_path / "new.program"
    program = _program()
    tensors = {f"{name}.weight": link.weight for name, link in program.named_links().items()}
    tensors |= {f"{name}.bias": link.bias for name, link in program.named_links().items()}
    content = {key: value for key, value in program.document().items() if key != "version"}
    save_file(tensors, old, {"format": VERSION_1, "program": json.dumps(content)})
    assert is_program(old)
    Program.load(old).save(new)
    program.save(tmp_path / "fresh.program")
    assert new.read_bytes() == (tmp_path / "fresh.program").read_bytes()


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.program"
    _program().save(path)
    before = path.read_bytes()

    def broken(self: Path, data: bytes) -> int:
        self.open("wb").write(data[:10])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        program_of(mixed_network(), state_bits=5, seed=9).save(path)
    assert path.read_bytes() == before


# refusals of files


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, length: int) -> None:
    path = tmp_path / "short.program"
    _program().save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ProgramError, match=r"short\.program: truncated or not a safetensors file"):
        Program.load(path)


def test_a_missing_file_or_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"none\.program: no such file"):
        Program.load(tmp_path / "none.program")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ProgramError, match=r"folder: truncated or not a safetensors file"):
        Program.load(tmp_path / "folder")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_foreign_safetensors_file_is_refused(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path, metadata)
    found = "none" if metadata is None else "'format'"
    expected = rf"foreign\.safetensors: not a program: expected the metadata key {KEY!r}, found {found}"
    with pytest.raises(ProgramError, match=expected):
        Program.load(path)


def _without(name: str) -> Any:
    def change(tensors: Any, _: Any) -> None:
        del tensors[name]

    return change


def _tensor(name: str, new: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    def change(tensors: Any, _: Any) -> None:
        tensors[name] = new(tensors[name])

    return change


def _field(link: str, field: str, value: Any) -> Any:
    """Set a field of a link's description; None takes it out."""

    def change(_: Any, content: Any) -> None:
        content["links"][link][field] = value
        if value is None:
            del content["links"][link][field]

    return change


def _top(field: str, value: Any) -> Any:
    """The same for the description of the program."""

    def change(_: Any, content: Any) -> None:
        content[field] = value
        if value is None:
            del content[field]

    return change


def _with_outlier(weight: NDArray[Any]) -> NDArray[Any]:
    weight = weight.copy()
    weight.flat[0] = -128
    return weight


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without("link2.bias"), r"tensor link2\.bias is missing"),
        (_without("readout.weight"), r"tensor readout\.weight is missing"),
        (_tensor("link1.weight", lambda w: w.astype(np.int16)), "link1 holds int16 weights and int32 biases"),
        (_tensor("link3.bias", lambda b: b.astype(np.float32)), "link3 holds int8 weights and float32 biases"),
        (_tensor("link2.weight", _with_outlier), r"link2 holds the weight -128, outside -127\.\.127"),
        (_tensor("link1.weight", lambda w: w[:, :1].copy()), r"link1: conv weight \(3, 1, 3, 2\).*\(2, 7, 6\)"),
        (_tensor("link1.bias", lambda b: b[:2].copy()), r"link1 has \(2,\) biases for weights \(3, 2, 3, 2\)"),
        (_tensor("link3.weight", lambda w: w[:, :5].copy()), r"link3: dense weight \(6, 5\) does not fit"),
        (_field("link2", "exponent", 0), "link2 has exponent 0, must be 1 to 24"),
        (_field("link2", "exponent", 25), "link2 has exponent 25, must be 1 to 24"),
        (_field("link2", "exponent", -3), "link2 has exponent -3"),
        (_field("link1", "stride", 0), "link1.stride is 0, expected greater"),
        (_field("link1", "padding", -1), "link1.padding is -1, expected greater"),
        (_field("link1", "stride", 2.5), "link1|layer 1"),
        (_field("link2", "exponent", 7.5), r"link2.*7\.5"),
        (_field("link2", "exponent", "7"), "7|int"),
        (_field("link2", "pooling", "max"), "link2 pools by max"),
        (_field("link2", "pooling", "median"), "link2.pooling is 'median', expected 'none', 'average' or 'max'"),
        (_field("link2", "pool_size", 1), "link2: pooling 'average' of size 1"),
        (_field("link2", "below", [3, 5, 4]), r"layer 1 is \(3, 4, 4\) for the link below, \(3, 5, 4\)"),
        (_field("link1", "colour", "red"), "colour"),
        (_field("link1", "kind", "cnov"), "link1.*cnov"),
        (_field("link3", "pool_size", 2), "link3"),
        (_top("state_bits", 3), "state_bits is 3, choices are 4, 5, 6, 7, 8"),
        (_top("state_bits", 9), "state_bits is 9, choices are 4, 5, 6, 7, 8"),
        (_top("state_bits", "8"), "state_bits is '8'"),
        (_top("version", 3), "version 3 is newer than 2, the newest that this package reads"),
        (_top("version", "2"), "version is '2', this package reads 1 and 2"),
        (_top("version", None), "version is None, this package reads 1 and 2"),
        (_top("links", {}), "link"),
        (_top("links", ["link1"]), "links is .*, expected an object"),
        (_top("state_bits", None), "the document lacks state_bits"),
        (_field("link1", "below", None), "link1 lacks below"),
        (_field("readout", "below", [3, 2]), r"readout"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place_and_the_value(tmp_path: Path, change: Any, says: str) -> None:
    path = _rewritten(tmp_path / "bad.program", change)
    with pytest.raises(ProgramError, match=rf"bad\.program: .*({says})"):
        Program.load(path)


def test_a_description_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.program"
    _program().save(path)
    save_file(load_file(path), path, {KEY: "{'state_bits'"})
    with pytest.raises(ProgramError, match=r"bad\.program: not JSON: "):
        Program.load(path)


# refusals of programs


@pytest.mark.parametrize("state_bits", [3, 9, 0, -8])
def test_state_bits_no_machine_has_are_refused(state_bits: int) -> None:
    with pytest.raises(ProgramError, match=rf"state_bits is {state_bits}, choices are 4, 5, 6, 7, 8"):
        Program(_program().links, None, state_bits)


def test_an_accumulator_that_could_overflow_is_named_with_its_unit() -> None:
    """260 weights of 127 times states of 255 are just beyond 2**23 - 1; 259 are not."""
    fan_in = ACCUMULATOR_MAX // (127 * 255)
    weight = np.zeros((3, fan_in + 1), np.int8)
    weight[1, :fan_in] = 127
    Program((_dense(weight),), None, 8)
    weight[1] = -127
    with pytest.raises(ProgramError, match=r"accumulator of layer1, unit \(1,\), could reach 8420100, more than the "):
        Program((_dense(weight),), None, 8)
    Program((_dense(weight),), None, 7)


def test_the_bias_the_shift_and_the_feedback_count_towards_the_accumulator() -> None:
    lower, upper = _dense([[100, 100]], exponent=9), _dense([[-100]], exponent=3)
    upper = replace(upper, below=(1,))
    program = Program((lower, upper), None, 8)
    # layer 1 sits on the finer binary point 9: what link 2 sends down is shifted by 6
    assert program.exponents == (9, 3)
    np.testing.assert_array_equal(program.accumulator_bounds()["layer1"], [255 * 200 + 255 * 100 * 64])
    np.testing.assert_array_equal(program.accumulator_bounds()["layer2"], [255 * 100])
    room = ACCUMULATOR_MAX - 255 * 200 - 255 * 100 * 64
    for sign in (1, -1):
        Program((replace(lower, bias=np.array([sign * room], np.int32)), upper), None, 8)
        with pytest.raises(ProgramError, match=r"layer1, unit \(0,\), could reach 8388608, more than the 8388607"):
            Program((replace(lower, bias=np.array([sign * (room + 1)], np.int32)), upper), None, 8)


def test_a_readout_that_could_overflow_is_named() -> None:
    weight = np.full((2, 260), 127, np.int8)
    below = replace(_dense(np.ones((260, 1))), bias=np.zeros(260, np.int32))
    readout = replace(_dense(weight), below=(260,))
    with pytest.raises(ProgramError, match=r"accumulator of readout, unit \(0,\)"):
        Program((below,), readout, 8)


def test_layers_that_do_not_meet_are_named() -> None:
    first, second, *_ = _program().links
    with pytest.raises(ProgramError, match=r"layer 1 is \(3, 4, 4\) for the link below, \(2, 7, 6\) for the one above"):
        Program((first, first), None, 7)
    with pytest.raises(ProgramError, match="layer 1"):
        Program((second, first), None, 7)


def test_a_readout_that_does_not_fit_the_last_layer_is_refused() -> None:
    program = _program()
    assert program.readout is not None
    wide = replace(program.readout, below=(7,), weight=np.ones((3, 7), np.int8))
    with pytest.raises(ProgramError, match=r"readout.*\(7,\).*\(6,\)"):
        Program(program.links, wide, 7)


def test_a_program_without_readout_ends_in_one_unit_per_class() -> None:
    """As a network does: the states of the last layer are the class scores."""
    with pytest.raises(ProgramError, match=r"\(3, 4, 4\)"):
        Program(_program().links[:1], None, 7)


def test_a_program_without_links_is_refused() -> None:
    with pytest.raises(ProgramError, match="link"):
        Program((), None, 8)


# accumulators


def test_a_layer_sits_on_the_finer_binary_point_of_its_links() -> None:
    assert layer_exponents([5]) == (5,)
    assert layer_exponents([5, 9, 2]) == (9, 9, 2)
    assert layer_exponents([9, 5, 7]) == (9, 7, 7)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(networks(largest=5), st.sampled_from(STATE_BITS), st.integers(0, 2**20))
def test_the_bound_is_the_worst_case_of_adversarial_states(network: EPNetwork, state_bits: int, seed: int) -> None:
    """States of one where the weight is positive drive a unit to its top, the others to its bottom.

    The bound takes magnitudes, so that partial sums and changes stay below it too: a lopsided unit reaches half of it.
    """
    program = program_of(network, state_bits=state_bits, seed=seed)
    one, points = 2**state_bits - 1, program.exponents
    naive = [NaiveLink(link) for link in program.links]
    bounds = program.accumulator_bounds()
    for index, link in enumerate(program.links):
        reaching = [naive[index].matrix * 2 ** (points[index] - link.exponent)]
        if index + 1 < len(naive):
            above = program.links[index + 1]
            reaching.append(naive[index + 1].matrix.T * 2 ** (points[index] - above.exponent))
        weights = np.concatenate(reaching, axis=1)
        bias = np.repeat(link.bias.astype(np.int64), int(np.prod(link.above[1:])))
        top = one * np.where(weights > 0, weights, 0).sum(axis=1) + bias
        bottom = one * np.where(weights < 0, weights, 0).sum(axis=1) + bias
        worst = np.maximum(np.abs(top), np.abs(bottom))
        bound = bounds[f"layer{index + 1}"].ravel()
        assert np.all(worst <= bound)
        reaching_links = program.links[index : index + 2]
        if all(other.pooling == "none" for other in reaching_links):  # else weights of one window may cancel
            assert np.all(bound <= 2 * worst + np.abs(bias))
            assert np.all(bound == one * np.abs(weights).sum(axis=1) + np.abs(bias))
    if program.readout is not None:
        sums = one * np.abs(program.readout.weight.astype(np.int64)).sum(axis=1) + np.abs(program.readout.bias)
        np.testing.assert_array_equal(bounds["readout"], sums)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(networks(largest=5), st.integers(0, 2**20))
def test_accumulators_stay_below_the_bound_while_settling(network: EPNetwork, seed: int) -> None:
    """Accumulators recomputed by matrices from the states of a real settle."""
    program = program_of(network, state_bits=8, seed=seed)
    images = random_images(program.links[0].below, 4, seed)
    with to_digital(program, steps=8) as machine:
        trace = machine.settle(images, trace=True).trace
    assert trace is not None
    x = np.rint(images * program.one).astype(np.int64)
    layers = [np.broadcast_to(x, (8, *x.shape)), *trace]
    flat = [layer.reshape(-1, int(np.prod(layer.shape[2:]))).astype(np.int64) for layer in layers]
    for index, link in enumerate(program.links):
        sums = flat[index] @ NaiveLink(link).matrix.T * 2 ** (program.exponents[index] - link.exponent)
        if index + 1 < len(program.links):
            above = program.links[index + 1]
            down = flat[index + 2] @ NaiveLink(above).matrix
            sums = sums + down * 2 ** (program.exponents[index] - above.exponent)
        sums = sums + np.repeat(link.bias, int(np.prod(link.above[1:])))
        assert np.all(np.abs(sums) <= program.accumulator_bounds()[f"layer{index + 1}"].ravel())
        assert np.abs(sums).max() < 2**23


def test_bounds_of_links_alone_are_those_of_the_program() -> None:
    program = _program()
    alone = accumulator_bounds(program.links, program.readout, program.one)
    for name, bound in program.accumulator_bounds().items():
        np.testing.assert_array_equal(alone[name], bound)
