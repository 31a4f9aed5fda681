"""The comparison itself: its oracle is right, it finds what is wrong, and the contenders that need nothing else run."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from tests.bench.peers import install
from tests.bench.peers.contenders import contenders
from tests.bench.peers.job import State, crossing, encode_state, take
from tests.bench.peers.load import events
from tests.bench.peers.measure import Bench
from tests.bench.peers.oracle import Lead, Truth
from tests.bench.traffic import Message
from tests.kafka import Kafka
from tests.kafka.install import POM

NOON_MS = 1_793_534_400_000  # 2026-11-01T12:00:00Z
DAY_MS = 86_400_000
LEADS = ("Leadstream", "stock Faust")
"""The contenders whose rows are states in msgpack."""


def told(kind: str, day: int) -> Message:
    """A message of user:a at noon of a day of November 2026."""
    value = {"type": "track", "event": kind, "timestamp": f"2026-11-{day:02}T12:00:00.000Z"}
    return Message("", b"user:a", orjson.dumps(value), 0)


def done_by_the_job(messages: list[Message]) -> tuple[dict[bytes, bytes], list[dict[str, Any]]]:
    """The stored row of each lead, and the records sent."""
    rows: dict[bytes, State] = {}
    sent = []
    for message in messages:
        assert message.key is not None
        state = rows.setdefault(message.key, State())
        if take(state, message.value):
            sent.append(orjson.loads(crossing(message.key, state)))
    return {key: encode_state(state) for key, state in rows.items()}, sent


def test_the_oracle_fades_by_half_a_week_and_tells_each_crossing() -> None:
    late = told("Product Added", 1)
    truth = Truth([told("Form Submitted", 1), told("Email Link Clicked", 8), late, told("Product Added", 8)])
    # 10 points have become 5; 3 more are 8; 5 of a week ago are 2.5 more; then 5: above 12.
    counts = {"Form Submitted": 1, "Email Link Clicked": 1, "Product Added": 2}
    crossed = truth.crossings.pop(("user:a", 4))
    assert crossed.is_near(Lead(NOON_MS + 7 * DAY_MS, 15.5, counts))
    assert truth.crossings == {}
    assert truth.leads["user:a"] == crossed


@pytest.mark.parametrize("name", LEADS)
def test_job_rows_and_oracle_agree_on_the_shop_s_mix(name: str) -> None:
    messages = events(3_000, 1_200)
    rows, sent = done_by_the_job(messages)
    (contender,) = contenders(1, [name])
    found = [contender.row(SimpleNamespace(key=key, value=row)) for key, row in rows.items()]
    Truth(messages).check(sent, dict(row for row in found if row is not None))
    assert len(sent) > 20


def test_the_check_finds_a_lost_event_and_a_record_that_was_not_sent() -> None:
    messages = events(3_000, 1_200)
    truth = Truth(messages)
    rows, sent = done_by_the_job(messages)
    (contender,) = contenders(1, ["Leadstream"])
    leads = dict(filter(None, (contender.row(SimpleNamespace(key=key, value=row)) for key, row in rows.items())))
    name, lead = next(iter(leads.items()))
    with pytest.raises(AssertionError, match=f"1 wrong: lead {name}"):
        truth.check(sent, {**leads, name: lead._replace(score=lead.score + 0.001)})
    with pytest.raises(AssertionError, match="records out"):
        truth.check(sent[1:], leads)


def test_kafka_streams_is_of_the_broker_s_version() -> None:
    version = re.search(r"<artifactId>kafka_2.13</artifactId>\s*<version>([\d.]+)<", POM.read_text())
    assert version is not None
    assert (
        f"<artifactId>kafka-streams</artifactId>\n      <version>{version[1]}<"
        in (install.STREAMS / "pom.xml").read_text()
    )


@pytest.mark.parametrize("name", LEADS)
async def test_a_contender_does_the_job_and_restores_it(name: str, kafka: Kafka, tmp_path: Path) -> None:
    bench = Bench(kafka.address, tmp_path, events(4_000, 1_600), lambda _: None)
    (contender,) = contenders(1, [name])
    run, task = await bench.throughput(contender)
    assert run.leads > 300
    assert run.crossings > 10
    restored = await bench.restore(contender, task, run.leads)
    assert 0 < restored.seconds < restored.serving_seconds
