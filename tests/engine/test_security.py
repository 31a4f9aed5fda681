"""TLS and login, against brokers of Apache Kafka that demand them."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiokafka import AIOKafkaProducer
from cryptography.hazmat.primitives import serialization

from app import topics
from app.connection import client_options
from app.embedded import settings_for
from app.engine import startup
from app.engine.worker import build, running
from app.settings import Settings, SettingsError
from tests.engine.broker_io import read_once
from tests.engine.toy import toy
from tests.kafka import Kafka, Security
from tests.processes import LEADSTREAM, ROOT

USERS = {"lea": "a long = pass: word#1", "other": "secret"}


@dataclass(frozen=True)
class Papers:
    """Certificates of one authority, and of another that nobody trusts."""

    ca: Path
    strange_ca: Path
    broker: Path
    """For 127.0.0.1 only."""
    client_cert: Path
    client_key: Path
    strange_cert: Path
    strange_key: Path


def as_pkcs8(pem: bytes, password: bytes | None) -> bytes:
    """The private key as Kafka reads it, or locked."""
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    key = serialization.load_pem_private_key(pem, None)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    home = tmp_path_factory.mktemp("papers")
    ours, strange = trustme.CA(), trustme.CA()
    papers = Papers(
        *(home / f"{name}.pem" for name in ("ca", "strange_ca", "broker", "cert", "key", "strange_cert", "strange_key"))
    )
    ours.cert_pem.write_to_path(papers.ca)
    strange.cert_pem.write_to_path(papers.strange_ca)
    broker = ours.issue_cert("127.0.0.1")
    papers.broker.write_bytes(
        as_pkcs8(broker.private_key_pem.bytes(), None) + b"".join(pem.bytes() for pem in broker.cert_chain_pems)
    )
    for authority, cert, key in (
        (ours, papers.client_cert, papers.client_key),
        (strange, papers.strange_cert, papers.strange_key),
    ):
        client = authority.issue_cert("worker.example")
        client.cert_chain_pems[0].write_to_path(cert)
        client.private_key_pem.write_to_path(key)
    return papers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def login(kafka_or_skip: None, papers: Papers) -> AsyncIterator[str]:
    """A broker that speaks TLS only, and only to users that it knows."""
    demands = Security("SASL_SSL", users=USERS, certificate=papers.broker)
    async with Kafka(quick=True, security=demands) as running:
        yield running.address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mutual(kafka_or_skip: None, papers: Papers) -> AsyncIterator[str]:
    """A broker that speaks TLS only, and only to clients with a certificate."""
    demands = Security("SSL", certificate=papers.broker, client_ca=papers.ca)
    async with Kafka(quick=True, security=demands) as running:
        yield running.address


def as_lea(address: str, papers: Papers, home: Path, **changes: Any) -> Settings:
    plain: dict[str, Any] = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_user": "lea",
        "sasl_password": USERS["lea"],
        "tls_ca_file": papers.ca,
        "partitions": 1,
        "data_dir": home / "data",
        "app_id": home.name[-30:],
        "topic_prefix": f"{home.name[-30:]}.",
        "block_cache_bytes": 8 << 20,
        "write_buffer_bytes": 4 << 20,
        "request_timeout_ms": 8_000,
    }
    return settings_for(address, **{**plain, **changes})


async def publish_one(settings: Settings, times: int) -> dict[tuple[str, int], int]:
    web = topics.topics(settings).web.name
    producer = AIOKafkaProducer(**client_options(settings))
    await producer.start()
    try:
        for _ in range(times):
            sent = await producer.send_and_wait(web, key=b"a", value=b"x", partition=0)
    finally:
        await producer.stop()
    return {(web, 0): sent.offset + 1}


async def work(settings: Settings) -> None:
    """Make topics, check them, and have a worker count ten records, over every client there is."""
    await topics.create(settings)
    await startup.check(settings)
    ends = await publish_one(settings, 10)
    async with running(build(settings, [toy])) as engine:
        await engine.drained(ends)
    assert await read_once(settings, topics.topics(settings).segments.name) == [(b"a", b"10")]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_worker_logs_in_over_tls_by_each_mechanism(
    login: str, papers: Papers, tmp_path: Path, mechanism: str
) -> None:
    await work(as_lea(login, papers, tmp_path, sasl_mechanism=mechanism))


async def test_a_worker_shows_its_certificate(mutual: str, papers: Papers, tmp_path: Path) -> None:
    nobody = {"security_protocol": "SSL", "sasl_user": "", "sasl_password": ""}
    cert = {"tls_cert_file": papers.client_cert, "tls_key_file": papers.client_key}
    await work(as_lea(mutual, papers, tmp_path, **nobody, **cert))


async def test_the_password_may_stand_in_a_file(login: str, papers: Papers, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{USERS['lea']}\n")
    settings = as_lea(login, papers, tmp_path, sasl_password="", sasl_password_file=tmp_path / "password")
    assert len(await topics.create(settings)) == len(topics.topics(settings).all())


async def test_the_name_is_not_looked_at_when_told_so(login: str, papers: Papers, tmp_path: Path) -> None:
    by_name = login.replace("127.0.0.1", "localhost")
    settings = as_lea(by_name, papers, tmp_path, tls_check_hostname=False)
    assert await topics.describe(settings) == {}


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "the password",
        {"sasl_password": "no"},
        r"it refuses user lea with SCRAM-SHA-512; correct sasl_user and its password \(.*invalid credentials.*\)",
    ),
    ("the password, plain", {"sasl_password": "no", "sasl_mechanism": "PLAIN"}, "it refuses user lea with PLAIN; "),
    ("the user", {"sasl_user": "nobody"}, "it refuses user nobody with SCRAM-SHA-512; "),
    ("the authority", {"tls_ca_file": "strange_ca"}, "its certificate is not trusted: .*; correct tls_ca_file, or"),
    ("no TLS", {"security_protocol": "SASL_PLAINTEXT", "tls_ca_file": None}, "it closes the connection; is security_"),
    (
        "no TLS and no login",
        {"security_protocol": "PLAINTEXT", "sasl_user": "", "sasl_password": "", "tls_ca_file": None},
        "it closes the connection; is security_protocol PLAINTEXT what it wants on this port",
    ),
    ("no login", {"security_protocol": "SSL", "sasl_user": "", "sasl_password": ""}, "it closes the connection; is "),
]


@pytest.mark.parametrize(("changes", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_what_is_wrong_is_said_soon_and_once(
    login: str,
    papers: Papers,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    said: str,
) -> None:
    files = {name: getattr(papers, value) for name, value in changes.items() if value == "strange_ca"}
    settings = as_lea(login, papers, tmp_path, **{**changes, **files})
    with caplog.at_level(logging.WARNING):
        async with asyncio.timeout(15):
            with pytest.raises(topics.TopicsError, match=f"^no Kafka broker answers at {login}: {said}"):
                await startup.check(settings)
    assert [line for line in caplog.messages if "Sending username" not in line] == []


async def test_another_name_than_the_certificates_is_refused(login: str, papers: Papers, tmp_path: Path) -> None:
    by_name = login.replace("127.0.0.1", "localhost")
    with pytest.raises(topics.TopicsError, match=r"certificate is not trusted: .*mismatch.*or tls_check_hostname$"):
        await startup.check(as_lea(by_name, papers, tmp_path))


@pytest.mark.parametrize("whose", [None, "strange"])
async def test_a_client_without_a_certificate_that_is_known_is_refused(
    mutual: str, papers: Papers, tmp_path: Path, whose: str | None
) -> None:
    nobody = {"security_protocol": "SSL", "sasl_user": "", "sasl_password": ""}
    cert = {"tls_cert_file": papers.strange_cert, "tls_key_file": papers.strange_key} if whose else {}
    async with asyncio.timeout(15):
        with pytest.raises(topics.TopicsError, match=r"no Kafka broker answers at .*tls_cert_file"):
            await startup.check(as_lea(mutual, papers, tmp_path, **nobody, **cert))


@pytest.mark.parametrize("command", [["worker"], ["topics", "create"], ["topics", "describe"], ["replay"]])
async def test_a_wrong_password_ends_each_command_with_one_line(
    login: str, papers: Papers, tmp_path: Path, command: list[str]
) -> None:
    lines = tmp_path / "web.jsonl"
    lines.write_text('{"type": "page", "userId": "u1", "timestamp": "2026-01-01T00:00:00Z"}\n')
    if command == ["replay"]:
        command = ["replay", "--web", str(lines), "--out", str(tmp_path / "out"), "--broker", login]
    config = tmp_path / "settings.toml"
    config.write_text(
        f'brokers = ["{login}"]\nsecurity_protocol = "SASL_SSL"\nsasl_user = "lea"\nsasl_password = "no"\n'
        f'tls_ca_file = "{papers.ca}"\n'
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *LEADSTREAM, *command, "--config", str(config)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, error = await process.communicate()
    assert process.returncode == 1
    (line,) = error.decode().splitlines()
    assert line.startswith(f"Error: no Kafka broker answers at {login}: it refuses user lea with SCRAM-SHA-512; ")


async def test_a_replay_logs_in_and_leaves_no_topic(login: str, papers: Papers, tmp_path: Path) -> None:
    lines = tmp_path / "web.jsonl"
    lines.write_text('{"type": "page", "userId": "u1", "timestamp": "2026-01-01T00:00:00Z"}\n')
    (tmp_path / "password").write_text(USERS["lea"])
    config = tmp_path / "settings.toml"
    config.write_text(
        f'security_protocol = "SASL_SSL"\nsasl_user = "lea"\nsasl_password_file = "{tmp_path / "password"}"\n'
        f'tls_ca_file = "{papers.ca}"\n'
    )
    for broker in (["--broker", login], []):  # the embedded one wants neither
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *LEADSTREAM, "replay", "--web", str(lines)),
            *("--out", str(tmp_path / "out"), "--config", str(config), *broker),
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            _, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        assert (tmp_path / "out" / "profiles.jsonl").read_text().count("\n") == 1
    async with topics.admin(as_lea(login, papers, tmp_path)) as client:
        assert [name for name in await client.list_topics() if name.startswith("replay-")] == []


# --- without a broker -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sasl_password": "", "sasl_password_file": "none"}, "sasl_password_file: .*none: No such file or directory"),
        ({"tls_ca_file": "none"}, "tls_ca_file: .*none: No such file or directory"),
        ({"tls_ca_file": "junk"}, "tls_ca_file: .*junk: .*NO_CERTIFICATE"),
        ({"tls_cert_file": "junk", "tls_key_file": "junk"}, "tls_cert_file, tls_key_file: .*junk: "),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    papers: Papers, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    (tmp_path / "junk").write_text("junk\n")
    files = {name: tmp_path / value if name.endswith("_file") else value for name, value in changes.items()}
    with pytest.raises(SettingsError, match=said):
        await topics.describe(as_lea("127.0.0.1:1", papers, tmp_path, **files))


async def test_a_key_with_a_password_is_refused_and_not_asked_for(papers: Papers, tmp_path: Path) -> None:
    locked = tmp_path / "locked.pem"
    locked.write_bytes(as_pkcs8(papers.client_key.read_bytes(), b"password"))
    settings = as_lea("127.0.0.1:1", papers, tmp_path, tls_cert_file=papers.client_cert, tls_key_file=locked)
    with pytest.raises(SettingsError, match=r"tls_cert_file, tls_key_file: .*locked"):
        client_options(settings)


def test_settings_without_security_are_as_they_were() -> None:
    assert client_options(Settings()) == {
        "bootstrap_servers": ["127.0.0.1:9092"],
        "request_timeout_ms": 40_000,
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
