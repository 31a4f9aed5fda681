"""The engine: lanes over Faust and Kafka, a chunk at a time. It knows bytes, not leads."""
