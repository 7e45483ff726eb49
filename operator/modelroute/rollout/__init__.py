"""The pure heart: domain types, split arithmetic, guards, the state machine. No I/O, no clock; imports `analysis` only."""
