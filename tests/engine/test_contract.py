"""Every private name of Faust, mode, aiokafka and rocksdict that the engine overrides or calls is still what it was."""

import inspect
import re
from importlib.metadata import version
from typing import Any

import aiokafka
import pytest
import rocksdict
from aiokafka import conn
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from faust.app.base import App
from faust.events import Event
from faust.stores.rocksdb import Store
from faust.tables.base import Collection
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as BaseConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage
from mode.services import Service
from mode.threads import ServiceThread

from app.engine import transport, worker
from app.engine.store import LeadStore

OVERRIDDEN: list[tuple[Any, type, str, list[str]]] = [
    (transport.Consumer, driver.Consumer, "getmany", ["self", "timeout"]),
    (transport.Consumer, driver.Consumer, "_getmany", ["self", "active_partitions", "timeout"]),
    (transport.Consumer, driver.Consumer, "_new_offset", ["self", "tp"]),
    (transport.Consumer, driver.Consumer, "_new_consumer_thread", ["self"]),
    (transport.Consumer, driver.Consumer, "_commit", ["self", "offsets"]),
    (transport.ConsumerThread, driver.AIOKafkaConsumerThread, "on_start", ["self"]),
    (transport.Consumer, driver.Consumer, "perform_seek", ["self"]),
    (transport.Consumer, driver.Consumer, "on_partitions_revoked", ["self", "revoked"]),
    (transport.Consumer, driver.Consumer, "commit_and_end_transactions", ["self"]),
    (transport.Consumer, driver.Consumer, "highwaters", ["self", "partitions"]),
    (transport.ConsumerThread, driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
    (worker.StrictRecovery, Recovery, "_wait", ["self", "coro", "timeout"]),
    (worker.StrictTableManager, TableManager, "on_start", ["self"]),
    (worker.LaneTable, Collection, "_new_store", ["self"]),
    (worker.App, App, "on_start", ["self"]),
    (worker.App, App, "on_stop", ["self"]),
    (LeadStore, Store, "persisted_offset", ["self", "tp"]),
    (LeadStore, Store, "set_persisted_offset", ["self", "tp", "offset"]),
    (LeadStore, Store, "apply_changelog_batch", ["self", "batch", "to_key", "to_value"]),
    (LeadStore, Store, "on_recovery_completed", ["self", "active_tps", "standby_tps"]),
    (LeadStore, Store, "revoke_partitions", ["self", "table", "tps"]),
    (LeadStore, Store, "_open_for_partition", ["self", "partition"]),
    (LeadStore, Store, "reset_state", ["self"]),
    (LeadStore, Store, "stop", ["self"]),
]

CALLED: list[tuple[type, str, list[str]]] = [
    (driver.Consumer, "_wait_next_records", ["self", "timeout"]),
    (driver.Consumer, "_to_message", ["self", "tp", "record"]),
    (driver.Consumer, "seek_wait", ["self", "partitions"]),
    (driver.Consumer, "earliest_offsets", ["self", "partitions"]),
    (driver.Consumer, "commit", ["self", "topics", "start_new_transaction"]),
    (driver.Consumer, "assignment", ["self"]),
    (Store, "_db_for_partition", ["self", "partition"]),
    (Store, "partition_path", ["self", "partition"]),
    (TableManager, "_update_channels", ["self"]),
    (Event, "ack", ["self"]),
    (Service, "crash", ["self", "reason"]),
    (aiokafka.AIOKafkaConsumer, "highwater", ["self", "partition"]),
    (aiokafka.AIOKafkaConsumer, "last_poll_timestamp", ["self", "partition"]),
    (aiokafka.AIOKafkaProducer, "send_batch", ["self", "batch", "topic", "partition"]),
    (aiokafka.AIOKafkaProducer, "create_batch", ["self"]),
    (aiokafka.AIOKafkaProducer, "begin_transaction", ["self"]),
    (aiokafka.AIOKafkaProducer, "commit_transaction", ["self"]),
    (aiokafka.AIOKafkaProducer, "abort_transaction", ["self"]),
    (aiokafka.AIOKafkaProducer, "send_offsets_to_transaction", ["self", "offsets", "group_id"]),
    (GroupCoordinator, "_send_req", ["self", "request"]),
    (BatchBuilder, "append", ["self", "timestamp", "key", "value", "headers"]),
]


def parameters(owner: Any, name: str) -> list[str]:
    return list(inspect.signature(getattr(owner, name)).parameters)


@pytest.mark.parametrize(("ours", "theirs", "name", "expected"), OVERRIDDEN)
def test_what_is_overridden_has_the_signature_it_had(ours: type, theirs: type, name: str, expected: list[str]) -> None:
    assert name in vars(ours), "nothing is overridden"
    assert parameters(theirs, name) == expected
    assert inspect.iscoroutinefunction(getattr(theirs, name)) == inspect.iscoroutinefunction(getattr(ours, name))


@pytest.mark.parametrize(("owner", "name", "expected"), CALLED)
def test_what_is_called_has_the_signature_it_had(owner: type, name: str, expected: list[str]) -> None:
    assert parameters(owner, name) == expected


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (BaseConsumer.__init__, ["_acked", "_acked_index", "_read_offset", "_buffered_partitions", "scheduler"]),
        (BaseConsumer._reset_state, ["flow_active"]),
        (driver.AIOKafkaConsumerThread.on_start, ["_consumer"]),
        (aiokafka.AIOKafkaConsumer.__init__, ["_fetch_max_wait_ms", "_isolation_level"]),
        (aiokafka.AIOKafkaConsumer.start, ["_coordinator"]),
        (aiokafka.AIOKafkaConsumer.stop, ["_client"]),
        (ServiceThread.__init__, ["parent_loop"]),
        (Store.__init__, ["_dbs"]),
        (Service._crash, ["_crashed", "crash_reason"]),
    ],
)
def test_the_attributes_that_are_used_are_set_where_they_were(function: Any, names: list[str]) -> None:
    source = inspect.getsource(function)
    for name in names:
        assert re.search(rf"self\.{name}\b", source), name


