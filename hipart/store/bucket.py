"""Objects below a URI, with conditional puts: S3, Google Cloud Storage, Azure.

Addresses, regions and credentials are read from each provider's own environment variables.
"""

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")

SCHEMES = ("s3", "gs", "az", "abfs", "abfss")
#: How long a single request may take, and one with all its repetitions.
REQUEST_S, RETRY_S = 60.0, 120.0

#: What a put is conditioned on: an object's tag and, where there is one, its version.
Version = dict[str, str]


class BucketError(ValueError):
    """Objects cannot be had or put; the message names the URI."""


class Found(NamedTuple):
    """An object as it was found."""

    content: bytes
    version: Version


def check_uri(uri: str) -> None:
    """Raises ``BucketError`` unless this is the address of a bucket, or of a folder in one."""
    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        allowed = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise BucketError(f"{uri}: a store is a folder, or a URI that begins with {allowed}")
    if not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
        raise BucketError(
            f"{parts.scheme}://...: a store's URI is {parts.scheme}://BUCKET/FOLDER and nothing "
            "else; credentials are read from the environment"
        )


class Bucket:
    """The objects below a URI. Raises ``BucketError`` for whatever the other side refuses."""

    def __init__(self, uri: str) -> None:
        check_uri(uri)
        self.uri = uri.rstrip("/")

    def get(self, name: str) -> Found | None:
        """An object; None if there is none."""
        import obstore

        def get() -> Found | None:
            try:
                found = obstore.get(self._objects, name)
                return Found(bytes(found.bytes()), _version(found.meta))
            except FileNotFoundError:
                return None

        return self._asked(get)

    def put(self, name: str, content: bytes | Path) -> None:
        """Put an object, in place of one that may be there."""
        import obstore

        self._asked(lambda: obstore.put(self._objects, name, content))

    def create(self, name: str, content: bytes) -> Version | None:
        """Put an object if there is none; None if there is."""
        return self._put_if(name, content, "create")

    def replace(self, name: str, content: bytes, version: Version) -> Version | None:
        """Put an object in place of this version of it; None if that is not there any more."""
        return self._put_if(name, content, version)

    def names(self, prefix: str) -> list[str]:
        """Names of all objects that begin so."""
        import obstore

        def names() -> list[str]:
            pages: Iterable[Any] = obstore.list(self._objects, prefix)
            return [one["path"] for page in pages for one in page]

        return self._asked(names)

    def delete(self, name: str) -> None:
        """Remove an object that may be there."""
        import obstore

        self._asked(lambda: obstore.delete(self._objects, name))

    def _put_if(self, name: str, content: bytes, mode: Any) -> Version | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def put() -> Version | None:
            try:
                return _version(obstore.put(self._objects, name, content, mode=mode))
            except (AlreadyExistsError, PreconditionError):
                return None

        return self._asked(put)

    @property
    def _objects(self) -> Any:
        return _connected(self.uri, os.getpid())

    def _asked(self, action: Callable[[], T]) -> T:
        from obstore.exceptions import BaseError

        try:
            return action()
        except FileNotFoundError:  # of an object it is none: its bucket
            raise BucketError(f"{self.uri}: there is no such bucket") from None
        except BaseError as error:
            raise BucketError(f"{self.uri}: {_in_short(error)}") from None


@cache
def _connected(uri: str, _process: int) -> Any:
    """Connections are those of one process."""
    from obstore.store import from_url

    plain = any(
        os.environ.get(name, "").startswith("http://")
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT")
    )
    return from_url(
        uri,
        client_options={"timeout": timedelta(seconds=REQUEST_S), "allow_http": plain},
        retry_config={"max_retries": 8, "retry_timeout": timedelta(seconds=RETRY_S)},
    )


def _version(meta: Any) -> Version:
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name) is not None}


def _in_short(error: BaseException) -> str:
    """The first line of what the client says, without what it found in the answer's body."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
