"""Synapses against matrices that loops build."""

from __future__ import annotations

import numpy as np
from helpers.naive import NaiveLink
from helpers.random_nets import networks
from hypothesis import given, settings

from hw.brian.wiring import synapses_of, wiring
from mapping.circuit import circuit_of
from models.ep.network import EPNetwork


@settings(max_examples=40, deadline=None)
@given(network=networks())
def test_synapses_are_the_entries_of_the_matrix_of_a_link(network: EPNetwork) -> None:
    for wire in circuit_of(network).wires:
        found = wiring(wire)
        matrix = np.zeros((int(np.prod(wire.above)), int(np.prod(wire.below))))
        np.add.at(matrix, (found.post, found.pre), found.strengths(wire.weight))
        naive = NaiveLink(wire)
        np.testing.assert_allclose(matrix, naive.windows @ naive.sums, rtol=0, atol=1e-6)
        assert (
            len(set(zip(found.pre.tolist(), found.post.tolist(), strict=True))) == len(found.pre) == synapses_of(wire)
        )


@settings(max_examples=25, deadline=None)
@given(network=networks())
def test_what_synapses_gather_is_the_adjoint_of_their_strengths(network: EPNetwork) -> None:
    rng = np.random.default_rng(0)
    for wire in circuit_of(network).wires:
        found = wiring(wire)
        weight, products = rng.normal(size=wire.weight.shape), rng.normal(size=len(found.pre))
        forward, back = found.strengths(weight) @ products, (weight * found.gathered(products)).sum()
        np.testing.assert_allclose(forward, back, rtol=1e-9, atol=1e-9)
