"""The HTTPRoute: rendering and comparing it (pure), reading and writing it (one adapter)."""
