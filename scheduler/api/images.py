"""Images that were built, by the digest that names them, and their signatures."""

from __future__ import annotations

from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Signature, Told
from scheduler.domain.rights import Right
from scheduler.shop.image_signatures import signature_of


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


class ImageKey(Told):
    """A public key that verifies the signatures of images and cards."""

    key: str
    public_pem: str


class ImageSignatureItem(Resource):
    """``/v1/images/{digest}/signature``."""

    @operation("Sign an image's manifest", Right.DOWNLOAD_IMAGES, answer=Signature)
    def get(self, digest: str) -> Signature:
        """Of an image that is kept."""
        return Signature(**vars(signature_of(self.services.store, self.services.seal, digest)))


class ImageKeyList(Resource):
    """``/v1/image-keys``."""

    @operation(
        "List the public keys that verify signatures of images and cards", None, answer=Listed[ImageKey]
    )
    def get(self) -> Listed[ImageKey]:
        """Open to everyone: a card's recipient has no account."""
        keys = [
            ImageKey(key=key.kid, public_pem=key.public_pem) for key in self.services.store.image_keys.every()
        ]
        return Listed[ImageKey](items=keys, total=len(keys))
