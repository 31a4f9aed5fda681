"""How long the broker is waited for, and what is said when it was too long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka.errors import KafkaTimeoutError, RequestTimedOutError


@contextlib.asynccontextmanager
async def within(seconds: float, what: str) -> AsyncIterator[None]:
    """Have what is done in it end in time; `what` says what is the case if it does not.

    Raises:
        TimeoutError: it did not end, or aiokafka gave it up before.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, KafkaTimeoutError, RequestTimedOutError) as error:
        if isinstance(error, TimeoutError) and str(error):
            raise  # it has said so itself
        raise TimeoutError(f"{what} within {seconds:g} s") from error
