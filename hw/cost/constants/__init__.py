"""The one table of cited constants, in SI units: low, nominal and high, with where each was published.

Nothing here is guessed: a figure without a source is not in the table. Where two sources disagree on the same thing,
both are kept under the name of their source. Most papers were read through another project's verbatim quotation of
the table, not in print: check the primary before printing a figure. `kind` says how the source got its number:

- measured:  read off silicon
- simulated: circuit simulation or synthesis
- fitted:    regression of a model on measurements
- derived:   arithmetic on published numbers, shown in the source field
- vendor:    data sheet or brief of the maker, without a method
- assumed:   nobody has published it; the source field says why this and not another

`python -m bench.constants` prints it.
"""

from __future__ import annotations

from hw.cost.constants.constant import KINDS, UNITS, Constant, Group, Kind, Table
from hw.cost.constants.crossbars import (
    ACCELERGY_ADC,
    ALADDIN_2014,
    HERMES_2023,
    ISAAC_2016,
    MURMANN_2025,
    MYTHIC_M1076,
    NEUROSIM,
    NEURRAM_2022,
    PUMA_2019,
    ZIGZAG_IMC,
)
from hw.cost.constants.digital import HOROWITZ_2014, JOUPPI_2021, KELLER_2023, KERAS_SPIKING, MEMORY
from hw.cost.constants.gpus import GPUS
from hw.cost.constants.loihi import DAVIES_2018, LOIHI_1, LOIHI_2, SANAFE_2025
from hw.cost.constants.physics import PHYSICS, RESISTIVE
from hw.cost.constants.published import LOIHI_2_TASKS, PILOTNET

__all__ = [
    "ACCELERGY_ADC",
    "ALADDIN_2014",
    "DAVIES_2018",
    "GPUS",
    "HERMES_2023",
    "HOROWITZ_2014",
    "ISAAC_2016",
    "JOUPPI_2021",
    "KELLER_2023",
    "KERAS_SPIKING",
    "KINDS",
    "LOIHI_1",
    "LOIHI_2",
    "LOIHI_2_TASKS",
    "MEMORY",
    "MURMANN_2025",
    "MYTHIC_M1076",
    "NEUROSIM",
    "NEURRAM_2022",
    "PHYSICS",
    "PILOTNET",
    "PUMA_2019",
    "RESISTIVE",
    "SANAFE_2025",
    "TABLE",
    "UNITS",
    "ZIGZAG_IMC",
    "Constant",
    "Group",
    "Kind",
    "Table",
]

TABLE: Table = {
    "davies2018": DAVIES_2018,
    "sanafe": SANAFE_2025,
    "loihi1": LOIHI_1,
    "loihi2": LOIHI_2,
    "loihi2-tasks": LOIHI_2_TASKS,
    "pilotnet": PILOTNET,
    "horowitz2014": HOROWITZ_2014,
    "jouppi2021": JOUPPI_2021,
    "keller2023": KELLER_2023,
    "memory": MEMORY,
    "keras-spiking": KERAS_SPIKING,
    "isaac2016": ISAAC_2016,
    "puma2019": PUMA_2019,
    "accelergy-adc": ACCELERGY_ADC,
    "murmann2025": MURMANN_2025,
    "zigzag-imc": ZIGZAG_IMC,
    "aladdin2014": ALADDIN_2014,
    "neurram2022": NEURRAM_2022,
    "hermes2023": HERMES_2023,
    "mythic-m1076": MYTHIC_M1076,
    "neurosim": NEUROSIM,
    "physics": PHYSICS,
    "resistive": RESISTIVE,
    **{f"gpu-{name}": peaks for name, peaks in GPUS.items()},
}
"""Every constant, by group and name."""
