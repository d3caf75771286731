"""A real Redis under the simulation's clock: one server for all runs, emptied before each.

Our scripts run in it as they are, but for some lines put before them, which replace `redis.call`
where it would ask the server's own clock: TIME, ids of stream entries, and keys that expire. These
expire by the simulated time, before the next command; so does whatever blocks (`redis_wire`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha1
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, Final

import redis

from tests.servers.redis_server import RedisServer
from tests.simulation.disk import directory
from tests.simulation.redis_wire import Command

NOW: Final = "simulated:now"  # microseconds, and the milliseconds of the newest stream entry's id
EXPIRY: Final = "simulated:expiry"
IN_MEMORY: Final = "simulated:in-memory"  # keys of what our scripts did not write down

BEFORE: Final = """
local real, redis = redis, setmetatable({}, { __index = redis })
local written_down = true
redis.set_repl = function(where)
  written_down = where == real.REPL_ALL
end
local function simulated_us() return tonumber(real.call('HGET', 'simulated:now', 'us')) end
local function expires(key, ms)
  local at = math.floor(simulated_us() / 1000) + ms
  real.call('ZADD', 'simulated:expiry', string.format('%d', at), key)
end
redis.call = function(name, ...)
  local given = { ... }
  if not written_down then real.call('SADD', 'simulated:in-memory', given[1]) end
  if name == 'TIME' then
    local us = simulated_us()
    return { string.format('%d', math.floor(us / 1000000)), string.format('%d', us % 1000000) }
  elseif name == 'XADD' then
    for i = 2, 4 do
      if given[i] == '*' then given[i] = real.call('HGET', 'simulated:now', 'id') .. '-*' break end
    end
  elseif name == 'SET' and given[3] == 'PX' then
    expires(given[1], tonumber(given[4]))
    return real.call('SET', given[1], given[2])
  elseif name == 'PEXPIRE' then
    expires(given[1], tonumber(given[2]))
    return 1
  elseif name == 'PTTL' then
    local at = real.call('ZSCORE', 'simulated:expiry', given[1])
    return at and tonumber(at) - math.floor(simulated_us() / 1000) or -2
  elseif name == 'DEL' then
    for _, key in ipairs(given) do real.call('ZREM', 'simulated:expiry', key) end
  end
  return real.call(name, unpack(given))
end
redis.pcall = redis.call
"""
TICK: Final = """
redis.call('HSET', KEYS[1], 'us', ARGV[1], 'id', ARGV[2])
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[3])) do
  redis.call('DEL', key)
  redis.call('ZREM', KEYS[2], key)
end
"""


class RealRedis:
    """The engine. Use it in a `with` block."""

    def __init__(self) -> None:
        self._server = RedisServer()
        self._server.data_dir = Path(mkdtemp(prefix="soldout-redis-", dir=directory()))
        self._connection: Any = None
        self._known: dict[str, str] = {}  # hash of a script of ours → hash of what really runs
        self._newest_ms = 0

    def __enter__(self) -> RealRedis:
        self._server.__enter__()
        path = str(Path(self._server.directory) / "socket")
        make: Any = redis.UnixDomainSocketConnection  # whose methods have no types
        self._connection = make(path=path, protocol=2)
        self._connection.connect()
        self._tick = self._ask(("SCRIPT", "LOAD", TICK))[0].decode()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._connection.disconnect()
        self._server.__exit__(None, None, None)
        rmtree(self._server.data_dir)

    def begin(self) -> None:
        self._ask(("FLUSHALL",))
        self._newest_ms = 0

    def save(self) -> object:
        [keys] = self._ask(("KEYS", "*"))
        return {key: self._ask(("DUMP", key))[0] for key in keys}

    def load(self, saved: Any) -> None:
        self._ask(("FLUSHALL",))
        for key, value in saved.items():
            self._ask(("RESTORE", key, 0, value))

    def restart(self, is_lost: Callable[[bytes], bool]) -> None:
        [keys] = self._ask(("SMEMBERS", IN_MEMORY))
        lost = list(filter(is_lost, keys))
        if lost:
            self._ask(("DEL", *lost), ("ZREM", EXPIRY, *lost))

    def execute(
        self, command: Command, now_us: int, then: Sequence[Command] = ()
    ) -> tuple[Any, list[Any]]:
        now_ms = now_us // 1000
        self._newest_ms = max(self._newest_ms, now_ms)
        if command[0] == "SCRIPT":
            return self._load(command[2]), [None] * len(then)
        if command[0] == "TIME":
            time = [str(now_us // 1_000_000).encode(), str(now_us % 1_000_000).encode()]
            return time, [None] * len(then)
        if command[0] == "EVALSHA":
            command = ("EVALSHA", self._known[command[1]], *command[2:])
        tick = ("EVALSHA", self._tick, 2, NOW, EXPIRY, now_us, self._newest_ms, now_ms)
        _, reply, *found = self._ask(tick, command, *then)
        return reply, found

    def _load(self, text: str) -> bytes:
        ours = sha1(text.encode(), usedforsecurity=False).hexdigest()
        if ours not in self._known:
            self._known[ours] = self._ask(("SCRIPT", "LOAD", BEFORE + text))[0].decode()
        return ours.encode()

    def _ask(self, *commands: Command) -> list[Any]:
        self._connection.send_packed_command(self._connection.pack_commands(commands))
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(self._connection.read_response())
            except redis.ResponseError as error:
                replies.append(error)
        return replies
