"""The pure heart: domain types, splits, checks, the state machine. No I/O, no clock; imports `analysis` only."""
