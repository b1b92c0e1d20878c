"""One example of each message and event, by the name of its golden file."""

from __future__ import annotations

from cardshop.contract.events import (
    Card,
    CardWritten,
    Event,
    EventType,
    Failure,
    ImageBuilt,
    Log,
    Progress,
    SlotChanged,
    Speed,
    Waiting,
)
from cardshop.contract.passports import Signed
from cardshop.contract.tasks import BaseReference, Claim, Content, CreateTask, WarehouseAccess, WriteTask

TASK_ID = "6f0d4c1e-5a0b-4a44-9a57-7f2f6f0f2a11"
ORDER_ID = "b1946ac9-2f4c-4d6f-8f41-3f0c1b0a7d22"
DIGEST = "0f" * 32
CARD = Card(serial="virtual-A", size_bytes=7_948_206_080)

MESSAGES: dict[str, CreateTask | WriteTask | Claim] = {
    "create-task": CreateTask(
        task_id=TASK_ID,
        attempt=1,
        order_id=ORDER_ID,
        image_digest=DIGEST,
        size_bytes=7_759_462_400,
        base=BaseReference("cardshop-amd64", "b" * 64),
        contents=(
            Content(
                ident="openZIM:wikipedia_fr_test:mini",
                title="Wikipédia",
                language="fra",
                file="wikipedia_fr_test_mini.zim",
                url="https://mirror.example/wikipedia_fr_test_mini.zim",
                mirrors=("https://second.example/wikipedia_fr_test_mini.zim",),
                size_bytes=123_456_789,
                sha256="c" * 64,
                metalink="https://mirror.example/wikipedia_fr_test_mini.zim.meta4",
            ),
        ),
    ),
    "write-task": WriteTask(
        task_id=TASK_ID,
        attempt=2,
        order_id=ORDER_ID,
        unit=1,
        units=40,
        image_digest=DIGEST,
        size_bytes=7_759_462_400,
        medium="8 GB",
    ),
    "claim-to-create": Claim(
        task_id=TASK_ID,
        attempt=1,
        claim=1,
        warehouse=WarehouseAccess("warehouse", 2121, "an-upload-token", "2030-01-01T00:00:00Z"),
        card_configuration={"version": 1, "hostname": "kiwix", "wifi_passphrase": None, "contents": []},
    ),
    "claim-to-write": Claim(
        task_id=TASK_ID,
        attempt=2,
        claim=3,
        warehouse=WarehouseAccess("warehouse", 2121, "a-download-token", "2030-01-01T00:00:00Z"),
        passport=Signed("0123456789abcdef", "cardshop card 1\norder 12\n", "c2lnbmF0dXJl"),
    ),
}


def _event(event_type: EventType, body: object = None, *, claim: int = 1, seq: int = 7) -> Event:
    of_a_task = event_type.startswith("task-")
    return Event(
        type=event_type,
        hostname="writer-1@host",
        timestamp=1_790_000_000.25,
        task_id=TASK_ID if of_a_task else None,
        attempt=2 if of_a_task else 0,
        claim=claim if of_a_task else 0,
        seq=seq if of_a_task else 0,
        body=body,  # type: ignore[arg-type]
    )


EVENTS: dict[str, Event] = {
    "task-received": _event(EventType.TASK_RECEIVED, claim=0, seq=1),
    "task-started": _event(EventType.TASK_STARTED, seq=1),
    "task-progress": _event(EventType.TASK_PROGRESS, Progress("read-back", 4_194_304, 600_000_000, "bytes")),
    "task-log": _event(EventType.TASK_LOG, Log(("Image is on this host.", "Waiting for a card."))),
    "task-waiting-for-card": _event(EventType.TASK_WAITING, Waiting("A", "Put a card of 8 GB into slot A.")),
    "task-succeeded-create": _event(
        EventType.TASK_SUCCEEDED,
        ImageBuilt(
            DIGEST,
            7_759_462_400,
            600_000_000,
            "e" * 64,
            {"fetch": 1.5, "build": 2.0},
            (f"{DIGEST}.cdx.json",),
        ),
    ),
    "task-succeeded-write": _event(
        EventType.TASK_SUCCEEDED,
        CardWritten(
            DIGEST,
            "A",
            CARD,
            600_000_000,
            {"write": 30.0, "read-back": 20.5},
            manifest_sha256="1e" * 32,
            host="rack-1",
            retries=1,
            write_speed=Speed(20_000_000, 17_500_000),
            read_speed=Speed(40_000_000, 39_000_000),
        ),
    ),
    "task-failed": _event(
        EventType.TASK_FAILED,
        Failure("card-failed", "The card did not give the bytes back.", "Take another card.", "", False),
    ),
    "task-revoked": _event(EventType.TASK_REVOKED),
    "slot-changed": _event(EventType.SLOT_CHANGED, SlotChanged("A", CARD)),
    "slot-emptied": _event(EventType.SLOT_CHANGED, SlotChanged("A", None)),
    "worker-online": _event(EventType.WORKER_ONLINE),
    "worker-heartbeat": _event(EventType.WORKER_HEARTBEAT),
    "worker-offline": _event(EventType.WORKER_OFFLINE),
}
