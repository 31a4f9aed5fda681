"""A worker that its group knows by a name of its own (`instance_id`), and how it learns that it is no member."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from aiokafka.errors import KafkaError, UnknownMemberIdError

FENCED_INSTANCE_ID: Final = 82
"""Kafka's code for a member whose name another one took; aiokafka does not know it."""
_NO_MEMBER: Final = frozenset({UnknownMemberIdError.errno, FENCED_INSTANCE_ID})


class InstanceError(KafkaError):  # type: ignore[misc]
    """The group does not have this worker any more: it must end, not join again and put out who has its name now."""


def watch(coordinator: Any, instance_id: str, session_timeout_ms: int, gone: Callable[[InstanceError], None]) -> None:
    """Call `gone` when the group tells aiokafka's coordinator that it has another member by this name, or none.

    By itself aiokafka would forget who it was and join again under the name: two workers would put each other out for
    ever. Every request of the coordinator fails from then on.
    """
    send = coordinator._send_req

    async def send_watched(request: Any) -> Any:
        response = await send(request)
        if not _NO_MEMBER.isdisjoint(_codes(response)):
            error = InstanceError(
                f"the group has this worker no more: another one joined as instance_id {instance_id}, and each needs "
                f"its own, or this one was silent for longer than session_timeout_ms, {session_timeout_ms} ms"
            )
            gone(error)
            raise error
        return response

    coordinator._send_req = send_watched


def _codes(response: Any) -> Iterator[int]:
    """Yield a response's error codes: of the whole, or of each partition, where it is told last."""
    yield getattr(response, "error_code", 0)
    for _, partitions in getattr(response, "topics", ()):
        for partition in partitions:
            yield partition[-1]
