"""Images that were built, by the digest that names them."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Told
from scheduler.domain.rights import Right


class Image(Told):
    """An image."""

    digest: str
    state: str
    size_bytes: int
    mapped_bytes: int
    manifest_sha256: str
    seconds: dict[str, float]  # that its build took, by phase
    warehouse: str
    at: Moment


class ImageList(Resource):
    """``/v1/images``."""

    @operation("List the images, newest first", Right.READ_IMAGES, answer=Listed[Image])
    def get(self) -> Listed[Image]:
        """Every image that was built."""
        images = [Image.model_validate(image) for image in self.services.store.images.every()]
        return Listed[Image](items=images, total=len(images))
