"""The same space searched by Ray Tune alone: ``python -m benchmarks.searching``.

Both draw as many trials with Optuna's TPE from the space of ``quick_search`` and stop them early by
successive halving at the same rungs, with as many workers. Ours is timed from opening the search to
its last trial, with worker start-up and the MLflow mirror; Tune from building its tuner to its last
result. Both find Ray running. Which trials are drawn differs, since results come in other orders.
"""

import sys
import tempfile
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from rich.console import Console

from benchmarks.harness import Line, parser, report
from benchmarks.peer_search import Searched, search_with_tune
from hipart.runtime import Runtime
from hipart.scheduling.ray_start import start_ray
from hipart.search.budget import Limits
from hipart.search.session import SearchSession, open_search
from hipart.search_runner import run_search
from hipart.store import Artifact


def main() -> int:
    """Measure; print the table."""
    options = parser(__doc__)
    options.add_argument("--experiment", default="quick_search")
    options.add_argument("--scale", default="laptop")
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runtime = Runtime(folder / "workspace", folder / "results", workers=chosen.workers)
        start_ray(runtime)
        start = time.time()
        session = open_search(chosen.experiment, chosen.scale, None, runtime)
        trials = session.search.budget.trials
        with (folder / "log").open("w") as log:
            run_search(session, Limits(trials=trials), Console(file=log))
        whole = time.time() - start
        ours = _ours(session, start)
        tune = search_with_tune(
            session.search, session.fingerprint, chosen.workers, folder / "tune"
        )
    what = f"{chosen.experiment}, {trials} trials, {chosen.workers} workers"
    lines = [
        Line(what, "s", ours.seconds, tune.seconds, "Tune"),
        *(
            Line(f"{stage} trainings", "", ours.trained[stage], tune.trained[stage], "Tune")
            for stage in ("tokenizer", "prior", "densify", "lifter")
        ),
        Line("best on validation", "mm", ours.best, tune.best, "Tune"),
    ]
    notes = [
        f"scale {chosen.scale}; trainings of lifters are rungs, each going on from the one before",
        f"with the test split for base and winner, table, figures and MLflow: {whole:.1f} s",
    ]
    return report("searching", lines, notes, chosen.out)


def _ours(session: SearchSession, start: float) -> Searched:
    artifacts = [one for one in session.store.artifacts() if not _on_test(one)]
    trained = Counter(one.stage for one in artifacts)
    seconds = max(_end(one) for one in artifacts) - start
    study = session.open_study()
    best = session.winners(study)[0].values
    assert best is not None
    return Searched(seconds, trained, best[0], len(study.own))


def _on_test(artifact: Artifact) -> bool:
    evaluated = artifact.identity["config"].get("evaluation", {})
    return artifact.stage == "evaluate" and evaluated.get("split") != "validation"


def _end(artifact: Artifact) -> float:
    made = artifact.provenance
    return datetime.fromisoformat(made["started_at"]).timestamp() + float(made["seconds"])


if __name__ == "__main__":
    sys.exit(main())
