"""Faults of workers: told to stop at work, more and fewer of them, killed, frozen while another takes over."""

import asyncio
import signal
import time
from pathlib import Path

from tests.kafka import Kafka
from tests.system.faults_scene import Outcome, Scene, longest_stop
from tests.system.faults_worker import total

HAND_OVER_S = 5.0
"""A graceful hand-over stops no partition for longer."""
AFTER_SESSION_S = 5.0
"""After kill -9 another worker serves the partitions so long after the session time-out, at most."""


async def told_to_stop(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """SIGTERM in mid-chunk: it drains, commits and ends with 0; the next worker reads on where it stopped."""
    async with Scene(kafka.address, home, seed=seed, backlog=0.5) as scene:
        first = await scene.worker()
        await scene.at(0.02)
        # However fast it is, half of the events wait when it goes on and finds the signal.
        first.signal(signal.SIGSTOP)
        await scene.load()
        first.signal(signal.SIGTERM)
        since = time.monotonic()
        first.signal(signal.SIGCONT)
        assert await first.ended() == 0, first.said()[-3_000:]
        took = time.monotonic() - since
        await scene.follower.look()
        done = scene.processed()
        taken = sum(done.values())
        assert 0 < taken < scene.events
        assert await scene.committed() == done, "what is processed is not what is committed"
        second = await scene.worker()
        await scene.drained()
        counted = await second.metrics()
        read, again = total(counted, "leadstream_events_total"), total(counted, "leadstream_repeats_dropped_total")
        resent = total(counted, "leadstream_outbox_resent_total")
        assert read == scene.events - taken, "the second worker took events that the first one had taken"
        assert again <= resent, f"{again} records were read again, and only {resent} sent again"
        told = f"{taken:,} events before, {read:,} after, 0 twice; outbox of {resent} sent again"
        return await scene.finish(f"it ended {took:.1f} s after SIGTERM: {told}")


async def come_and_go(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A second worker joins under load, leaves, joins again and is killed: how long a partition stands still."""
    async with Scene(kafka.address, home, seed=seed, events=14_000, backlog=0, rate=200) as scene:
        stays = await scene.worker()
        all_lanes = scene.settings.partitions
        await stays.has(all_lanes)
        scene.load()
        await asyncio.sleep(1)
        windows = []
        guest = await scene.worker()
        since = time.time()
        await guest.has(1)
        await asyncio.sleep(1)
        windows.append((since, time.time()))
        since = time.time()
        await guest.stop()
        await stays.has(all_lanes)
        await asyncio.sleep(1)
        windows.append((since, time.time()))
        await guest.start()
        await guest.has(1)
        await asyncio.sleep(1)
        since = time.time()
        guest.signal(signal.SIGKILL)
        await guest.ended()
        await stays.has(all_lanes)
        await asyncio.sleep(1)
        windows.append((since, time.time()))
        assert await scene.share() < 1, "the load ended before the faults did"
        outcome = await scene.finish()
        steps = await scene.steps()
    joined, left, killed = (longest_stop(steps, *window) for window in windows)
    session_s = scene.settings.session_timeout_ms / 1_000
    outcome.told = (
        f"a partition stood still for at most {joined:.1f} s when one joined, {left:.1f} s when it left, "
        f"{killed:.1f} s after kill -9 (session time-out {session_s:.0f} s)"
    )
    assert joined < HAND_OVER_S, outcome.told
    assert left < HAND_OVER_S, outcome.told
    assert killed < session_s + AFTER_SESSION_S, outcome.told
    return outcome


async def frozen(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker is stopped beyond its session, another takes over, and it goes on: it dies without sending."""
    async with Scene(kafka.address, home, seed=seed, events=6_000) as scene:
        evicted = await scene.worker()
        other = await scene.worker()
        await evicted.has(1)
        await other.has(1)
        await scene.at(0.1)
        evicted.signal(signal.SIGSTOP)
        since = time.monotonic()
        await other.has(scene.settings.partitions)
        took = time.monotonic() - since
        await scene.at(0.3)
        evicted.signal(signal.SIGCONT)
        status = await evicted.ended(30)
        scene.died(evicted, status)
        assert "FencedError" in evicted.said(), evicted.said()[-3_000:]
        await evicted.start()
        return await scene.finish(f"the other worker had all partitions after {took:.1f} s")


async def wiped(kafka: Kafka, home: Path, seed: int = 1) -> Outcome:
    """A worker is killed and its disk is lost."""
    async with Scene(kafka.address, home, seed=seed, backlog=0.6) as scene:
        worker = await scene.worker()
        await scene.at(0.3)
        await worker.lose()
        scene.load()
        await worker.start()
        await worker.has(scene.settings.partitions)
        rows = total(await worker.metrics(), "leadstream_recovered_rows_total")
        assert rows > 0
        return await scene.finish(f"{rows:,} changelog rows read again")
