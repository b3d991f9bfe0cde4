"""What leases and checksums add to a stage job: ``python -m benchmarks.safety``.

Distinct jobs of stages that do nothing, in one process on a store in a folder; in turn as they are,
and with leases that hold nothing, no digests written and none looked at.
"""

import sys
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from statistics import median
from unittest.mock import patch

from benchmarks.harness import Line, parser, report
from benchmarks.overhead import idle_session
from hipart.scheduling.executor import Workplace
from hipart.scheduling.graph import StageGraph
from hipart.scheduling.inline import InlineExecutor
from hipart.session import Session

#: Asked of leases and checksums for one job, in milliseconds.
LIMIT_MS = 2.0


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.add_argument("--jobs", type=int, default=1000, help="distinct stage jobs")
    chosen = options.parse_args()
    whole: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(chosen.repeats + 1):
            place = Path(folder) / f"turn{turn}"
            safe = _ms_of(idle_session(place / "safe", chosen.jobs, workers=1))
            with _unsafe():
                unsafe = _ms_of(idle_session(place / "unsafe", chosen.jobs, workers=1))
            if turn:  # the first warms up
                whole.append(safe)
                bare.append(unsafe)
    added = median(one - other for one, other in zip(whole, bare, strict=True))
    notes = [f"{chosen.jobs} distinct jobs, inline; {chosen.repeats} pairs after a warm-up"]
    lines = [
        Line("leases and checksums, a job", "ms", added, limit=LIMIT_MS),
        Line("a job with them", "ms", median(whole), median(bare), "a job without"),
    ]
    return report("safety", lines, notes, chosen.out)


def _ms_of(session: Session) -> float:
    """Milliseconds a job."""
    session.store.prepare()
    workplace = Workplace(
        session.store.root, None, threads=1, use_gpu=False, stages="benchmarks.idle_stages"
    )
    graph = StageGraph(session.store, InlineExecutor(workplace, lambda _: None), lambda _: None)
    for jobs in session.jobs:
        graph.ensure(jobs)
    start = time.perf_counter()
    graph.run()
    seconds = time.perf_counter() - start
    assert all(node.state == "finished" for node in graph.nodes.values())
    return 1e3 * seconds / len(graph.nodes)


def _unsafe() -> AbstractContextManager[object]:
    """Without what is measured."""
    stack = ExitStack()
    stack.enter_context(patch("hipart.store.leases.Leases.hold", lambda *_: nullcontext()))
    stack.enter_context(patch("hipart.store.store.checksums_of", lambda *_: {}))
    stack.enter_context(patch("hipart.scheduling.upstream._check", lambda *_: None))
    stack.enter_context(patch("hipart.scheduling.worker.check_unchanged", lambda *_: None))
    return stack


if __name__ == "__main__":
    sys.exit(main())
