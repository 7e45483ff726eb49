"""One tick: observe, decide, persist, act, announce. kopf handlers, settings, and the way between api and domain types."""
