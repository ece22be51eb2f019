"""A client of a box's broker, as docs/internals/broker.md has it, for who measures."""
import json
import socket
import struct
import time
from pathlib import Path
from typing import Any

from harness.processes import StartFailed

SECONDS = 60.0


class Broker:
    """One connection: connected when entered."""

    def __init__(self, state: Path) -> None:
        self.path = state / "data/broker"
        self._socket = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> "Broker":
        self._socket.settimeout(SECONDS)
        self._socket.connect(str(self.path))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        message = json.dumps({"op": op, "n": 1, **fields}).encode()
        self._socket.sendall(struct.pack("<I", len(message)) + message)
        length, = struct.unpack("<I", self._read(4))
        answer: dict[str, Any] = json.loads(self._read(length))
        if "error" in answer:
            raise RuntimeError(f"the broker does not {op}: {answer['error']}")
        return answer

    def wait_for_workers(self, count: int, seconds: float = SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while sum(worker["threads"] > 0 for worker in self.ask("queues")["workers"]) < count:
            if time.monotonic() > deadline:
                raise StartFailed(f"no {count} task workers after {seconds:g} s")
            time.sleep(0.05)

    def _read(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            piece = self._socket.recv(min(count - len(found), 1 << 20))
            if not piece:
                raise RuntimeError("the broker has closed the connection")
            found += piece
        return bytes(found)
