"""One worker of a server: answers from a socket that all of them share, until it is told to stop.

Started by the supervisor as ``python -m firsthop.sidecar.worker ORDERS``. It ends in good order at
SIGTERM, and also when its supervisor is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading

import msgspec

from ..device.connection import speak_for
from ..errors import ConfigError, RouterError
from . import loglines
from .board import Board
from .orders import Orders, Ready
from .plan import run


def main() -> None:
    """Be that worker. Exit code 2: the config or an option is wrong; 1: something else was."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    loglines.begin(json=orders.plan.json_log)
    control = socket.socket(fileno=orders.control)
    listening = socket.socket(fileno=orders.listening)
    for inherited in (orders.control, orders.listening, orders.board):
        os.set_inheritable(inherited, False)  # the device's worker must not keep them open
    board = Board(orders.board, orders.workers, orders.number)
    speak_for(board.secret)
    watch = threading.Thread(target=_watch, args=(control,), name="firsthop-parent", daemon=True)
    watch.start()

    def announce(policy: str) -> None:
        with contextlib.suppress(OSError):  # `_watch` sees to it
            control.send(msgspec.json.encode(Ready(policy)))

    try:
        run(orders.plan, listening, announce, board)
    except (RouterError, OSError) as error:
        print(f"firsthop: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _watch(control: socket.socket) -> None:
    """End this process in good order when the supervisor's end of the line is closed."""
    with contextlib.suppress(OSError):
        while control.recv(64):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
