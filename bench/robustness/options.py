"""The command line of a robustness study."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from bench.command_line import option
from bench.machines.backend import Backend, Settling
from bench.options import RunOptions, fixed_part, model_sha256


@dataclass(frozen=True)
class RobustOptions(RunOptions):
    """What is attacked and how thoroughly. `--limit` is how many images are attacked, balanced over classes."""

    suite: Annotated[str, option("NAME")] = "quick"
    """quick, standard or full."""
    cut: Annotated[bool, option()] = False
    """Cut the feedback: one pass upwards. Twins always run so."""
    corrupted: Annotated[int | None, option("N", "the suite's")] = None
    """Images of each natural corruption."""
    looped: Annotated[int | None, option("N", "the suite's")] = None
    """Images of attacks on a machine itself; 0: none."""
    others: Annotated[tuple[str, ...], option("NAME..")] = ()
    """Networks that attacked images are shown to as well."""

    @property
    def known(self) -> tuple[str, ...]:
        """The zoo, and the controls beside it."""
        from bench.networks import network_names

        return network_names()


@dataclass(frozen=True)
class RobustConfig:
    """One study, as the command line has it."""

    run: RobustOptions
    settling: Settling
    machines: dict[str, Backend]

    @property
    def chosen(self) -> dict[str, Backend]:
        """The machines that run."""
        return {name: self.machines[name] for name in self.run.backend}

    @property
    def name(self) -> str:
        """What a run folder is named after."""
        return f"robustness-{Path(self.run.model).stem}{'-cut' if self.run.cut else ''}"

    @property
    def identity(self) -> dict[str, Any]:
        """What must not change when the run goes on."""
        fixed = fixed_part(self.run, self.settling, self.machines)
        digests = [model_sha256(model) for model in (self.run.model, *self.run.others)]
        return {**fixed, "robustness": True, "model_sha256": digests}
