"""The cluster itself: what a test does to a broker happens to it, and nothing of it is left."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.kafka import Kafka

ROOT = Path(__file__).parents[2]


def state(pid: int) -> str:
    """The state of a process: one letter of proc(5), empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def test_three_brokers_keep_what_was_written_when_one_is_killed_and_started_again(kafka_or_skip: None) -> None:
    async with Kafka(brokers=3, quick=True) as kafka:
        assert len(set(kafka.addresses)) == 3
        client = AIOKafkaAdminClient(bootstrap_servers=kafka.address)
        producer = AIOKafkaProducer(bootstrap_servers=kafka.address, acks="all", request_timeout_ms=20_000)
        await client.start()
        await producer.start()
        try:
            await client.create_topics([NewTopic("t", 3, 3, topic_configs={"min.insync.replicas": "2"})])
            before = [(await producer.send_and_wait("t", b"x", partition=n)).offset for n in range(3)]
            await kafka.kill(2)
            after = [(await producer.send_and_wait("t", b"x", partition=n)).offset for n in range(3)]
            await kafka.restart(2)
            cluster = await client.describe_cluster()
        finally:
            await producer.stop()
            await client.close()
        assert (before, after) == ([0, 0, 0], [1, 1, 1])
        assert len(cluster["brokers"]) == 3
        pids = [broker.pid for broker in kafka.brokers]
        homes = {broker.home.parent for broker in kafka.brokers}
    assert [state(pid) for pid in pids] == [""] * 3
    assert not any(home.exists() for home in homes)


async def test_a_paused_broker_answers_nothing_until_it_goes_on(kafka_or_skip: None) -> None:
    async with Kafka(quick=True) as kafka:
        client = AIOKafkaAdminClient(bootstrap_servers=kafka.address, request_timeout_ms=500)
        await client.start()
        try:
            kafka.pause()
            async with asyncio.timeout(5):
                while state(kafka.brokers[0].pid) != "T":  # noqa: ASYNC110 - another process, no event to wait for
                    await asyncio.sleep(0.01)
            with pytest.raises((KafkaError, TimeoutError)):
                await client.list_topics()
            kafka.resume()
            await kafka.until_ready()
        finally:
            await client.close()


async def test_brokers_die_with_the_process_that_started_them(kafka_or_skip: None, tmp_path: Path) -> None:
    code = """
import asyncio
from tests.kafka import Kafka
async def main():
    async with Kafka(quick=True) as kafka:
        print(kafka.brokers[0].pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code),
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # what a killed process leaves behind
        stdout=asyncio.subprocess.PIPE,
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert state(pid) in ("S", "R")
    parent.kill()
    await parent.wait()
    async with asyncio.timeout(10):
        while state(pid) not in ("", "Z"):  # noqa: ASYNC110 - another process, no event to wait for
            await asyncio.sleep(0.02)


async def run_tests(more: dict[str, str], path: str) -> tuple[int | None, list[str]]:
    """Run the tests of a file in a process of its own: its status and the lines it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", path, "-k", "timestamp and kafka"),
        cwd=ROOT,
        env={**os.environ, "REQUIRE_KAFKA": "", "JAVA_HOME": "", **more},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode().strip().splitlines()


async def test_where_kafka_cannot_run_the_last_line_says_so() -> None:
    status, lines = await run_tests({"PATH": ""}, "tests/engine/test_broker.py")
    assert status == 0
    assert "4 skipped" in lines[-2]
    assert lines[-1] == (
        "Apache Kafka's part did not run: Java 17 or newer is not found. Only the embedded broker was tested."
    )


async def test_where_kafka_is_required_and_cannot_run_its_tests_fail() -> None:
    status, lines = await run_tests({"PATH": "", "REQUIRE_KAFKA": "1"}, "tests/engine/test_broker.py")
    assert status == 1
    assert "4 errors" in lines[-1]
    assert any("Apache Kafka is required, and cannot run here: Java 17 or newer is not found" in line for line in lines)
