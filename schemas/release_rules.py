"""The release rules there are: keep, drop, mask, pseudonym, generalise."""
