"""Whether the stages learn, and what each setting does for it: ``python -m benchmarks.learning``.

The laptop scale as it is, then with each cause of 0.1's errors put back alone, then 0.1 itself:
how well the tokenizer rebuilds, whether a token stands for its part (locality), how far generated
points are off. Everything goes through the product's own jobs, so what rows share is trained once;
stages are measured on validation. Densifiers without tokens stand below, where there are any.

``--paper-codebooks`` does something else, which takes a quarter of an hour: how much of the
paper's two codebooks is used after 500 steps of its tokenizer.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.harness import Line, parser, report
from hipart.config import PipelineConfig
from hipart.data.corpus import fingerprint
from hipart.experiment.errors import ExperimentError
from hipart.experiment.file import base_at_scale
from hipart.experiment.paths import with_changes
from hipart.experiment.scales import SCALES
from hipart.jobs import StageJob, jobs
from hipart.scheduling.executor import Workplace
from hipart.scheduling.worker import run_job
from hipart.store import ArtifactStore

#: What a row sets back, each alone: setting -> value of 0.1.
CAUSES: dict[str, dict[str, Any]] = {
    "coordinates screen": {"data.coordinates": "screen"},
    "joint_init random": {"tokenizer.joint_init": "random"},
    "codebook init normal": {
        "tokenizer.sparse_codebook.init": "normal",
        "tokenizer.dense_codebook.init": "normal",
    },
    "conditioning start": {"prior.conditioning": "start"},
    "decode argmax": {"densify.decode": "argmax"},
}
BASE, SHIPPED = "laptop", "as 0.1 shipped"
#: Densifiers without tokens; a kind that this version does not have is left out.
REGRESSORS = ("joint_offset", "linear")

#: Column of the table -> stage and metric.
COLUMNS: dict[str, tuple[str, str]] = {
    "rebuilt px": ("tokenizer", "fine_reconstruction_px"),
    "rebuilt within parts px": ("tokenizer", "fine_within_part_px"),
    "dense usage %": ("tokenizer", "dense_usage_pct"),
    "locality": ("probe", "locality"),
    "generated px": ("densify", "fine_error_px"),
    "generated within parts px": ("densify", "fine_within_part_px"),
}
OF_REGRESSORS: dict[str, tuple[str, str]] = {
    "generated px": ("regressor", "fine_error_px"),
    "generated within parts px": ("regressor", "fine_within_part_px"),
}

Row = dict[str, float]


@dataclass(frozen=True)
class Bound:
    """How many times worse a row is to be than the laptop scale, in one column."""

    row: str
    column: str
    times: float


@contextmanager
def workplace(store: Path | None) -> Iterator[Workplace]:
    """Where jobs run: one thread, in a store that stays where it is given one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(store or Path(folder) / "store", None, threads=1, use_gpu=False)
        ArtifactStore(place.store).prepare()
        yield place


def configs(seed: int) -> dict[str, PipelineConfig]:
    """The configuration of every row with tokens."""
    base = base_at_scale("laptop")
    held_out = {"data.validation_samples": base.data.validation_samples}
    rows = {BASE: base}
    rows |= {name: with_changes(base, changes) for name, changes in CAUSES.items()}
    rows["all of these"] = with_changes(base, _together(CAUSES.values()))
    rows[SHIPPED] = with_changes(base_at_scale("laptop-v1"), held_out)
    return {name: _seeded(config, seed) for name, config in rows.items()}


def baselines(seed: int) -> dict[str, PipelineConfig]:
    """The same of densifiers without tokens, as far as there are any."""
    base, found = _seeded(base_at_scale("laptop"), seed), {}
    for kind in REGRESSORS:
        try:
            found[kind] = with_changes(base, {"regressor.model.kind": kind})
        except ExperimentError:
            continue
    return found


def measure(
    config: PipelineConfig, columns: Mapping[str, tuple[str, str]], place: Workplace
) -> Row:
    """The columns of a row; what the store has is not trained again."""
    wanted = {stage for stage, _ in columns.values()}
    needed = jobs(config, fingerprint(config.data), sorted(wanted))
    metrics = {name: _run(job, place) for name, job in needed.items()}
    return {column: metrics[stage][name] for column, (stage, name) in columns.items()}


def table(seeds: int, place: Workplace) -> dict[str, Row]:
    """Every row, mean over the seeds."""
    rows: dict[str, list[Row]] = {}
    for seed in range(seeds):
        for name, config in configs(seed).items():
            rows.setdefault(name, []).append(measure(config, COLUMNS, place))
            print(f"  seed {seed}, {name}: {_written(rows[name][-1])}", flush=True)
        for name, config in baselines(seed).items():
            rows.setdefault(name, []).append(measure(config, OF_REGRESSORS, place))
            print(f"  seed {seed}, {name}: {_written(rows[name][-1])}", flush=True)
    return {
        name: {column: mean(row[column] for row in found) for column in found[0]}
        for name, found in rows.items()
    }


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--seeds", type=int, default=1)
    options.add_argument("--store", type=Path, help="keep what is trained in this folder")
    chosen = options.parse_args()
    with workplace(chosen.store) as place:
        rows = table(chosen.seeds, place)
    return 0


def _run(job: StageJob, place: Workplace) -> dict[str, float]:
    return run_job(job, place, lambda *_: None).metrics


def _together(changes: Any) -> dict[str, Any]:
    return {path: value for one in changes for path, value in one.items()}


def _seeded(config: PipelineConfig, seed: int) -> PipelineConfig:
    return with_changes(config, {f"{stage}.seed": seed for stage in ("tokenizer", "prior", "regressor")})


def _written(row: Row) -> str:
    return ", ".join(f"{column} {value:.2f}" for column, value in row.items())


if __name__ == "__main__":
    sys.exit(main())
