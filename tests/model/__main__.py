"""`make model`: checks the models in all sizes and with all planted bugs, a line for each."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap

from tests.model.checks import AT_ONCE, PLANTED, SOUND, Planted, Sound
from tests.model.spin import MissingProgram, Verdict


def main() -> int:
    """Check everything; return 1 if anything is not as it must be."""
    good = True
    for line, as_it_must_be in _checked():
        print(line, flush=True)  # noqa: T201 - it is a command
        good = good and as_it_must_be
    return 0 if good else 1


def _checked() -> Iterator[tuple[str, bool]]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        sound = pool.map(Sound.run, SOUND)
        planted = pool.map(Planted.run, PLANTED)
        yield from starmap(_tell_sound, zip(SOUND, sound, strict=True))
        yield from starmap(_tell_planted, zip(PLANTED, planted, strict=True))


def _tell_sound(sound: Sound, found: Verdict) -> tuple[str, bool]:
    errors = f"1, {found.error}, after {found.steps} steps" if found.error else "0"
    searched = f"{found.states:,} states, depth {found.depth}, {found.seconds:.1f} s"
    line = f"{sound.name}: {searched}, {found.memory_mb:.0f} MB, errors: {errors}"
    return line, found.error is None


def _tell_planted(planted: Planted, found: Verdict) -> tuple[str, bool]:
    is_it = found.error is not None and planted.breaks in found.error
    what = f"{'found' if is_it else 'NOT FOUND'} after {found.steps} steps: {found.error}"
    return f"planted in {planted.model}: {planted.name}: {what}", is_it


if __name__ == "__main__":
    try:
        sys.exit(main())
    except MissingProgram as missing:
        sys.exit(str(missing))
