"""Random faults, and what holds after them: ``python -m tests.chaos --faults 200 --seed 1``."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos.storm import Cloud, Storm, finish
from tests.chaos.verdict import Promise, verdict


def main() -> int:
    """Print the faults by kind and every promise; exit status 1 where one is broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--faults", type=int, default=200)
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--folder", type=Path, help="keep everything in this new folder")
    chosen = options.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        promises = chaos(chosen.folder or Path(folder), chosen.faults, chosen.seed)
    return 1 if any(promise.broken for promise in promises) else 0


def chaos(folder: Path, faults: int, seed: int) -> list[Promise]:
    """A storm, a calm run of the same experiments, and what holds."""
    began = time.monotonic()
    stormy, calm = folder / "stormy", folder / "calm"
    for one in (stormy, calm):
        one.mkdir(parents=True)
    storm = Storm(stormy, seed)
    storm.rage(faults)
    cloud = Cloud()
    try:
        for number in range(storm.rounds):
            finish(calm, number, cloud.address)
    finally:
        cloud.drop()
    for kind, count in sorted(storm.faults.items()):
        print(f"{count:5d} {kind}")
    seconds = time.monotonic() - began
    print(f"{storm.faults.total():5d} faults in {storm.rounds} experiments, {seconds:.0f} s")
    promises = verdict(storm, calm)
    for promise in promises:
        print(promise)
    return promises


if __name__ == "__main__":
    sys.exit(main())
