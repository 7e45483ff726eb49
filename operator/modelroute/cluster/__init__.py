"""The API server: objects, status, events (one adapter; every call has a timeout)."""
