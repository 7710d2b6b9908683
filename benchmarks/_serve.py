"""A measured program is a process that answers one JSON line with another.

The driver can so keep several programs set up and warm, and let them run in turn: what
slows the machine for a while then slows all of them. Every process is pinned before it
imports anything, because thread pools take their size from the affinity mask.
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable

HERE = pathlib.Path(__file__).parent


def serve(tasks: dict[str, Callable[..., dict]]) -> None:
    """Answer requests `{"task": name, **arguments}` until standard input closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no reply
    for line in sys.stdin:
        request = json.loads(line)
        reply = tasks[request.pop("task")](**request)
        print(json.dumps(reply), file=replies, flush=True)


class Program:
    """A running program; use as a context manager."""

    def __init__(self, script: str, *, python: str = sys.executable, threads: int = 1):
        if threads > os.cpu_count():
            raise SystemExit(f"{threads} threads asked for, {os.cpu_count()} cores.")
        everywhere = os.sched_getaffinity(0)
        os.sched_setaffinity(0, sorted(everywhere)[:threads])  # inherited by the child
        one = {f"{x}_NUM_THREADS": str(threads) for x in ("OMP", "OPENBLAS", "MKL")}
        try:
            self._process = subprocess.Popen(
                [python, str(HERE / script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | one,
            )
        finally:
            os.sched_setaffinity(0, everywhere)

    def __call__(self, task: str, **arguments) -> dict:
        print(json.dumps({"task": task, **arguments}), file=self._process.stdin)
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args} ended while busy with {task!r}.")
        return json.loads(line)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_) -> None:
        self._process.stdin.close()
        self._process.wait()
