"""What is right or wrong without Kafka: pure functions over values, no I/O, no clock, no randomness."""
