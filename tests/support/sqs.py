"""SQS for tests: moto's server in a thread of this process, with a new FIFO queue on each call of `queue`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from botocore.session import get_session
from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class SqsServer:
    """A running server."""

    address: str

    def queue(self, fifo: bool = True) -> str:
        """The QUEUE_URL of a new queue; the servers of a process share its queues."""
        kind = ".fifo" if fifo else ""
        client = get_session().create_client("sqs", endpoint_url=f"http://{self.address}")
        attributes = {"FifoQueue": "true"} if fifo else {}
        created = client.create_queue(
            QueueName=f"notifications-{uuid.uuid4().hex}{kind}", Attributes=attributes
        )
        path = str(created["QueueUrl"]).split("/", 3)[3]
        return f"sqs+http://{self.address}/{path}"

    def left(self, url: str) -> int:
        """Entries that are not deleted, those in flight included."""
        client = get_session().create_client("sqs", endpoint_url=f"http://{self.address}")
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        queue = url.removeprefix("sqs+")
        attributes = client.get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        return sum(int(attributes["Attributes"][name]) for name in names)


@contextmanager
def serving() -> Iterator[SqsServer]:
    """A server on a free port, and credentials for it in the environment."""
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield SqsServer(f"{host}:{port}")
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
