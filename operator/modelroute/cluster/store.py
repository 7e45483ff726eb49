"""Objects of one kind, for adapters that need no other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelroute.cluster.client import Json, Kind, Objects


@dataclass(frozen=True, slots=True)
class KindStore:
    """`Objects` bound to one kind."""

    objects: Objects
    kind: Kind

    async def get(self, namespace: str, name: str) -> Json | None:
        return await self.objects.get(self.kind, namespace, name)

    async def list(self, namespace: str, *, labels: str) -> list[Json]:
        return await self.objects.list(self.kind, namespace, labels=labels)

    async def create(self, namespace: str, body: Json) -> Json:
        return await self.objects.create(self.kind, namespace, body)

    async def apply(self, namespace: str, name: str, body: Json) -> Json:
        return await self.objects.apply(self.kind, namespace, name, body)

    async def replace(self, namespace: str, name: str, body: Json) -> Json:
        return await self.objects.replace(self.kind, namespace, name, body)

    async def replace_status(self, namespace: str, name: str, body: Json) -> Json:
        return await self.objects.replace_status(self.kind, namespace, name, body)

    async def json_patch(self, namespace: str, name: str, operations: Sequence[Json]) -> Json:
        return await self.objects.json_patch(self.kind, namespace, name, operations)

    async def delete(self, namespace: str, name: str, *, uid: str, version: str | None = None) -> None:
        await self.objects.delete(self.kind, namespace, name, uid=uid, version=version)
