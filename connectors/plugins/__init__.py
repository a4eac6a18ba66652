"""The kinds of connectors, one file or folder each: how systems plug in without a Kafka client."""
