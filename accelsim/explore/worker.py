"""A process that evaluates points for another: ``python -m accelsim.explore.worker``, tasks in, outcomes out.

Messages are pickles of its own parent, each after its length in eight bytes. The first is the space, every other a list
of points. When the parent is gone, however it went, the input ends, and so does the worker.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import IO, Any

LENGTH_BYTES = 8


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(LENGTH_BYTES, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> Any:
    """Read one message.

    Raises:
        EOFError: The other side is gone.
    """
    head = stream.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        raise EOFError
    length = int.from_bytes(head, "little")
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)


def main() -> None:
    """Evaluate what standard input asks for, until it ends."""
    tasks, outcomes = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the messages
    from accelsim.explore.evaluate import Evaluator  # noqa: PLC0415 - after standard output is safe

    try:
        evaluator = Evaluator(receive(tasks))
        while True:
            send(outcomes, [evaluator.evaluate(values) for values in receive(tasks)])
    except (EOFError, BrokenPipeError):
        os._exit(0)  # nothing to clean up, and nobody to tell


if __name__ == "__main__":
    main()
