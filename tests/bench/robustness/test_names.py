"""What images are disturbed by depends on their kind, and is the same noise and the same balls as in a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.machines.backend import Conditions, Settling
from bench.robustness.disturbances import disturbed, gaussian
from bench.robustness.names import (
    ALL,
    COLOUR_EPSILONS,
    DISTURBANCES,
    EPSILONS,
    GREY_EPSILONS,
    SIGMAS,
    chosen_disturbances,
    disturbances_of,
)
from bench.robustness.suites import radii_of
from models.zoo import load_model


def test_balls_are_those_of_a_study_of_the_same_images() -> None:
    assert set(GREY_EPSILONS) <= set(radii_of(1).linf)
    assert set(COLOUR_EPSILONS) <= set(radii_of(3).linf)


def test_names_say_how_much_and_all_stands_for_those_of_the_kind() -> None:
    assert disturbances_of(1) == ("gaussian-0.1", "gaussian-0.2", "gaussian-0.3", "pgd-linf-0.03", "pgd-linf-0.1")
    assert disturbances_of(3) == ("gaussian-0.04", "gaussian-0.08", "gaussian-0.1", "pgd-linf-0.0078", "pgd-linf-0.031")
    assert set(DISTURBANCES) == {*disturbances_of(1), *disturbances_of(3)}
    assert chosen_disturbances((ALL,), 3) == disturbances_of(3)
    assert chosen_disturbances((), 3) == ()
    assert chosen_disturbances(("gaussian-0.3",), 3) == ("gaussian-0.3",)
    for name, size in (SIGMAS | EPSILONS).items():
        assert float(name.rpartition("-")[2]) == pytest.approx(size, rel=0.02)


def test_a_disturbance_is_as_large_as_its_name_says(tmp_path: Path) -> None:
    network = load_model("digits")
    images = np.full((4, *network.input_shape), 0.5, np.float32)
    conditions = Conditions(Settling(steps=8), images[:1], 0, "cpu")
    names = ("gaussian-0.04", "pgd-linf-0.031")
    made = dict(disturbed(network, images, np.zeros(4, np.int64), names, conditions, tmp_path, lambda _: None))
    assert tuple(made) == names
    np.testing.assert_array_equal(made["gaussian-0.04"], gaussian(images, 0.04, 0))
    assert float(np.abs(made["pgd-linf-0.031"] - images).max()) == pytest.approx(8 / 255, abs=1e-6)
