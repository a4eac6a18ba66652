"""The webhook sink: deliveries of an inbox as signed HTTP requests, in order per key, with retries for a day."""
