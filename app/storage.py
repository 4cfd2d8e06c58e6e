"""Every operation on the object store, counted and with its errors translated; knows nothing of users and quotas."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from app.catalogue.storage import Operation
from app.faults import STORAGE_DOWN, AppError
from app.process import PerProcess
from app.recorders import storage as recorder
from app.settings import get_settings

USER_FILES: Final = "user-files"
IMAGES: Final = "images"
AUDIO: Final = "audio"


class ObjectMissing(LookupError):
    """The store answers, but has no such object."""


@dataclass(slots=True)
class _Transfer:
    size: int = 0


class Storage:
    """Objects by bucket and key; a bucket here is a first path element, so its names are few and fixed."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def upload(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object."""
        with _operation("upload", bucket) as transfer:
            await obstore.put_async(self._store, f"{bucket}/{key}", data)
            transfer.size = len(data)

    def upload_sync(self, bucket: str, key: str, data: bytes) -> None:
        """Store an object, from sync code."""
        with _operation("upload", bucket) as transfer:
            obstore.put(self._store, f"{bucket}/{key}", data)
            transfer.size = len(data)

    async def download(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            ObjectMissing: there is no such object.
        """
        with _operation("download", bucket) as transfer:
            result = await obstore.get_async(self._store, f"{bucket}/{key}")
            data = bytes(await result.bytes_async())
            transfer.size = len(data)
        return data

    def download_sync(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes, from sync code; see `download`."""
        with _operation("download", bucket) as transfer:
            data = bytes(obstore.get(self._store, f"{bucket}/{key}").bytes())
            transfer.size = len(data)
        return data

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; one that is already gone is fine."""
        with _gone_is_fine(), _operation("delete", bucket):
            await obstore.delete_async(self._store, f"{bucket}/{key}")

    def delete_sync(self, bucket: str, key: str) -> None:
        """Delete an object, from sync code; one that is already gone is fine."""
        with _gone_is_fine(), _operation("delete", bucket):
            obstore.delete(self._store, f"{bucket}/{key}")

    def list_sync(self, bucket: str, older_than: datetime) -> list[str]:
        """Return the keys of the objects last written before `older_than`, from sync code."""
        with _operation("list", bucket):
            chunks = list(obstore.list(self._store, bucket))
        old = (item["path"] for chunk in chunks for item in chunk if item["last_modified"] < older_than)
        return [path.removeprefix(f"{bucket}/") for path in old]


@contextmanager
def _operation(name: Operation, bucket: str) -> Iterator[_Transfer]:
    """Count an operation that worked, and say what one that failed means."""
    transfer = _Transfer()
    try:
        yield transfer
    except FileNotFoundError as error:
        raise ObjectMissing(str(error)) from error
    except (BaseError, OSError) as error:
        raise AppError(STORAGE_DOWN) from error
    recorder.operation(name, bucket=bucket, transferred_bytes=transfer.size)


@contextmanager
def _gone_is_fine() -> Iterator[None]:
    try:
        yield
    except ObjectMissing:
        return


def open_store(storage_url: str) -> ObjectStore:
    """Return the store of a STORAGE_URL; S3 credentials and endpoint come from the AWS_* environment."""
    if storage_url.startswith("s3://"):
        return S3Store.from_url(
            storage_url,
            client_options={"timeout": "20s", "connect_timeout": "3s"},
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=20)},
        )
    return LocalStore(unquote(urlsplit(storage_url).path), mkdir=True)


@PerProcess
def storage() -> Storage:
    """Return this process's storage."""
    return Storage(open_store(get_settings().storage_url))
