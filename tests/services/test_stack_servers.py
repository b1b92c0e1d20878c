"""RabbitMQ and MongoDB as the stack runs them, each alone."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import kombu
import pymongo
import pytest
from pymongo.errors import OperationFailure, ServerSelectionTimeoutError

from tests.real_services import RealMongod, RealRabbit


def broker_connection(rabbit: RealRabbit, password: str) -> kombu.Connection:
    return kombu.Connection(
        hostname=rabbit.address.host,
        port=rabbit.address.port,
        userid="creator-1",
        password=password,
        virtual_host="cardshop",
        ssl={"ca_certs": str(rabbit.ca_file), "cert_reqs": ssl.CERT_REQUIRED},
        connect_timeout=10,
    )


def database_client(uri: str) -> pymongo.MongoClient[dict[str, Any]]:
    return pymongo.MongoClient(uri, serverSelectionTimeoutMS=2000)


def test_rabbit_takes_a_log_in_over_tls_that_our_authority_signed(rabbit: RealRabbit) -> None:
    with broker_connection(rabbit, rabbit.password) as connection:
        connection.connect()

        assert connection.connected


def test_rabbit_refuses_a_wrong_password(rabbit: RealRabbit) -> None:
    with broker_connection(rabbit, "wrong") as connection, pytest.raises(Exception, match="ACCESS_REFUSED"):
        connection.connect()


def test_rabbit_does_not_speak_plain_amqp(rabbit: RealRabbit) -> None:
    with socket.create_connection((rabbit.address.host, rabbit.address.port), timeout=10) as plain:
        plain.sendall(b"AMQP\x00\x00\x09\x01")

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
            "createIndexes", "documents", indexes=[{"key": {"number": 1}, "name": "new"}], maxTimeMS=20_000
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
        database_client(plain) as client,
        pytest.raises(ServerSelectionTimeoutError),
    ):
        client["cardshop"]["orders"].find_one()


def test_the_services_account_reaches_only_the_shops_database(mongod: RealMongod) -> None:
    with database_client(mongod.uri_file.read_text()) as client:
        client["cardshop"]["probe"].find_one()

        with pytest.raises(OperationFailure, match="not authorized"):
            client["another"]["probe"].find_one()
