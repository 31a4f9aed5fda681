"""The job in Quix Streams, in a virtual environment of its own: it has pins that Leadstream has not."""

import time
from typing import Any

from quixstreams import Application
from quixstreams.state.recovery import RecoveryManager

from tests.bench.peers.job import State, crossing, decode_state, encode_state, take
from tests.bench.peers.telling import Task, Teller, task

ROW = "lead"


def time_restoring(teller: Teller) -> None:
    """Have the teller know how long the recovery of the state took."""
    recover = RecoveryManager.do_recovery

    def timed(manager: Any) -> None:
        began = time.monotonic()
        recover(manager)
        teller.restore = time.monotonic() - began
        teller.open = True

    RecoveryManager.do_recovery = timed


def work(task: Task) -> None:
    """Work until SIGTERM."""
    teller = Teller()
    time_restoring(teller)
    app = Application(
        broker_address=task.broker,
        consumer_group=task.name,
        auto_offset_reset="earliest",
        state_dir=task.home,
        processing_guarantee="at-least-once",
        commit_interval=task.commit_ms / 1000,
        loglevel="WARNING",
    )
    source = app.topic(task.source, key_deserializer="bytes", value_deserializer="bytes")
    output = app.topic(task.output, key_serializer="bytes", value_serializer="bytes")

    def fold(value: bytes, key: Any, timestamp: int, headers: Any, store: Any) -> bytes | None:
        row = store.get_bytes(ROW)
        state = State() if row is None else decode_state(row)
        crossed = take(state, value)
        store.set_bytes(ROW, encode_state(state))
        teller.took(1)
        return crossing(key, state) if crossed else None

    stream = app.dataframe(source).apply(fold, stateful=True, metadata=True)
    stream.filter(lambda told: told is not None).to_topic(output)
    opened = app._on_assign

    def assigned(*arguments: Any) -> Any:
        done = opened(*arguments)
        teller.open = not app._state_manager.recovery_required
        return done

    app._on_assign = assigned
    teller.start()
    app.run()


if __name__ == "__main__":
    work(task())
