"""What the reading commands say: a configuration, a plan, a difference, the data."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from hipart.experiment.design import arms
from hipart.experiment.file import Ablation
from hipart.experiment.scales import PRESETS
from hipart.pipeline import stage_of
from hipart.report.live import duration
from hipart.scheduling.plan import Plan
from hipart.session import Session, Work
from hipart.store import Artifact, ArtifactStore


def describe_everything(facts: Mapping[str, Any]) -> RenderableType:
    """A row for each experiment and each suite."""
    rows = RichTable(
        "experiment", "what", "source", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for name, one in facts["experiments"].items():
        told = one["source"]
        rows.add_row(name, one["title"], f"{told['paper']}, {told['place']}" if told else "")
    for name, one in facts["suites"].items():
        rows.add_row(f"--suite {name}", f"{one['title']}: {len(one['experiments'])}", "")
    return rows


def describe(session: Session) -> RenderableType:
    """The resolved base configuration, every arm, and parameters per stage."""
    ablation = session.ablation
    settings = _rows("setting", "value")
    for path, value in flat(ablation.base_config.model_dump(mode="json")).items():
        settings.add_row(path, str(value))
    varied = _rows("arm", "changes", "parameters (inference)")
    for arm in arms(ablation):
        changes = ", ".join(f"{path} = {value}" for path, value in arm.changes.items())
        varied.add_row(
            arm.name, changes or "(the base)", f"{_counts(arm.config)['inference_total']:,}"
        )
    seeds = ", ".join(map(str, ablation.seeds))
    return Group(
        Text(f"{ablation.title} ({ablation.name}), scale {ablation.scale}\n", style="bold"),
        settings,
        Text(f"\nArms; seeds {seeds} reach {', '.join(ablation.reseed)}\n", style="bold"),
        varied,
        Text(f"\nParameters of the base, by preset (here: {ablation.preset})\n", style="bold"),
        _parameters(ablation),
    )


def _parameters(ablation: Ablation) -> RichTable:
    """Parameters of every part of the base, a column for each reading of the paper's sizes."""
    rows = _rows("part", *PRESETS)
    written = {name: getattr(ablation, name) for name in Ablation.model_fields}
    counts = [_counts(Ablation(**written | {"preset": name}).base_config) for name in PRESETS]
    for part in counts[0]:
        rows.add_row(part.replace("_", " "), *(f"{count[part]:,}" for count in counts))
    return rows


def _counts(config: Any) -> dict[str, int]:
    from hipart.models.parameters import parameter_counts

    return parameter_counts(config, num_actions=15)


def describe_plan(work: Work, workers: int) -> RenderableType:
    """Jobs by stage as asked, distinct, there and to train, with the cost of the rest."""
    plan = work.plan
    rows = _rows("stage", "asked for", "distinct", "in the store", "to train", "work")
    for column in rows.columns[1:]:
        column.justify = "right"
    for name, stage in plan.stages.items():
        if not stage.asked:
            continue
        cost = "unknown" if stage.seconds is None else duration(stage.seconds)
        rows.add_row(
            name,
            str(stage.asked),
            str(stage.distinct),
            str(stage.ready),
            str(stage.to_train),
            cost if stage.to_train else "",
        )
    totals = [
        sum(getattr(stage, field) for stage in plan.stages.values())
        for field in ("asked", "distinct", "ready", "to_train")
    ]
    rows.add_row("all", *map(str, totals), "", style="bold")
    asked, distinct = totals[:2]
    saved = "nothing is asked for twice"
    if distinct < asked:
        saved = f"{asked / distinct:.2f} times fewer"
    sharing = (
        f"\n{work.trials} trials ask for {asked} stage jobs, of which {distinct} are distinct: "
        f"{saved}."
    )
    title = f"{work.title}, {work.trials} trials\n"
    return Group(Text(title, style="bold"), rows, Text(sharing), Text(_cost(plan, workers)))


def _cost(plan: Plan, workers: int) -> str:
    if not plan.to_train:
        return "Nothing to train: every job is in the store."
    if plan.seconds is None:
        return "Cost unknown: no finished job of this size was measured yet."
    work, wait = duration(plan.seconds), duration(plan.seconds / workers)
    return f"About {work} of work, {wait} on {workers} workers; from {plan.source}."


def difference(
    first: Artifact, second: Artifact, store: ArtifactStore
) -> dict[str, tuple[Any, Any]]:
    """Every value in which two identities differ, followed through what each stands on."""
    one, two = _lineage(first, store), _lineage(second, store)
    return {
        place: (one.get(place), two.get(place))
        for place in sorted(one | two)
        if one.get(place) != two.get(place)
    }


def describe_difference(
    found: Mapping[str, tuple[Any, Any]], first: Artifact, second: Artifact
) -> RenderableType:
    """The same as a table."""
    rows = _rows("place", f"{first.stage}/{first.key[:8]}", f"{second.stage}/{second.key[:8]}")
    for place, values in found.items():
        rows.add_row(place, *("-" if value is None else str(value) for value in values))
    return rows if found else Text("They have the same identity.")


def _lineage(artifact: Artifact, store: ArtifactStore) -> dict[str, Any]:
    """Identity of an artifact and of all that it needs; config values by their dotted path."""
    identity = artifact.identity
    found: dict[str, Any] = {
        "data": identity["data"],
        f"{identity['stage']} version": identity["version"],
        **flat(identity["config"]),
    }
    for name, key in identity["needs"].items():
        if name != stage_of(name):  # as the stage's own job, but for what the name says
            continue
        need = store.find(name, key)
        found |= _lineage(need, store) if need else {f"{name} key": key}
    return found


#: Rows that are shown of one fact.
MOST_ROWS = 30


def describe_data(facts: Mapping[str, Any]) -> RenderableType:
    """Counts of a corpus, one fact a row; both sides of the split in one. Then the baselines."""
    rows = _rows("fact", "value")
    for name, value in facts.items():
        if name not in ("judged_on", "baselines"):
            found = list(_by_side(name.replace("_", " "), value))
            for row in found[:MOST_ROWS]:
                rows.add_row(*row)
            if len(found) > MOST_ROWS:
                rows.add_row("", f"and {len(found) - MOST_ROWS} more; --json has them all")
    title = (
        f"\nDensifiers without training, 96 points from detected joints ({facts['judged_on']})\n"
    )
    return Group(rows, Text(title, style="bold"), _baselines(facts["baselines"]))


def _baselines(found: Mapping[str, Mapping[str, float]]) -> RichTable:
    """A row for each kind of regressor that is fitted in closed form."""
    rows = _rows("densifier", "error px", "within part px")
    for column in rows.columns[1:]:
        column.justify = "right"
    for kind, one in found.items():
        errors = one["fine_error_px"], one["within_part_px"]
        rows.add_row(kind.replace("_", " "), *(f"{error:.1f}" for error in errors))
    return rows


def _by_side(label: str, value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield label, str(value)
    elif any(isinstance(inner, Mapping) for inner in value.values()):
        for name, inner in value.items():
            yield from _by_side(f"{label}: {name}", inner)
    else:
        yield label, ", ".join(f"{found} {side}" for side, found in value.items())


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted paths."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _rows(*columns: str) -> RichTable:
    return RichTable(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
