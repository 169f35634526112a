"""The command that serves the origin, as a separate process: TLS, both request paths, its end."""

from __future__ import annotations

import asyncio
import datetime as dt
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Files of a certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(certificate), str(private)


@asynccontextmanager
async def served(*options: str) -> AsyncIterator[int]:
    """The command's port; it must end cleanly on a signal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "local_stack.origin", "--port", "0", *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    assert "listening on 127.0.0.1:" in line
    try:
        yield int(line.rpartition(":")[2])
    finally:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


async def test_both_paths_work_over_tls_on_one_connection(certificate: tuple[str, str]) -> None:
    """First the fast path, then aiohttp's, with the event loop of production."""
    trust = ssl.create_default_context(cafile=certificate[0])
    connector = aiohttp.TCPConnector(ssl=trust, limit=1)
    async with served("--tls", *certificate) as port, aiohttp.ClientSession(connector=connector) as session:
        for path in (
            "/time/0",
            "/v2/objects/demo/uuids",
            "/publish/demo/demo/0/ch/0/1",
            "/v2/objects/demo/uuids",
        ):
            async with session.get(f"https://localhost:{port}{path}") as answer:
                assert answer.status == 200


async def test_options_reach_the_keyset() -> None:
    options = (
        "--publish-key",
        "p",
        "--subscribe-key",
        "s",
        "--announce-max",
        "7",
        "--interval",
        "2",
        "--control",
    )
    async with (
        served(*options, "--no-deltas", "--debounce", "2") as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.get("/_control/keysets/s") as answer,
    ):
        shown = await answer.json()
    presence = shown["settings"]["presence"]
    assert shown["publish_key"] == "p"
    assert [presence[name] for name in ("announce_max", "interval_s", "deltas", "debounce_s")] == [
        7,
        2,
        False,
        2,
    ]


async def test_the_sink_serves_over_tls_too(certificate: tuple[str, str]) -> None:
    trust = ssl.create_default_context(cafile=certificate[0])
    async with (
        served("--sink", "--delay-ms", "1", "--tls", *certificate) as port,
        aiohttp.ClientSession() as session,
    ):
        url = f"https://localhost:{port}/publish/a/b/0/ch/0"
        async with session.post(url, json={"x": 1}, ssl=trust) as answer:
            assert (await answer.json(content_type=None))[:2] == [1, "Sent"]


async def test_the_origin_stops_while_polls_are_open() -> None:
    async with aiohttp.ClientSession() as session:
        async with served() as port:
            polls = [
                asyncio.create_task(_poll(session, port, close)) for close in (False, True) for _ in range(3)
            ]
            await asyncio.sleep(0.2)
        ended = await asyncio.gather(*polls, return_exceptions=True)
    assert all(isinstance(end, aiohttp.ClientError) for end in ended)


async def _poll(session: aiohttp.ClientSession, port: int, close: bool) -> int:
    headers = {"Connection": "close"} if close else {}
    url = f"http://127.0.0.1:{port}/v2/subscribe/demo/ch/0?tt=1"
    async with session.get(url, headers=headers) as answer:
        return answer.status


def test_the_command_is_documented() -> None:
    """Every switch of the command that the page names exists."""
    page = (Path(__file__).parents[3] / "docs" / "origin.md").read_text("utf-8")
    source = (Path(__file__).parents[3] / "local_stack" / "origin" / "cli.py").read_text("utf-8")
    for option in ("--debounce", "--sink", "--delay-ms", "--tls", "--control"):
        assert option in page
        assert option.removeprefix("--").replace("-", "_") in source
