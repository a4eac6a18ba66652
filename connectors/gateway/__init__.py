"""The HTTP gateway: systems that do not speak Kafka publish events and fetch their inbox over HTTP."""
