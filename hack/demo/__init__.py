"""`make demo`: a promotion and three rollbacks on real parts, told as they happen."""
