"""Which ledger this is: written once, by the first event that is put, and compared ever after."""

from __future__ import annotations

import secrets
import uuid
from typing import Final

import msgspec
from msgspec import Struct

from workers.errors import BootFailed
from workers.hearts import wall_ms

SCHEMA_VERSION: Final = 1


class Identity(Struct, frozen=True):
    """The value of the key `soldout:ledger`. `ready` once every shard knows its ledger's id."""

    id: str
    secret: str  # hex; order ids are made from idempotency keys with it
    shards: int
    created_at_ms: int
    schema: int = SCHEMA_VERSION
    ready: bool = False

    @classmethod
    def new(cls, shards: int) -> Identity:
        """Return an identity that nobody has yet."""
        return cls(str(uuid.uuid4()), secrets.token_hex(32), shards, wall_ms())


def read_identity(text: bytes) -> Identity:
    """Read what a Redis holds. Raises BootFailed if this soldout does not know it."""
    try:
        identity = msgspec.json.decode(text, type=Identity)
    except msgspec.DecodeError as error:
        raise BootFailed(f"what Redis holds is no soldout ledger: {error}") from error
    if identity.schema != SCHEMA_VERSION:
        raise BootFailed(
            f"the ledger in Redis has schema version {identity.schema};"
            f" this soldout knows {SCHEMA_VERSION}"
        )
    return identity
