"""Grafana dashboards, written by code: ``make dashboards`` writes ``out/*.json``, which Grafana is provisioned with."""
