"""The runtime that keeps connectors alive: it starts, watches, restarts them and keeps their progress on the bus."""
