"""Files, images and recordings: stored within the quota, made by workers, deleted when they are no longer needed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from app.db import sync_session
from app.models import File, now
from app.services import maintenance
from tests.app.conftest import Counts
from tests.app.fake_vendor import PNG
from tests.app.queue_tools import Queues

FILES = "/api/v1/files"
RECORDING = {"file": ("talk.mp3", b"not really sound", "audio/mpeg")}


def _stored(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]


async def _upload(client: httpx.AsyncClient, data: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await client.post(FILES, files={"file": ("../a b.html", data, "text/html")}, headers=headers)


@pytest.mark.asyncio
async def test_file_round_trip(client: httpx.AsyncClient, counts: Counts, tmp_path: Path) -> None:
    """A file comes back as it was sent, as an attachment, and is gone after its deletion."""
    stored = (await _upload(client, b"<script>")).json()
    listed = (await client.get(FILES)).json()
    assert ([item["id"] for item in listed["items"]], listed["storage_used_bytes"]) == ([stored["id"]], 8)
    download = await client.get(f"{FILES}/{stored['id']}")
    assert (download.content, download.headers["content-disposition"]) == (
        b"<script>",
        "attachment; filename*=UTF-8''a%20b.html",
    )
    assert (await client.delete(f"{FILES}/{stored['id']}")).status_code == 204
    assert (await client.get(f"{FILES}/{stored['id']}")).status_code == 404
    assert (await client.get(FILES)).json()["storage_used_bytes"] == 0
    assert _stored(tmp_path) == []
    operations = {s["operation"]: value for s, value in counts.series("storage_operations_total") if value}
    assert operations == {"upload": 1, "download": 1, "delete": 1}
    assert counts.of("storage_bytes_transferred_total", bucket="user-files") == 16


@pytest.mark.asyncio
async def test_others_files_are_hidden(client: httpx.AsyncClient, new_user: Callable[[str], Any]) -> None:
    """Nobody reads or deletes another user's file."""
    mine, other = await new_user("pro"), await new_user("pro")
    path = f"{FILES}/{(await _upload(client, b'x', mine)).json()['id']}"
    assert (await client.get(path, headers=other)).status_code == 404
    assert (await client.delete(path, headers=other)).status_code == 404
    assert (await client.get(path, headers=mine)).status_code == 200


@pytest.mark.asyncio
@pytest.mark.settings(STORAGE_QUOTA='{"free": 10}')
async def test_quota_is_enforced(client: httpx.AsyncClient, counts: Counts, tmp_path: Path) -> None:
    """A file that does not fit into the plan's quota is refused and leaves nothing behind."""
    assert (await _upload(client, b"123456")).status_code == 201
    refused = await _upload(client, b"123456")
    assert (refused.status_code, refused.json()["error"]["type"]) == (413, "QuotaExceeded")
    assert "free plan stores at most 10 bytes" in refused.json()["error"]["message"]
    assert (len(_stored(tmp_path)), counts.errors()) == (1, {("storage", "QuotaExceeded"): 1})


@pytest.mark.asyncio
@pytest.mark.settings(UPLOAD_MAX_BYTES="1000")
@pytest.mark.parametrize("size", [1001, 500_000])
async def test_oversized_upload_refused(client: httpx.AsyncClient, counts: Counts, tmp_path: Path, size: int) -> None:
    """An upload over the limit is refused, by its declared or by its real size, and counted once."""
    refused = await _upload(client, b"x" * size)
    assert (refused.status_code, refused.json()["error"]["type"]) == (413, "UploadTooLarge")
    assert "1000 bytes" in refused.json()["error"]["message"]
    assert (_stored(tmp_path), counts.errors()) == ([], {("http", "UploadTooLarge"): 1})


@pytest.mark.asyncio
@pytest.mark.settings(UPLOAD_MAX_BYTES="1000")
async def test_undeclared_size_refused(client: httpx.AsyncClient, counts: Counts) -> None:
    """A body that is sent in chunks, without its size, is stopped when it passes the limit."""

    async def chunks() -> Any:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 10_000

    refused = await client.post(FILES, content=chunks(), headers={"content-type": "multipart/form-data; boundary=b"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (413, "UploadTooLarge")
    assert counts.errors() == {("http", "UploadTooLarge"): 1}


@pytest.mark.asyncio
async def test_image_becomes_file(client: httpx.AsyncClient, queues: Queues, counts: Counts) -> None:
    """An image is drawn by a worker and can be downloaded as a file of its user."""
    accepted = (await client.post("/api/v1/images", json={"prompt": "a cat"})).json()
    assert (await client.get(accepted["poll_url"])).json()["state"] == "queued"
    await queues.work()
    task = (await client.get(accepted["poll_url"])).json()
    assert (await client.get(task["result"]["url"])).content == PNG
    assert counts.of("images_generated_total", model="gpt-image-1") == 1
    assert (await client.get(FILES)).json()["storage_used_bytes"] == len(PNG)


@pytest.mark.asyncio
async def test_recording_is_transcribed(
    client: httpx.AsyncClient, queues: Queues, counts: Counts, tmp_path: Path
) -> None:
    """A recording is transcribed by a worker, its minutes are the vendor's, and it is deleted afterwards."""
    accepted = (await client.post("/api/v1/audio/transcriptions", files=RECORDING)).json()
    assert len(_stored(tmp_path)) == 1
    await queues.work()
    task = (await client.get(accepted["poll_url"])).json()
    assert task["result"] == {"text": "hello there", "language": "english", "seconds": 12.5}
    assert counts.of("audio_transcribed_minutes_total", provider="openai") == pytest.approx(12.5 / 60)
    assert _stored(tmp_path) == []


@pytest.mark.asyncio
async def test_expired_files_go(client: httpx.AsyncClient, tmp_path: Path) -> None:
    """Maintenance deletes expired files and gives their bytes back."""
    await _upload(client, b"old")
    with sync_session() as session:
        session.execute(update(File).values(expires_at=now() - timedelta(days=1)))
    assert maintenance.delete_expired()["files"] == 1
    assert (_stored(tmp_path), (await client.get(FILES)).json()["storage_used_bytes"]) == ([], 0)
