"""One tick: observe, decide, persist, act, announce. kopf handlers, settings, and the way from api to domain."""
