"""What users write and read: pydantic types, conditions, CRD rendering.

Imports `rollout` values at most, never an adapter.
"""
