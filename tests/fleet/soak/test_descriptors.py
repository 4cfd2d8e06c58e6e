"""What descriptors are told to be, of this process and connections that it really has."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.fleet.soak.descriptors import Connections


def test_descriptors_are_what_they_are(tmp_path: Path) -> None:
    """A listener, both ends of a connection and a file are told apart; a connection has the name of who listens."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        names = {listener.getsockname()[1]: "REDIS"}
        before = Connections(names).of(os.getpid())
        stack.enter_context(socket.create_connection(listener.getsockname()))
        stack.enter_context(listener.accept()[0])
        stack.enter_context((tmp_path / "fleet.box").open("w"))
        more = Connections(names).of(os.getpid()) - before
    assert more == {"to REDIS": 1, "from clients": 1, "file *.box": 1}
    assert before["listens"] >= 1
