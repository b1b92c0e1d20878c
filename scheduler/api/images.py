"""Images that were built, by the digest that names them, and their signatures."""

from __future__ import annotations

from pydantic import Field

from cardshop.contract.errors import Conflict, NotFound
from scheduler.api.operations import Resource, operation
from scheduler.api.schemas import Listed, Moment, Signature, Told
from scheduler.api.services import Services
from scheduler.domain.rights import Right
from scheduler.shop.access import DOWNLOAD, warehouse_access
from scheduler.shop.accounts import Caller
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
    documents: list[str] = Field(
        default=[], description="files beside it in the warehouse, for people: list of contents, picture"
    )


class ImageList(Resource):
    """``/v1/images``."""

    @operation("List the images, newest first", Right.READ_IMAGES, answer=Listed[Image])
    def get(self) -> Listed[Image]:
        """Every image that was built."""
        images = [Image.model_validate(image) for image in self.services.store.images.every()]
        return Listed[Image](items=images, total=len(images))


class DownloadToken(Told):
    """Where an image is, and what to show there: it opens the image and all files beside it."""

    host: str
    port: int
    file: str  # the image
    files: list[str]  # the image's block map, manifest, list of contents, picture
    token: str
    expires_at: str


def download_token(services: Services, caller: Caller, digest: str) -> DownloadToken:
    """A token for the files of a kept image. Raises Conflict: it isn't kept."""
    image = services.store.images.use(digest)
    if image is None:
        raise Conflict("The image is not in the warehouse.", hint="It is built first.")
    access = warehouse_access(
        services.store, services.signing, username=caller.username, operation=DOWNLOAD, digest=digest
    )
    return DownloadToken(
        host=access.host,
        port=access.port,
        file=f"{digest}.img",
        files=[f"{digest}.bmap", f"{digest}.json", *image["documents"]],
        token=access.token,
        expires_at=access.expires_at,
    )


class ImageDownloadTokens(Resource):
    """``/v1/images/{digest}/download-tokens``."""

    @operation("Get a token for an image's files", Right.READ_IMAGES, answer=DownloadToken, status=201)
    def post(self, caller: Caller, digest: str) -> DownloadToken:
        """While it is kept. An order's own: ``/v1/orders/{order_id}/download-tokens``."""
        if self.services.store.images.state(digest) is None:
            raise NotFound(f"There is no image {digest}.")
        return download_token(self.services, caller, digest)


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
