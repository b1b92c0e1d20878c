"""Writers as containers, through Docker's own library. Only containers with our label are ever touched.

A container sees the configuration, the authority, the images and its slot, each under the path that it has
on the host. It shares the host's network, so that what ``writer-helper network`` found holds for it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException, ImageNotFound, NotFound

from cardshop.contract.errors import Unavailable
from cardshop.settings import variable
from cardshop.writer_host import ConfiguredSlot, WriterHost
from writer_helper.places import place_at
from writer_helper.runners.runner import STOP_SECONDS, WriterState, proxy_variables

LABEL = "org.cardshop.writer-helper"
"""Holds the path of the configuration: two of them on one host keep apart."""
SLOT_LABEL = "org.cardshop.slot"

CARD_DEVICES = ("b 8:* rw", "b 65:* rw", "b 179:* rw")
"""sd and mmc disks (``Documentation/admin-guide/devices.txt``). A reader's number changes when it is plugged
in again, so the rule can't name one; which device is the slot's, the writer's guard decides."""
LOOP_DEVICES = "b 7:* rw"

_FRACTION = re.compile(r"\.\d+")


class Containers:
    """A container for each slot, started by Docker whenever the host starts."""

    def __init__(self, host: WriterHost, configuration: Path) -> None:
        self.host = host
        self._configuration = configuration.resolve()
        with _told():
            self._docker = docker.from_env()
            self._docker.ping()

    def start(self, slot: ConfiguredSlot) -> None:
        """As :meth:`Runner.start`."""
        self.host.variables(slot.name)  # complains before anything is started
        with _told():
            container = self._find(slot.name)
            if container is not None:
                if container.status == "running":
                    return
                container.remove(force=True)  # made anew, from the configuration as it is now
            self.host.data.mkdir(mode=0o700, parents=True, exist_ok=True)
            container = self._create(slot)
            container.start()
            self._check_stays_up(slot.name, container)

    def stop(self, slot_name: str) -> None:
        """As :meth:`Runner.stop`."""
        with _told():
            container = self._find(slot_name)
            if container is not None:
                container.stop(timeout=STOP_SECONDS)
                container.remove(force=True)

    def state(self, slot_name: str) -> WriterState:
        """As :meth:`Runner.state`."""
        with _told():
            container = self._find(slot_name)
        if container is None:
            return WriterState(slot_name, running=False)
        running = container.status == "running"
        policy = container.attrs["HostConfig"]["RestartPolicy"]["Name"]
        return WriterState(
            slot_name,
            running=running,
            what=f"container {container.name}",
            since=_moment(container.attrs["State"]["StartedAt"]) if running else None,
            at_boot=policy == "unless-stopped",
        )

    def known(self) -> list[str]:
        """As :meth:`Runner.known`."""
        with _told():
            return sorted(container.labels[SLOT_LABEL] for container in self._ours())

    def logs(self, slot_name: str, lines: int, *, follow: bool = False) -> Iterator[str]:
        """As :meth:`Runner.logs`."""
        with _told():
            container = self._find(slot_name)
            if container is None:
                return
            if not follow:
                yield from container.logs(tail=lines).decode(errors="replace").splitlines()
                return
            rest = b""
            for chunk in container.logs(tail=lines, stream=True, follow=True):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)

    def update(self) -> list[str]:
        """As :meth:`Runner.update`: fetches the image, where a registry has it."""
        with _told():
            if _has_registry(self.host.image):
                self._docker.images.pull(self.host.image)
            newest = self._docker.images.get(self.host.image).id
            old = [container.labels[SLOT_LABEL] for container in self._ours() if container.image.id != newest]
        for name in old:
            self.stop(name)
            self.start(self.host.slot(name))
        return sorted(old)

    def _create(self, slot: ConfiguredSlot) -> Any:
        place = place_at(slot.path)
        paths = {self._configuration: "ro", self.host.ca_file: "ro", self.host.data: "rw"}
        devices: list[str] = []
        if place is not None and place.virtual:
            paths[slot.path] = "rw"
        else:
            paths[Path("/dev")] = "rw"
            devices += CARD_DEVICES
            if place is not None and place.device.startswith("loop"):
                devices.append(LOOP_DEVICES)
        return self._docker.containers.create(
            self.host.image,
            name=f"cardshop-writer-{slot.name.lower()}",
            labels={LABEL: str(self._configuration), SLOT_LABEL: slot.name},
            environment={
                variable("configuration"): str(self._configuration),
                variable("slot"): slot.name,
                **proxy_variables(self.host),
            },
            volumes={str(path): {"bind": str(path), "mode": mode} for path, mode in paths.items()},
            device_cgroup_rules=devices,
            network_mode="host",
            restart_policy={"Name": "unless-stopped"},
            # Root inside, since devices and the configuration are root's; without root's other powers.
            user="0:0",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/tmp": "", "/run": ""},  # noqa: S108 - inside of the container
            working_dir=str(self.host.data),
            log_config={"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
        )

    def _check_stays_up(self, slot_name: str, container: Any) -> None:
        try:
            container.wait(timeout=STAYED_UP_SECONDS)
        except (requests.ConnectionError, requests.ReadTimeout):
            container.reload()
            if container.status == "running" and not container.attrs["RestartCount"]:
                return
        told = container.logs(tail=10).decode(errors="replace").strip()
        container.remove(force=True)
        raise Unavailable(f"The writer of slot {slot_name} did not stay up.", hint=told[-1000:])

    def _find(self, slot_name: str) -> Any:
        return next((each for each in self._ours() if each.labels.get(SLOT_LABEL) == slot_name), None)

    def _ours(self) -> list[Any]:
        label = f"{LABEL}={self._configuration}"
        found: list[Any] = self._docker.containers.list(all=True, filters={"label": label})
        return found


STAYED_UP_SECONDS = 3
"""A writer that lives this long has read its settings."""


def _has_registry(image: str) -> bool:
    """Whether an image's name begins with a registry's host; others are what was built on this host."""
    first, slash, _rest = image.partition("/")
    return bool(slash) and bool(set(first) & set(".:"))


def _moment(text: str) -> datetime:
    # Docker writes nanoseconds, which Python doesn't read.
    return datetime.fromisoformat(_FRACTION.sub("", text)).astimezone(UTC)


@contextmanager
def _told() -> Iterator[None]:
    """Docker's errors in people's words."""
    try:
        yield
    except ImageNotFound as error:
        raise Unavailable(
            f"Docker has no image of that name ({error.explanation}).",
            hint="Build or pull it, or name another: writer-helper configure set docker.image NAME",
        ) from error
    except NotFound as error:
        raise Unavailable(f"Docker doesn't find it any more: {error.explanation}.") from error
    except (DockerException, requests.RequestException) as error:
        raise Unavailable(
            f"Docker does not answer, or refuses: {error}.",
            hint="Is it running, and may you use it (root, or the group docker)? Without Docker: "
            "writer-helper configure set writers.run systemd",
        ) from error
