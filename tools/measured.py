"""Write the timings that a first plan is estimated from: ``python tools/measured.py STORE``.

STORE is the store of a quiet ``hipart-search run codebook_ablation`` at laptop scale, two workers
with a core each. Kept is one job of each stage with seed 0, the base arm's where it has the stage.
"""

import json
import sys
from pathlib import Path

from hipart.data.corpus import fingerprint
from hipart.experiment.design import trials
from hipart.experiment.file import load
from hipart.jobs import StageJob, jobs
from hipart.store import ArtifactStore

OUT = Path(__file__).resolve().parent.parent / "hipart" / "scheduling" / "measured.json"


def main(root: Path) -> None:
    """Collect the base trial's jobs and write them."""
    store = ArtifactStore(root)
    tried = [one for one in trials(load("codebook_ablation", "laptop")) if one.seed == 0]
    data = fingerprint(tried[0].config.data)
    first: dict[str, StageJob] = {}
    for trial in tried:
        first = jobs(trial.config, data, trial.targets) | first
    rows = []
    for job in first.values():
        found = store.find(job.stage, job.key)
        if found is None:
            sys.exit(f"{job.name} is not in {root}")
        rows.append(
            {
                "stage": job.stage,
                "config": found.identity["config"],
                "seconds": round(found.provenance["seconds"], 1),
            }
        )
    OUT.write_text(json.dumps({"jobs": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
