"""How soon a command answers: ``python -m benchmarks.commands``.

``hipart-search --help`` and ``hipart-search plan codebook_ablation`` as a person gives them: the
installed command, started as a process, on an empty workspace, until it has ended. Medians, turn
by turn, after one of each that is not counted. Beside them a Python that does nothing. Exit
status 1 where one takes longer than it may.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Line, alternate, parser, report

HELP_S, PLAN_S = 0.3, 1.5


def main() -> int:
    """Time both commands."""
    options = parser(__doc__)
    options.set_defaults(repeats=9)
    chosen = options.parse_args()
    command = str(Path(sys.executable).with_name("hipart-search"))
    with tempfile.TemporaryDirectory() as workspace:
        environment = os.environ | {"HIPART_WORKSPACE": workspace}

        def run(*arguments: str) -> None:
            subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL)

        seconds = alternate(
            {
                "help": lambda: run(command, "--help"),
                "plan": lambda: run(command, "plan", "codebook_ablation"),
                "nothing": lambda: run(sys.executable, "-c", ""),
            },
            chosen.repeats,
        )
    lines = [
        Line("hipart-search --help", "s", seconds["help"], limit=HELP_S),
        Line("hipart-search plan codebook_ablation", "s", seconds["plan"], limit=PLAN_S),
        Line("a Python that does nothing", "s", seconds["nothing"]),
    ]
    notes = [f"medians of {chosen.repeats} processes each, turn by turn"]
    return report("commands", lines, notes, chosen.out)


if __name__ == "__main__":
    sys.exit(main())
