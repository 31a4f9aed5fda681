import struct

import aiokafka.partitioner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.partition import murmur2, partition_of
from app.engine.protocol import (
    ChannelGapError,
    LogError,
    Meta,
    Sent,
    StaleKeys,
    Stamp,
    applies,
    decode_meta,
    encode_meta,
    lane_headers,
    sender_of,
    stamp_of,
)


@given(st.binary(max_size=80))
def test_murmur2_is_kafkas(data: bytes) -> None:
    assert murmur2(data) == aiokafka.partitioner.murmur2(data)


# Expected values from Apache Kafka's UtilsTest.testMurmur2, signed there.
@pytest.mark.parametrize(
    ("text", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_test(text: bytes, signed: int) -> None:
    assert struct.unpack("i", struct.pack("I", murmur2(text)))[0] == signed


def test_the_partition_is_the_positive_hash_modulo_the_count() -> None:
    assert partition_of(b"21", 8) == (-973932308 & 0x7FFFFFFF) % 8


def test_a_meta_row_comes_back_as_it_was() -> None:
    meta = Meta(3, 17, {"t": 5}, {"o/1": 9}, {"t/x/0": 2}, [Sent("o", 1, 9, b"k", None), Sent("o", 2, 1, ref=b"r")])
    assert decode_meta(encode_meta(meta)) == meta
    assert decode_meta(None) == Meta()


def test_headers_name_lane_epoch_and_seq_in_plain_text() -> None:
    headers = lane_headers("app/leads/3", 2, 41)
    assert headers == [("lane", b"app/leads/3"), ("epoch", b"2"), ("seq", b"41")]
    assert sender_of(headers) == ("app/leads/3", 41)
    assert sender_of([("trace", b"1")]) is None


def test_a_stamp_orders_by_epoch_then_step_and_travels_in_a_header() -> None:
    assert Stamp(1, 99) < Stamp(2, 0) < Stamp(2, 1)
    assert stamp_of(Stamp(7, 1 << 40).headers()) == Stamp(7, 1 << 40)
    with pytest.raises(LogError):
        stamp_of([])


def test_a_channel_takes_each_seq_once_and_no_gap() -> None:
    got: dict[str, int] = {}
    assert [applies(got, "t", "a/x/0", seq) for seq in (1, 2, 2, 1, 3)] == [True, True, False, False, True]
    assert applies(got, "t", "a/x/1", 1), "each sender has its own count"
    with pytest.raises(ChannelGapError):
        applies(got, "t", "a/x/0", 5)
    assert got == {"t/a/x/0": 3, "t/a/x/1": 1}


def test_records_below_the_highest_stamp_are_ignored_and_their_keys_remembered_until_written_again() -> None:
    stale = StaleKeys()
    assert stale.accept(b"a", Stamp(1, 1))
    assert stale.accept(b"epoch", Stamp(2, 1))
    assert not stale.accept(b"a", Stamp(1, 2))
    assert not stale.accept(b"b", Stamp(1, 2))
    assert stale.keys == {b"a", b"b"}
    assert stale.accept(b"a", Stamp(2, 2))
    assert stale.keys == {b"b"}
