"""Whole messages of others (alerts, health records) taken from a folder or over HTTP: what such sources share."""
