"""`make model`: checks the models in all sizes and with all planted bugs, a line for each."""

from __future__ import annotations

import sys

from tests.model.checks import PLANTED, SOUND
from tests.model.spin import MissingProgram


def main(only: str) -> int:
    """Check what has `only` in its name; return 1 if anything is not as it must be."""
    failed = 0
    for sound in SOUND:
        if only in sound.name:
            found = sound.run()
            failed += found.error is not None
            print(
                f"{sound.name}: {found.states} states, depth {found.depth},"
                f" {found.seconds:.1f} s, {found.memory_mb:.0f} MB,"
                f" errors: {f'1, {found.error}, after {found.steps}' if found.error else 0}"
            )
    for planted in PLANTED:
        if only in planted.name:
            found = planted.run()
            as_expected = found.error is not None and planted.breaks in found.error
            failed += not as_expected
            what = "found" if as_expected else "NOT FOUND"
            print(
                f"planted, {planted.model}: {planted.name}: {what}, {found.error},"
                f" after {found.steps} steps"
            )
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(" ".join(sys.argv[1:])))
    except MissingProgram as missing:
        sys.exit(str(missing))
