"""By whom points are run: processes of this computer (loky), or a Dask or Ray cluster, all through joblib.

Every worker is one process with one torch thread. A worker that dies takes its point with it and no other: the rest
goes on with fresh workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib import import_module
from socket import create_connection
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from bench.command_line import ConfigError

EXECUTORS = ("loky", "dask", "ray")
PATIENCE_S = 10
"""How long a cluster may take to answer."""
Run = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]
"""Calls a function with every argument, anywhere and in any order; what came back, in order."""


@contextmanager
def executor(name: str, address: str | None, workers: int) -> Iterator[Run]:
    """Something that maps a function over arguments with `workers` processes, or with those of a cluster.

    What could not be finished since a worker died is left out of the answers.

    Raises:
        ConfigError: the cluster does not answer, or what speaks to it is not installed.
    """
    with ExitStack() as stack:
        if name == "dask":
            client = _dask(address, workers)
            stack.callback(client.close)
            stack.enter_context(parallel_config(backend="dask"))
        elif name == "ray":
            ray = _ray(address, workers)
            stack.callback(ray.shutdown)
            stack.enter_context(parallel_config(backend="ray", n_jobs=workers))
        else:
            # else joblib keeps a folder in /dev/shm, and its workers, until this process ends
            folder = stack.enter_context(TemporaryDirectory(prefix="ep-sweep-"))
            stack.callback(lambda: get_reusable_executor(max_workers=workers).shutdown(wait=True))
            stack.enter_context(
                parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1, temp_folder=folder)
            )

        def run(call: Callable[[Any], Any], arguments: Sequence[Any]) -> list[Any]:
            try:
                answers: list[Any] = Parallel(batch_size=1)(delayed(call)(argument) for argument in arguments)
            except TerminatedWorkerError:
                return []
            return answers

        yield run


def _dask(address: str | None, workers: int) -> Any:
    distributed = _needed("distributed", "dask")
    try:
        if address is None:
            return distributed.Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        return distributed.Client(address, timeout=PATIENCE_S)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"--address {address!r}: no scheduler of Dask answers there: {error}") from error


def _ray(address: str | None, workers: int) -> Any:
    ray = _needed("ray", "ray")
    try:
        if address is not None and (place := urlsplit(f"//{address.rpartition('//')[2]}")).port is not None:
            # Ray itself asks for minutes whether anybody is there
            create_connection((place.hostname or "", place.port), timeout=PATIENCE_S).close()
        own = {"num_cpus": workers} if address is None else {}
        ray.init(address=address, include_dashboard=False, log_to_driver=False, **own)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"--address {address!r}: no cluster of Ray answers there: {error}") from error
    import_module("ray.util.joblib").register_ray()
    return ray


def _needed(module: str, extra: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ConfigError(f"--executor {extra} needs {module}: pip install '.[{extra}]'") from error
