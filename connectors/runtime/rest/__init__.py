"""The runtime's REST API, in the shape of Kafka Connect's (docs/how-to/connectors.md)."""
