"""Apache Kafka on loopback, for tests, bench and development: `python -m tests.kafka` (deploy/kafka/README.md)."""

from tests.kafka.cluster import Kafka
from tests.kafka.install import KafkaError, why_not
from tests.kafka.properties import Security

__all__ = ["Kafka", "KafkaError", "Security", "why_not"]
