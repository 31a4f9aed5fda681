"""What each broker of a cluster is told: small, quick to start, and otherwise as Kafka comes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
LARGEST_BATCH: Final = 12 * 1024 * 1024
"""Above the largest batch of any topic of the program, and above the 8 MiB that inputs admit."""
PLAINTEXT: Final = "PLAINTEXT"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True)
class Security:
    """What the brokers demand of clients."""

    protocol: str
    """`SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."""
    users: Mapping[str, str] = field(default_factory=dict)
    """User → password, for every mechanism."""
    certificate: Path | None = None
    """PEM: the brokers' private key, then their certificate; for the TLS protocols."""
    client_ca: Path | None = None
    """PEM: clients must show a certificate that this authority signed."""

    def properties(self) -> dict[str, str]:
        """Return the broker's options of the clients' listener."""
        mine: dict[str, str] = {}
        if self.protocol.startswith("SASL_"):
            mine["sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
            plain = " ".join(f'user_{user}="{password}"' for user, password in self.users.items())
            mine["plain.sasl.jaas.config"] = f"{_module('plain.Plain')} {plain};"
            for mechanism in MECHANISMS[1:]:
                mine[f"{mechanism.lower()}.sasl.jaas.config"] = f"{_module('scram.Scram')};"
        if self.protocol.endswith("SSL"):
            mine |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.certificate)}
            if self.client_ca is not None:
                mine |= {"ssl.client.auth": "required"}
                mine |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(self.client_ca)}
        return {f"listener.name.client.{name}": value for name, value in mine.items()}

    def scram_options(self) -> list[str]:
        """Return options of the storage tool: SCRAM users are part of a cluster's metadata."""
        return [
            option
            for mechanism in MECHANISMS[1:]
            for user, password in self.users.items()
            for option in ("--add-scram", f"{mechanism}=[name={user},password={password}]")
        ]


def _module(name: str) -> str:
    return f"org.apache.kafka.common.security.{name}LoginModule required"


@dataclass(frozen=True)
class Ports:
    """Where a broker listens: to clients, to other brokers, as a controller."""

    client: int
    internal: int
    controller: int


def properties(
    number: int, ports: Sequence[Ports], data: Path, security: Security | None, more: Mapping[str, str]
) -> str:
    """Return the properties file of broker `number` (from 1) of as many as there are `ports`."""
    count, own = len(ports), ports[number - 1]
    copies = str(min(3, count))
    protocol = security.protocol if security is not None else PLAINTEXT
    told: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(f"{n}@{HOST}:{port.controller}" for n, port in enumerate(ports, 1)),
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(
            f"{name}://{HOST}:{port}"
            for name, port in (("CLIENT", own.client), ("INTERNAL", own.internal), ("CONTROLLER", own.controller))
        ),
        "listener.security.protocol.map": f"CLIENT:{protocol},INTERNAL:{PLAINTEXT},CONTROLLER:{PLAINTEXT}",
        "inter.broker.listener.name": "INTERNAL",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        # A batch of a lane's step, and what replicas must then be able to fetch.
        "message.max.bytes": LARGEST_BATCH,
        "replica.fetch.max.bytes": LARGEST_BATCH,
        # Groups begin at once, and tests may have workers that are missed soon.
        "group.initial.rebalance.delay.ms": 0,
        "group.min.session.timeout.ms": 1_000,
        # Kafka's own topics: as many copies as there are brokers, few partitions.
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": str(min(2, count)),
        "transaction.state.log.num.partitions": 8,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": str(min(2, count)),
        # Small: a test has dozens of partitions and a few records in each.
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
    }
    told.update(security.properties() if security is not None else {})
    told.update(more)
    return "".join(f"{name}={value}\n" for name, value in told.items())
