"""Who owns an identifier and what a lead is called."""

import aiokafka.partitioner
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.identity import bare, lead_id, owner
from app.domain.partition import murmur2

KAFKA_VECTORS = {
    # org.apache.kafka.common.utils.UtilsTest.testMurmur2, as signed 32-bit integers
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize(("data", "signed"), KAFKA_VECTORS.items())
def test_murmur2_is_kafkas(data: bytes, signed: int) -> None:
    assert murmur2(data) == signed % 2**32


@given(st.binary(max_size=70))
def test_murmur2_is_the_clients(data: bytes) -> None:
    assert murmur2(data) == aiokafka.partitioner.murmur2(data) % 2**32


@given(st.text(min_size=1, max_size=40), st.integers(min_value=1, max_value=64))
def test_an_identifiers_owner_is_where_the_default_partitioner_puts_its_bare_text(text: str, partitions: int) -> None:
    every = list(range(partitions))
    wanted = aiokafka.partitioner.DefaultPartitioner()(text.encode(), every, every)
    assert {owner(f"{kind}:{text}", partitions) for kind in ("user", "email", "phone", "anon")} == {wanted}


def test_a_bare_text_may_have_colons() -> None:
    assert bare("user:a:b") == "a:b"


def test_a_lead_is_called_by_its_user_or_anonymous_id() -> None:
    assert lead_id("user:u1", b"key") == "user:u1"
    assert lead_id("anon:a:1", b"key") == "anon:a:1"


def test_an_address_or_number_is_told_only_as_a_keyed_hash() -> None:
    # printf 'email:ada@example.com' | openssl dgst -sha256 -hmac key
    assert lead_id("email:ada@example.com", b"key") == "email:bbd49b6d843fcb42"
    assert lead_id("phone:+380501234567", b"key") == "phone:557e36d2288771b1"
    assert lead_id("email:ada@example.com", b"other") != lead_id("email:ada@example.com", b"key")
