"""RabbitMQ and MongoDB as the stack runs them, each alone."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from typing import Any

import kombu
import pymongo
import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from cardshop import broker
from cardshop.settings import Address
from tests.real_services import PATIENCE_SECONDS, RealMongod, RealRabbit

REFUSED_SECONDS = 2.0
"""A server that refuses how it is spoken to is asked for this long."""

LATE_SECONDS = 7.0
"""As long as a log-in was seen to take on two cores that ran four brokers."""


def broker_connection(rabbit: RealRabbit, password: str) -> kombu.Connection:
    return kombu.Connection(
        hostname=rabbit.address.host,
        port=rabbit.address.port,
        userid="creator-1",
        password=password,
        virtual_host="cardshop",
        ssl={"ca_certs": str(rabbit.ca_file), "cert_reqs": ssl.CERT_REQUIRED},
        connect_timeout=PATIENCE_SECONDS,
    )


def database_client(uri: str, seconds: float = PATIENCE_SECONDS) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=seconds * 1000)


def test_rabbit_takes_a_log_in_over_tls_that_our_authority_signed(rabbit: RealRabbit) -> None:
    with broker_connection(rabbit, rabbit.password) as connection:
        connection.connect()

        assert connection.connected


def test_rabbit_refuses_a_wrong_password(rabbit: RealRabbit) -> None:
    with broker_connection(rabbit, "wrong") as connection, pytest.raises(Exception, match="ACCESS_REFUSED"):
        connection.connect()


class SlowLine(socketserver.BaseRequestHandler):
    """Relays to RabbitMQ; what that says after its part of TLS comes late."""

    rabbit: Address

    def handle(self) -> None:
        said = threading.Semaphore(0)  # how often the client spoke
        with socket.create_connection((self.rabbit.host, self.rabbit.port)) as broker_end:
            answering = threading.Thread(target=self._answer, args=(broker_end, said))
            answering.start()
            with contextlib.suppress(OSError):
                while data := self.request.recv(65536):
                    said.release()
                    broker_end.sendall(data)
                broker_end.shutdown(socket.SHUT_WR)
            answering.join()

    def _answer(self, broker_end: socket.socket, said: threading.Semaphore) -> None:
        said.acquire()
        with contextlib.suppress(OSError):
            while data := broker_end.recv(65536):
                if said.acquire(blocking=False):
                    threading.Event().wait(LATE_SECONDS)
                    said = threading.Semaphore(0)  # once
                self.request.sendall(data)
            self.request.shutdown(socket.SHUT_WR)


def test_a_broker_that_takes_its_time_to_let_a_service_in_is_waited_for(rabbit: RealRabbit) -> None:
    handler = type("Line", (SlowLine,), {"rabbit": rabbit.address})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as line:
        threading.Thread(target=line.serve_forever, args=(0.05,)).start()
        port = line.server_address[1]
        made = broker.connection("127.0.0.1", port, "beat", rabbit.password, rabbit.ca_file)
        try:
            with made as connection:
                connection.connect()

                assert connection.connected
        finally:
            line.shutdown()


def test_rabbit_does_not_speak_plain_amqp(rabbit: RealRabbit) -> None:
    address = (rabbit.address.host, rabbit.address.port)
    answer = b""

    with socket.create_connection(address, timeout=PATIENCE_SECONDS) as plain:
        plain.sendall(b"AMQP\x00\x00\x09\x01")
        with contextlib.suppress(ConnectionError):  # a word of TLS, or the end
            answer = plain.recv(8)

    assert not answer.startswith((b"AMQP", b"\x01"))


def test_mongod_has_transactions_and_change_streams(mongod: RealMongod) -> None:
    with database_client(mongod.uri) as client:
        things = client["test_stack_servers"]["things"]
        things.insert_one({"_id": 0})

        with things.watch() as changes, client.start_session() as session:
            session.with_transaction(lambda s: things.insert_one({"_id": 1}, session=s))
            change = changes.next()

    assert change["documentKey"] == {"_id": 1}


def test_mongod_builds_an_index_over_data(mongod: RealMongod) -> None:
    with database_client(mongod.uri) as client:
        old = client["index_over_data"]["documents"]
        old.insert_many([{"number": number} for number in range(100)])

        client["index_over_data"].command(
            "createIndexes", "documents", indexes=[{"key": {"number": 1}, "name": "new"}], maxTimeMS=60_000
        )

        assert "new" in old.index_information()


def test_mongod_tells_nothing_without_an_account(mongod: RealMongod) -> None:
    before, after = mongod.uri.index("//") + 2, mongod.uri.index("@") + 1
    stranger = (mongod.uri[:before] + mongod.uri[after:]).replace("authSource=admin&", "")

    with database_client(stranger) as client, pytest.raises(OperationFailure, match="requires auth"):
        client["cardshop"]["orders"].find_one()


def test_mongod_does_not_speak_without_tls(mongod: RealMongod) -> None:
    plain = mongod.uri.split("&tls=")[0]

    with (
        database_client(plain, REFUSED_SECONDS) as client,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client["cardshop"]["orders"].find_one()


def test_the_services_account_reaches_only_the_shops_database(mongod: RealMongod) -> None:
    with database_client(mongod.uri_file.read_text()) as client:
        client["cardshop"]["probe"].find_one()

        with pytest.raises(OperationFailure, match="not authorized"):
            client["another"]["probe"].find_one()
