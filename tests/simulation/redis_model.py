"""A model of Redis: the commands that the product uses, as Redis' documentation says, in memory.

Its scripts run in a real Lua 5.1 (`lupa`), as in Redis. It is some times as fast as a real server,
and checked by it: on the same seeds both must give the same trace (`test_simulation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from hashlib import sha1
from typing import Any

import redis.exceptions
from lupa.lua51 import LuaRuntime, lua_type

from tests.simulation.redis_wire import Command
from tests.simulation.scheduler import sim

Id = tuple[int, int]


class Stream:
    """Entries in the order of their ids."""

    def __init__(self) -> None:
        self.entries: list[tuple[Id, list[bytes]]] = []
        self.last: Id = (0, 0)


class RedisModel:
    """The engine."""

    def __init__(self) -> None:
        self._lua = LuaRuntime(encoding=None, unpack_returned_tuples=False)
        self._scripts: dict[str, Any] = {}
        self._lua.execute(
            b"redis = { REPL_ALL = true, REPL_NONE = false }"
            b" function redis.error_reply(text) return { err = text } end"
            b" function redis.acl_check_cmd() return true end"
        )
        for name in (b"call", b"pcall"):  # keys have the types that they should have
            self._lua.globals().redis[name] = self._call
        self._lua.globals().redis[b"set_repl"] = self._set_repl
        self.begin()

    def begin(self) -> None:
        self._data: dict[bytes, Any] = {}
        self._expiry: dict[bytes, int] = {}
        self._now_us = 0
        self._newest_ms = 0
        self._taken_off = self._answered = 0  # frames
        self._filled: set[bytes] = set()  # keys where something came that others may wait for
        self._written_down = True  # what the script writes
        self._in_memory: set[bytes] = set()  # keys of what was not

    def save(self) -> object:
        return deepcopy((self._data, self._expiry))

    def load(self, saved: Any) -> None:
        self._data, self._expiry = deepcopy(saved)

    def restart(self, is_lost: Callable[[bytes], bool]) -> None:
        for key in filter(is_lost, self._in_memory):
            self._remove(key)

    def execute(
        self, command: Command, now_us: int, then: Sequence[Command] = ()
    ) -> tuple[Any, list[Any]]:
        self._now_us = now_us
        now_ms = now_us // 1000
        self._newest_ms = max(self._newest_ms, now_ms)
        for key in [key for key, at_ms in self._expiry.items() if at_ms <= now_ms]:
            self._remove(key)
        name = str(command[0])
        if name == "EVALSHA":
            reply = self._run(command)
            if self._taken_off > self._answered:
                sim().fail("a frame was taken off the stream and not answered")
        elif name == "SCRIPT":
            reply = self._load(command[2])
        else:
            reply = self._do(command)
        filled, self._filled = self._filled, set()
        return reply, [to_bytes(keys_of(look)) in filled and self._do(look) for look in then]

    # --- scripts ---

    def _load(self, text: str) -> bytes:
        sha = sha1(text.encode(), usedforsecurity=False).hexdigest()
        if sha not in self._scripts:
            code = f"return function(KEYS, ARGV) {text}\nend"
            self._scripts[sha] = self._lua.execute(code.encode())
        return sha.encode()

    def _run(self, command: Command) -> Any:
        count = int(command[2])
        given = [to_bytes(value) for value in command[3:]]
        table = self._lua.table_from
        self._written_down = True
        return self._from_lua(self._scripts[command[1]](table(given[:count]), table(given[count:])))

    def _set_repl(self, written_down: bool) -> None:
        self._written_down = written_down

    def _call(self, name: bytes, *given: Any) -> Any:
        if not self._written_down:
            self._in_memory.add(to_bytes(given[0]))
        return self._to_lua(self._do((name.decode(), *given)))

    def _to_lua(self, value: Any) -> Any:
        if value is None:
            return False
        if isinstance(value, list):
            return self._lua.table_from([self._to_lua(item) for item in value])
        return value

    def _from_lua(self, value: Any) -> Any:
        if value is False:
            return None
        if value is True:
            return 1
        if isinstance(value, float):
            return int(value)
        if lua_type(value) == "table":
            if value[b"err"] is not None:
                return redis.exceptions.ResponseError(value[b"err"].decode())
            items, at = [], 1
            while value[at] is not None:
                items.append(self._from_lua(value[at]))
                at += 1
            return items
        return value

    # --- commands ---

    def _do(self, command: Command) -> Any:
        method: Callable[..., Any] = getattr(self, f"_{command[0].lower()}")
        return method(*map(to_bytes, command[1:]))

    def _remove(self, key: bytes) -> int:
        self._expiry.pop(key, None)
        return int(self._data.pop(key, None) is not None)

    def _kept(self, key: bytes) -> None:
        """Remove what became empty, as Redis does, streams apart."""
        if not self._data[key]:
            self._remove(key)

    def _time(self) -> list[bytes]:
        return [b"%d" % (self._now_us // 1_000_000), b"%d" % (self._now_us % 1_000_000)]

    def _info(self, section: bytes) -> bytes:  # noqa: ARG002
        return b"redis_version:7.0.15\r\n"

    def _config(self, _get: bytes, *names: bytes) -> list[bytes]:
        values = {
            b"appendonly": b"yes",
            b"appendfsync": b"always",
            b"no-appendfsync-on-rewrite": b"no",
            b"maxmemory-policy": b"noeviction",
        }
        return [text for name in names for text in (name, values[name])]

    def _get(self, key: bytes) -> Any:
        return self._data.get(key)

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bytes | None:
        if b"NX" in options and key in self._data:
            return None
        self._remove(key)
        self._data[key] = value
        if b"PX" in options:
            self._pexpire(key, options[options.index(b"PX") + 1])
        return b"OK"

    def _del(self, *keys: bytes) -> int:
        return sum(self._remove(key) for key in keys)

    def _exists(self, key: bytes) -> int:
        return int(key in self._data)

    def _pexpire(self, key: bytes, ms: bytes) -> int:
        if key not in self._data:
            return 0
        self._expiry[key] = self._now_us // 1000 + int(ms)
        return 1

    def _pttl(self, key: bytes) -> int:
        if key not in self._data:
            return -2
        return self._expiry[key] - self._now_us // 1000 if key in self._expiry else -1

    def _hget(self, key: bytes, name: bytes) -> Any:
        return self._data.get(key, {}).get(name)

    def _hmget(self, key: bytes, *names: bytes) -> list[Any]:
        return [self._hget(key, name) for name in names]

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        found = self._data.setdefault(key, {})
        new = len(set(pairs[::2]) - found.keys())
        found.update(zip(pairs[::2], pairs[1::2], strict=True))
        return new

    def _hsetnx(self, key: bytes, name: bytes, value: bytes) -> int:
        return 0 if self._hexists(key, name) else self._hset(key, name, value)

    def _hexists(self, key: bytes, name: bytes) -> int:
        return int(name in self._data.get(key, {}))

    def _hincrby(self, key: bytes, name: bytes, by: bytes) -> int:
        value = int(self._hget(key, name) or 0) + int(by)
        self._hset(key, name, b"%d" % value)
        return value

    def _hdel(self, key: bytes, *names: bytes) -> int:
        found = self._data.get(key, {})
        gone = sum(found.pop(name, None) is not None for name in names)
        if key in self._data:
            self._kept(key)
        return gone

    def _hvals(self, key: bytes) -> list[bytes]:
        return list(self._data.get(key, {}).values())

    def _hgetall(self, key: bytes) -> list[bytes]:
        return [text for pair in self._data.get(key, {}).items() for text in pair]

    def _llen(self, key: bytes) -> int:
        return len(self._data.get(key, ()))

    def _lpush(self, key: bytes, *values: bytes) -> int:
        self._filled.add(key)
        found = self._data.setdefault(key, [])
        found[:0] = reversed(values)
        return len(found)

    def _rpush(self, key: bytes, *values: bytes) -> int:
        found = self._data.setdefault(key, [])
        found.extend(values)
        return len(found)

    def _lpop(self, key: bytes) -> bytes | None:
        if key not in self._data:
            return None
        value: bytes = self._data[key].pop(0)
        self._kept(key)
        return value

    def _lrange(self, key: bytes, first: bytes, last: bytes) -> list[bytes]:
        found: list[bytes] = self._data.get(key, [])
        end = int(last) + 1 if int(last) >= 0 else len(found) + int(last) + 1
        return found[int(first) : end]

    # --- streams ---

    def _stream(self, key: bytes) -> Stream:
        found: Stream = self._data.get(key) or Stream()
        return found

    def _xadd(self, key: bytes, *given: bytes) -> bytes:
        stream = self._data.setdefault(key, Stream())
        most = None
        if given[0] == b"MAXLEN":
            most, given = int(given[1]), given[2:]
        self._filled.add(key)
        self._answered += b":answers:" in key
        ms = max(self._newest_ms, stream.last[0])
        stream.last = (ms, stream.last[1] + 1 if ms == stream.last[0] else 0)
        stream.entries.append((stream.last, list(given[1:])))
        if most is not None:
            del stream.entries[: max(0, len(stream.entries) - most)]
        return shown_id(stream.last)

    def _xlen(self, key: bytes) -> int:
        return len(self._stream(key).entries)

    def _xrange(self, key: bytes, first: bytes, last: bytes, *count: bytes) -> list[Any]:
        if last != b"+":
            raise NotImplementedError(last)
        after, exclusive = to_id(first.removeprefix(b"(")), first.startswith(b"(")
        found = [
            [shown_id(number), list(fields)]
            for number, fields in self._stream(key).entries
            if number > after or (number == after and not exclusive)
        ]
        return found[: int(count[1])] if count else found

    def _xread(self, _streams: bytes, key: bytes, seen: bytes) -> Any:
        found = self._xrange(key, b"(" + seen, b"+")
        return [[key, found]] if found else None

    def _xtrim(self, key: bytes, _minid: bytes, first: bytes) -> int:
        stream = self._stream(key)
        before = len(stream.entries)
        if key.endswith(b":commands"):
            self._taken_off += sum(entry[0] < to_id(first) for entry in stream.entries)
        stream.entries = [entry for entry in stream.entries if entry[0] >= to_id(first)]
        return before - len(stream.entries)


def keys_of(look: Command) -> str:
    """Return the key that a look is at."""
    return str(look[-1] if look[0] == "LLEN" else look[-2])


def to_bytes(value: Any) -> bytes:
    """Write an argument as the protocol does; Lua's numbers as Redis does."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    return str(int(value)).encode() if value == int(value) else str(value).encode()


def to_id(text: bytes) -> Id:
    """Read the id of a stream's entry."""
    if text == b"-":
        return (0, 0)
    ms, _, sequence = text.partition(b"-")
    return int(ms), int(sequence or 0)


def shown_id(number: Id) -> bytes:
    """Write the id of a stream's entry."""
    return b"%d-%d" % number
