"""How commands and outcomes cross the borders between processes: as msgpack lists."""

from __future__ import annotations

from typing import Final

import msgspec

from workers.domain import Command, Outcome

encode = msgspec.msgpack.Encoder().encode
decode_commands = msgspec.msgpack.Decoder(list[Command]).decode
decode_outcomes = msgspec.msgpack.Decoder(list[Outcome]).decode
# All that the decoders raise: bad UTF-8 and deep nesting are no DecodeError to msgspec.
GARBAGE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
