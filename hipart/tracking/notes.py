"""What MLflow shows as the description of an experiment or a run, in Markdown.

Names and values are whatever a user wrote, so every one of them is escaped.
"""

import csv
import io
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.jobs import StageJob
from hipart.markdown import escape

#: What MLflow keeps of a tag.
LENGTH = 8000
STAGES_NOTE = (
    "Every stage job that was ever trained or asked for here, each once, whichever experiments "
    "and arms use it. Filter by `tags.stage = 'tokenizer'`, by the `key` that a trial names in its "
    "tags, or by who uses it: a tag `used_by.EXPERIMENT` names trials."
)
_LEFT_OUT = "*The rest is in `table.md`, among the artifacts.*"


def experiment_note(ablation: Ablation) -> str:
    """What an experiment asks, and after whom."""
    source = ablation.source
    place = f" (after {source.paper}, {source.place})" if source else ""
    return escape(ablation.title + place)


def parent_note(ablation: Ablation, trials: Sequence[Trial], table: str = "") -> str:
    """What was asked, the table in Markdown if there is one, how to go on, what is to be known.

    Of a table that MLflow would not keep, the first rows; then as many of its notes as fit.
    """
    rows = [line for line in table.splitlines() if line.startswith("|")]
    notes = [line for line in table.splitlines() if line.startswith("* ")]
    metric = ablation.metric
    arms = len({trial.arm.name for trial in trials})
    head = (
        f"**{experiment_note(ablation)}**\n\n{len(trials)} trials of {arms} arms, compared by "
        f"`{metric.stage}/{metric.name}`. Each child run is a trial, under `{metric.name}` with "
        "its result; the runs of its stages are in the experiment `stages`, under the keys in its "
        "tags. Figures, tables and the page `report.html` are among the artifacts."
    )
    go_on = f"Finished jobs are never trained again:\n\n```sh\n{_commands(ablation)}\n```"
    room = LENGTH - len(head) - len(go_on) - 6  # three blank lines between
    shown = _fitting(rows, room)
    parts = [head, shown, go_on, _fitting(notes, room - len(shown))]
    return "\n\n".join(part for part in parts if part)


def trial_note(ablation: Ablation, trial: Trial, jobs: Mapping[str, StageJob]) -> str:
    """What makes a trial another one than the base, and where its stages are."""
    arm = trial.arm
    changes = [f"* {escape(f'{path}: {value}')}" for path, value in arm.changes.items()]
    stages = [f"* `{job.name}`" for job in jobs.values()]
    head = f"**{escape(trial_name(trial))}** of {escape(ablation.title)}."
    changed = (
        ["Changed from the base:", "", *changes] if changes else ["The base: nothing changed."]
    )
    text = "\n".join([head, "", *changed, "", "Its stages, as `hipart-search explain` takes them:"])
    return f"{text[: LENGTH // 2]}\n\n{_fitting(stages, LENGTH // 2)}"


def logged_table(text: str) -> str:
    """A table in CSV as MLflow's pages take one."""
    header, *rows = csv.reader(io.StringIO(text))
    data = [[_value(cell) for cell in row] for row in rows]
    return json.dumps({"columns": header, "data": data})


def trial_name(trial: Trial) -> str:
    """A trial as a person would name it."""
    return f"{trial.arm.name.replace('=', ' ')}, seed {trial.seed}"


def told(names: Iterable[str], most: int) -> str:
    """The first of these names, and how many more there are."""
    every = list(names)
    rest = f" and {len(every) - most} more" if len(every) > most else ""
    return "; ".join(every[:most]) + rest


def _value(cell: str) -> float | str:
    try:
        value = float(cell)
    except ValueError:
        return cell
    return value if math.isfinite(value) else cell


def _commands(ablation: Ablation) -> str:
    """What a shell takes; on lines of its own, so that no name can end the block."""
    name = " ".join(shlex.quote(ablation.name).split())
    where = f"{name} --scale {ablation.scale} --preset {ablation.preset}"
    return "\n".join(
        [
            f"hipart-search run {where}  # goes on, and brings this page up to date",
            f"hipart-search table {where} --format latex",
            f"hipart-search export {where} --best {ablation.metric.name} --out best --register",
        ]
    )


def _fitting(lines: Sequence[str], room: int) -> str:
    """As many whole lines as there is room for, and a word on the others."""
    if len("\n".join(lines)) <= room:
        return "\n".join(lines)
    kept: list[str] = []
    left = room - len(_LEFT_OUT) - 2
    for line in lines:
        left -= len(line) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join([*kept, "", _LEFT_OUT] if room > len(_LEFT_OUT) + 2 else [])
