"""Arrays of your own become a network, and the network a chip."""

# %% Your arrays: here 200 noisy pictures of a bar, lying or standing, or of a cross
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hw.crossbar import Fabrication, Remedies, preset
from mapping import to_crossbar
from models import Dense, dataset_of, load_model
from models.files.checkpoint import save_network
from models.recipes import recipe_for
from models.train.loop import train

rng = np.random.default_rng(0)
labels = np.arange(200) % 3
images = rng.uniform(0, 0.4, (200, 8, 8))
images[labels != 1, 3:5, :] += 0.6
images[labels != 0, :, 3:5] += 0.6
images = images.clip(0, 1)

# %% A data set: 140 images to learn from, 20 to choose by, 40 for the final figure, the same ones every time
data = dataset_of(images, labels)
print(data)

# %% A recipe: that of digits, with one small layer; equilibrium propagation learns it
recipe = replace(
    recipe_for("digits"), layers=(Dense(32),), learning_rates=(0.1, 0.3), weight_decay=(1e-4, 1e-4), epochs=5, shift=0
)
network = train(data, recipe, seed=0).network

# %% Weights are kept in a file that `load_model` and all commands read
with TemporaryDirectory() as folder:
    save_network(network, Path(folder, "bars.safetensors"))
    network = load_model(str(Path(folder, "bars.safetensors")))

# %% A chip: its devices err, and a day has passed since they were programmed
chip = to_crossbar(network, Fabrication(preset("pcm-nandakumar-2019"), seed=(1,)), steps=recipe.steps)
chip.prepare(data.train.first(64).floats(), Remedies(), age_s=24 * 3600)
print(chip)
right = chip.settle(data.test.floats()).logits.argmax(axis=1) == data.test.labels.numpy()
print(f"{right.mean():.1%} of {len(right)} test images right on the chip")
