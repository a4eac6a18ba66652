"""A day in the life of the state: events as the agencies of the example deployment would publish them."""
