"""Settings of the creator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cardshop.settings import setting
from cardshop.worker import WorkerSettings
from creator.boot_proof import BOOT_SECONDS
from creator.mirrors import STALL_SECONDS


@dataclass(frozen=True, kw_only=True)
class Settings(WorkerSettings):
    """Read from the environment by ``cardshop.settings.load``."""

    bases: Path = setting("folder of the base images, NAME.img and NAME.json")
    cache: Path = setting("folder that keeps fetched contents; the creators of a host may share it")
    work: Path = setting("folder for images in the making, on a file system that has holes")
    private_mirrors: tuple[str, ...] = setting(
        "hosts that contents may come from although their addresses are private; comma separated", default=()
    )
    content_cache_bytes: int = setting(
        "how much fetched contents may take in the cache; those of running builds stay; 0: no limit",
        default=0,
    )
    stall_seconds: float = setting("a mirror that sends nothing for so long is left", default=STALL_SECONDS)
    fetch_rate: int = setting("bytes a second that contents are fetched with at most; 0: no limit", default=0)
    build_cpus: int = setting("how many processors a build may use; 0: all", default=0)
    build_memory_bytes: int = setting(
        "memory that a build, and each program that it starts, may use; 0: no limit", default=0
    )
    build_disk_bytes: int = setting(
        "disk that a build may use in its work folder and the cache together; 0: no limit", default=0
    )
    build_seconds: float = setting(
        "how long a build may take, from its first fetch to the end of its proof; 0: no limit", default=0.0
    )
    boot_proof: bool = setting(
        "whether each built image is started in a virtual machine before it is handed out: yes or no",
        default=False,
    )
    boot_seconds: float = setting(
        "how long an image may take there until its portal answers", default=BOOT_SECONDS
    )
