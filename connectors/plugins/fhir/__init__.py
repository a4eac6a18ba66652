"""Health records: transaction Bundles of FHIR R4, as SATUSEHAT exchanges them, to typed events."""
