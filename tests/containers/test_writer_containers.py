"""Writers as containers, kept by the technician's tool: real Docker, real image of the writer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker as docker_library
import pytest

from cardshop import writer_host
from cardshop.contract.errors import Unavailable
from tests.containers.conftest import WRITER_IMAGE
from tests.containers.daemon import Docker
from tests.writer_hosts import GOOD, PASSWORD, write_configuration
from writer_helper.runners.containers import Containers

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def writers(daemon: Docker, tmp_path: Path) -> Iterator[Containers]:
    """A host with one virtual slot whose scheduler is away: its writer runs, and waits for the broker."""
    slot, authority = tmp_path / "slot", tmp_path / "ca.pem"
    slot.mkdir()
    authority.write_text("")
    text = (
        GOOD.replace('run = "process"', 'run = "docker"')
        .replace("/var/lib/cardshop", str(tmp_path / "data"))
        .replace("/etc/cardshop/ca.pem", str(authority))
        .replace("/dev/disk/by-path/pci-0000:00:14.0-usb-0:2:1.0-scsi-0:0:0:0", str(slot))
    )
    path = write_configuration(tmp_path, f'{text}\n[docker]\nimage = "{WRITER_IMAGE}"\n')
    containers = Containers(writer_host.load(path), path)
    yield containers
    for name in containers.known():
        containers.stop(name)


def start(writers: Containers) -> None:
    writers.start(writers.host.slot("A"))


def test_a_writer_s_container_runs_and_starts_with_the_host_until_it_is_stopped(writers: Containers) -> None:
    start(writers)
    running = writers.state("A")
    start(writers)
    again = writers.state("A")
    log = "\n".join(writers.logs("A", 100))

    writers.stop("A")

    assert running.running
    assert running.at_boot
    assert running.what == "container cardshop-writer-a"
    assert again.since == running.since
    assert "event='starting'" in log
    assert PASSWORD not in log
    assert not writers.state("A").running
    assert writers.known() == []


def test_the_container_has_no_password_in_what_docker_shows_and_few_of_root_s_powers(
    writers: Containers,
) -> None:
    start(writers)

    shown = docker_library.from_env().containers.get("cardshop-writer-a").attrs

    assert PASSWORD not in str(shown)
    assert shown["HostConfig"]["CapDrop"] == ["ALL"]
    assert shown["HostConfig"]["ReadonlyRootfs"]
    assert not shown["HostConfig"]["Privileged"]


def test_containers_of_others_are_never_touched(writers: Containers) -> None:
    client = docker_library.from_env()
    other = client.containers.create(WRITER_IMAGE, name="somebody-else-s", labels={"org.cardshop.slot": "A"})
    try:
        start(writers)
        for name in writers.known():
            writers.stop(name)

        assert client.containers.get("somebody-else-s").id == other.id
    finally:
        other.remove(force=True)


def test_update_starts_those_again_whose_image_is_older(writers: Containers) -> None:
    start(writers)
    nothing_new = writers.update()
    client = docker_library.from_env()
    old = client.containers.get("cardshop-writer-a").image
    newer = client.containers.create(WRITER_IMAGE)
    newer.commit(repository="cardshop-test/writer-newer", tag="latest", changes="LABEL newer=yes")
    newer.remove()
    try:
        client.images.get("cardshop-test/writer-newer").tag(WRITER_IMAGE, "latest")

        updated = writers.update()

        assert nothing_new == []
        assert updated == ["A"]
        assert client.containers.get("cardshop-writer-a").image.id != old.id
    finally:
        old.tag(WRITER_IMAGE, "latest")


def test_a_writer_that_does_not_stay_up_is_told_with_its_last_words(
    writers: Containers, tmp_path: Path
) -> None:
    (tmp_path / "writers.toml").chmod(0o604)

    with pytest.raises(Unavailable) as raised:
        start(writers)

    assert "open to other users" in raised.value.hint
    assert not writers.state("A").running


def test_an_image_that_is_not_there_is_named(writers: Containers, tmp_path: Path) -> None:
    path = tmp_path / "writers.toml"
    write_configuration(tmp_path, path.read_text().replace(WRITER_IMAGE, "cardshop-nothing"))
    other = Containers(writer_host.load(path), path)

    with pytest.raises(Unavailable, match="cardshop-nothing") as raised:
        other.start(other.host.slot("A"))

    assert "docker.image" in raised.value.hint
