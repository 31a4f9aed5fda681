"""Runs Apache Kafka until Ctrl-C: `python -m tests.kafka --brokers 3`."""

import asyncio
import signal
import sys
import time

import click

from tests.kafka.cluster import Kafka
from tests.kafka.install import KafkaError, installed


@click.command()
@click.option("--brokers", type=click.IntRange(1, 3), default=1, show_default=True)
@click.option("--port", type=click.IntRange(1, 65_000), default=9092, show_default=True, help="Of the first broker.")
@click.option("--install", is_flag=True, help="Only fetch and prepare what is needed.")
def main(brokers: int, port: int, install: bool) -> None:
    """Run brokers on loopback until Ctrl-C; their data goes with them."""

    async def run() -> None:
        told = asyncio.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, told.set)
        began = time.monotonic()
        async with Kafka(brokers, port=port) as kafka:
            click.echo(f"ready after {time.monotonic() - began:.1f} s; Ctrl-C ends it")
            given = {"BROKERS": kafka.address, "REPLICATION_FACTOR": brokers, "MIN_INSYNC_REPLICAS": min(2, brokers)}
            click.echo("export " + " ".join(f"LEADSTREAM_{name}={value}" for name, value in given.items()))
            await told.wait()

    try:
        if install:
            click.echo(f"Apache Kafka is in {installed().home}")
        else:
            asyncio.run(run())
    except KafkaError as error:
        sys.exit(f"Apache Kafka cannot run: {error}")


if __name__ == "__main__":
    main()
