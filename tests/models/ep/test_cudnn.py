"""Everything that computes on CUDA asks cuDNN for all digits and for the same bits, and leaves its settings as it found
them. What a GPU then does cannot be seen without one."""

from __future__ import annotations

import pytest
import torch
from helpers.ep_examples import bars, conv_network, random_images, random_labels, tiny_recipe

from mapping.machines import to_digital
from models.data import ImageSet
from models.ep.evaluation import evaluate
from models.ep.feed_forward import evaluate_feed_forward
from models.ep.gradient import Phases, ep_gradient
from models.ep.relaxation import relax
from models.fast.evaluation import evaluate_fast
from models.train.loop import train
from models.twin.loop import train_twin

NETWORK = conv_network(0)
IMAGES = ImageSet(torch.randint(0, 255, (4, 2, 8, 8), dtype=torch.uint8), random_labels(4), scale=255)
SINGLE = NETWORK.map_parameters(torch.Tensor.float)
MACHINE = to_digital(SINGLE, steps=2)


@pytest.mark.parametrize(
    "work",
    [
        lambda: relax(NETWORK, random_images(2), steps=2),
        lambda: ep_gradient(NETWORK, random_images(2), random_labels(2), Phases(2, 2), torch.Generator()),
        lambda: evaluate(SINGLE, IMAGES, steps=2),
        lambda: evaluate_fast(SINGLE, IMAGES, sweeps=2),
        lambda: evaluate_feed_forward(SINGLE, IMAGES),
        lambda: train(bars(), tiny_recipe(1), seed=0),
        lambda: train_twin(bars(), tiny_recipe(1), seed=0),
        lambda: MACHINE.settle(random_images(2).float().numpy()),
    ],
)
def test_convolutions_keep_all_digits_and_repeat_their_bits(work, monkeypatch):
    settings = []
    convolution = torch.nn.functional.conv2d

    def watched(*args, **options):
        settings.append((torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic))
        return convolution(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "conv2d", watched)
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic
    work()
    assert settings
    assert set(settings) == {(False, True)}
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic) == before
