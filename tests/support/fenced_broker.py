"""A TCP server with just enough of Kafka's protocol to answer as a broker that its controller has fenced.

Such a broker names its topics and no broker at all, which a real one does for some milliseconds only. Formats:
kafka.apache.org/protocol, ApiVersions 0 and Metadata 4.
"""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Iterator

API_VERSIONS, METADATA, NODE = 18, 3, 1
UNSUPPORTED_VERSION, LEADER_NOT_AVAILABLE = 35, 5


class FencedBroker(socketserver.ThreadingTCPServer):
    """One topic, `t`. While `fenced` is set, metadata has no broker."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.fenced = False

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def metadata(self) -> bytes:
        brokers = [] if self.fenced else [NODE]
        host = _text("127.0.0.1") + struct.pack(">ih", self.server_address[1], -1)
        leader, error = (-1, LEADER_NOT_AVAILABLE) if self.fenced else (NODE, 0)
        partition = struct.pack(">hiiiiii", error, 0, leader, 1, NODE, 1, NODE)
        topic = struct.pack(">h", 0) + _text("t") + struct.pack(">?i", False, 1) + partition
        listed = b"".join(struct.pack(">i", node) + host for node in brokers)
        head = struct.pack(">ii", 0, len(brokers)) + listed + _text("cluster") + struct.pack(">i", leader)
        return head + struct.pack(">i", 1) + topic


@contextlib.contextmanager
def running() -> Iterator[FencedBroker]:
    with FencedBroker() as broker:
        threading.Thread(target=broker.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield broker
        finally:
            broker.shutdown()


class _Connection(socketserver.StreamRequestHandler):
    server: FencedBroker

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while size := self.rfile.read(4):
                key, version, correlation = struct.unpack(">hhi", self.rfile.read(*struct.unpack(">i", size))[:8])
                answer = struct.pack(">i", correlation) + self._answer(key, version)
                self.wfile.write(struct.pack(">i", len(answer)) + answer)

    def _answer(self, key: int, version: int) -> bytes:
        if key == METADATA:
            return self.server.metadata()
        error = UNSUPPORTED_VERSION if version else 0
        return struct.pack(">hi", error, 2) + struct.pack(">hhhhhh", API_VERSIONS, 0, 0, METADATA, 0, 4)


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()
