"""`make demo`: a promotion and a rollback on real parts, told as they happen."""
