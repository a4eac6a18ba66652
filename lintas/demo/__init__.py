"""The demonstration: a day published, waited for, counted from topics and audit records, and told in tables."""
