"""Alerts after the Common Alerting Protocol, 1.1 and 1.2 (OASIS): from files, feeds and HTTP to typed events."""
