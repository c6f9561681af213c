"""A damaged die learns to be right again: equilibrium propagation on the devices that are there."""

# %% A network, and a die on which one device of twenty is stuck
from dataclasses import replace

from hw.crossbar import Fabrication, Remedies, preset
from hw.learning.phases import UpdatePhases
from hw.learning.rule import LearningRule
from mapping import descent_of, to_crossbar
from models import load_data, load_model

network, data = load_model("digits"), load_data("digits")
damaged = replace(preset("pcm-nandakumar-2019"), stuck_on=0.025, stuck_off=0.025)
die = to_crossbar(network, Fabrication(damaged, seed=(3,)), steps=20)


# %% How good is it? Converters are set on training images before every measurement
def accuracy() -> float:
    """Share of 100 test images that the die gets right as it is now."""
    die.calibrate(data.train.first(64).floats())
    test = data.test.first(100)
    right = die.settle(test.floats()).logits.argmax(axis=1) == test.labels.numpy()
    return float(right.mean())


die.prepare(data.train.first(64).floats(), Remedies(), age_s=3600)
before = accuracy()

# %% Two phases per update, free and nudged both ways; what neurons saw at their ends changes the weights between them
phases = UpdatePhases.centered(0.5, free_steps=12, nudged_steps=6)
rule = LearningRule(phases, descent_of(network, [0.05, 0.02, 0.2]), batch_size=16)
shown = data.train.first(320)
learned = die.learn(shown.floats(), shown.labels, rule)

# %% No device was mended: the others have learnt to do without those that are stuck
after, writes = accuracy(), die.writes()
print(f"{before:.1%} before, {after:.1%} after {learned.images} images, {writes.mean():.1f} writes per device")
