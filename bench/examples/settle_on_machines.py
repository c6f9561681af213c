"""A network of the zoo on the digital machine, on Lava and on a noisy die."""

# %% A trained network, and images it has never seen
from hw.crossbar import Fabrication, Remedies, preset
from mapping import quantize, to_crossbar, to_digital, to_lava
from models import load_data, load_model

network, data = load_model("digits"), load_data("digits")
test = data.test.first(32)
print(network)

# %% Floats on the processor: the reference
digital = to_digital(network, steps=40)
answers = {"digital": digital.settle(test.floats())}

# %% Integers on Lava that send only what has changed: a program whose accumulators cannot overflow
program = quantize(network, data.train.first(256).floats())
with to_lava(program, steps=40, delta_threshold=1) as lava:
    answers["Lava"] = lava.settle(test.floats())

# %% Conductances of one die, an hour after it was programmed, with its converters set on training images
die = to_crossbar(network, Fabrication(preset("pcm-nandakumar-2019"), seed=(1,)), steps=40)
die.prepare(data.train.first(64).floats(), Remedies(), age_s=3600)
answers["die"] = die.settle(test.floats())

# %% All answer with logits, states and a ledger of what they did
for name, settled in answers.items():
    right = settled.logits.argmax(axis=1) == test.labels.numpy()
    print(f"{name}: {right.mean():.1%} right, states still move by {settled.residual.max():.1e}")
messages = answers["Lava"].ledger.messages
assert messages is not None
print(f"Lava sends {messages.synops('delta') / len(test):,.0f} synaptic operations per image,")
print(f"and would send {messages.synops('dense') / len(test):,.0f} if it sent every state at every step")
