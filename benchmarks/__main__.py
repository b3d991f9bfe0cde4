"""Every benchmark, one after another: ``python -m benchmarks`` (``make bench``).

Names choose some of them: ``python -m benchmarks planning``. Exit status 1 where a line does not
hold. Each runs in a process of its own, so that none leaves anything behind for the next.
"""

import argparse
import subprocess
import sys

#: In the order in which they run; ``python -m benchmarks.NAME --help`` says what each measures.
BENCHMARKS = (
    "commands",
    "planning",
    "tables",
    "overhead",
    "safety",
    "generation",
    "floors",
    "trial",
    "grid",
    "unshared",
    "searching",
    "preparing",
    "importing",
    "learning",
    "learning_speed",
)


def main() -> int:
    """Run them; list those that do not hold."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = options.parse_args().names or BENCHMARKS
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        options.error(f"no benchmark is called {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    failed = [
        name
        for name in names
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
    ]
    print(f"\nDOES NOT HOLD: {', '.join(failed)}" if failed else "\nall hold")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
