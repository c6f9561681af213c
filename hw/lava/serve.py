"""The interpreter that hosts one Lava graph: `python -m hw.lava.serve FD FOLDER`, started by `hw.lava.process`.

It receives a job, builds and starts its graph once, then settles or learns whatever it is sent, all batches of a call
in one run of Lava. It ends when the other end of its connection closes, and leaves no process behind.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import hw.lava.compat  # noqa: F401 - before Lava

from hw.lava.host import Host, RunError
from hw.lava.hosted import host_connection
from hw.lava.learning.graph import build_learning_graph
from hw.lava.learning.messages import LearningJob
from hw.lava.learning.passes import learn
from hw.lava.messages import Job
from hw.lava.settling import build_settling_graph, settle


def main() -> None:
    """Serve one machine until it hangs up."""
    with host_connection() as connection:
        host: Host | None = None
        try:
            job = connection.recv()
            assert isinstance(job, (Job, LearningJob))
            serve: Callable[[Any], Any]
            if isinstance(job, Job):
                settling = build_settling_graph(job)
                host = Host(settling, connection, job.stall_s)
                serve = partial(settle, host, settling, job)
            else:
                learning = build_learning_graph(job)
                host = Host(learning, connection, job.stall_s)
                serve = partial(learn, host, learning, job)
            connection.send(("segments", host.segments()))
            host.reserve()
            connection.send(("ready",))
            while True:
                connection.send(("done", serve(connection.recv())))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except RunError as error:
            _tell(connection, error.kind, str(error))
        except Exception as error:
            _tell(connection, "host", f"{error}\n{traceback.format_exc()}" if host else str(error))
        finally:
            if host is not None:
                host.kill()


def _tell(connection: Connection, kind: str, message: str) -> None:
    with suppress(OSError):
        connection.send(("failed", kind, message))


if __name__ == "__main__":
    main()
