"""Leadstream: real-time lead intelligence on Kafka."""
