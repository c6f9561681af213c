"""The interpreter that hosts a Lava graph, seen from within: how it begins and ends."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection


@contextmanager
def host_connection() -> Iterator[Connection]:
    """The connection to the `hw.lava.process.HostProcess` that started this interpreter, which ends with the block.

    If the other end hangs up or dies, the block ends quietly too.
    """
    connection, folder = Connection(int(sys.argv[1])), sys.argv[2]
    tempfile.tempdir = folder  # of all that Lava forks too
    # what Lava forks must not hold our end open: if we are killed, the other end has to see that we are gone
    os.register_at_fork(after_in_child=connection.close)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the other end, which then hangs up
    try:
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            yield connection
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # Lava's threads and atexit hooks would wait for the processes that are gone
        os._exit(0)