@pytest.mark.parametrize("option", ["fetch_max_wait_ms", "isolation_level"])
def test_an_option_is_read_when_the_consumer_starts_not_before(option: str) -> None:
    assert f"{option}=self._{option}" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)


def test_a_batch_made_by_hand_is_part_of_the_transaction_it_is_sent_in() -> None:
    assert "is_transactional=is_transactional" in inspect.getsource(MessageAccumulator.create_builder)
    assert "self._txn_manager.maybe_add_partition_to_txn(tp)" in inspect.getsource(MessageAccumulator._append_batch)
    assert "self._append_batch(builder, tp)" in inspect.getsource(MessageAccumulator.add_batch)


def test_a_static_member_does_not_leave_its_group() -> None:
    assert "self._group_instance_id is None" in inspect.getsource(GroupCoordinator._maybe_leave_group)


def test_a_connection_can_be_made_without_a_client() -> None:
    names = parameters(conn, "create_conn")
    assert names[:2] == ["host", "port"]
    assert {
        "request_timeout_ms", "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username",
        "sasl_plain_password",
    } <= set(names)  # fmt: skip
    assert {"send", "close"} <= set(dir(conn.AIOKafkaConnection))


def test_a_chunk_fits_fausts_message() -> None:
    names = parameters(ConsumerMessage, "__init__")
    assert names[1:12] == [
        "topic", "partition", "offset", "timestamp", "timestamp_type", "headers", "key", "value", "checksum",
        "serialized_key_size", "serialized_value_size",
    ]  # fmt: skip


def test_rocksdict_opens_raw_and_writes_batches_atomically() -> None:
    assert {"put", "delete"} <= set(dir(rocksdict.WriteBatch(raw_mode=True)))
    assert {"get", "iter", "write", "close"} <= set(dir(rocksdict.Rdict))


@pytest.mark.parametrize(
    ("package", "pinned"),
    [("faust-streaming", "0.15.3"), ("aiokafka", "0.14.0"), ("mode-streaming", "0.7.1"), ("rocksdict", "0.3.29")],
)
def test_the_versions_are_the_ones_this_was_checked_against(package: str, pinned: str) -> None:
    assert version(package) == pinned
