"""What the reading commands say of a search: its space, and what it will probably cost."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from hipart.experiment.dimension import Dimension
from hipart.report.description import flat
from hipart.report.live import duration
from hipart.search.session import SearchSession


def describe_search(session: SearchSession) -> RenderableType:
    """The space around the resolved base configuration, and how it is searched."""
    search = session.search
    varied = _rows("dimension", "values", "exists where", "path")
    for one in search.dimensions:
        where = ", ".join(f"{name} is {' or '.join(some)}" for name, some in one.when.items())
        varied.add_row(one.name, extent(one), where, one.path or "")
    settings = _rows("setting", "value")
    for path, value in flat(search.base_config.model_dump(mode="json")).items():
        settings.add_row(path, str(value))
    size = search.space.size
    told = [
        f"{f'{size:,}' if size else 'Endlessly many'} points; sampler {search.sampler.kind}, seed "
        f"{search.sampler.seed}",
        "objectives: "
        + ", ".join(f"{one.stage}/{one.name} ({one.goal})" for one in search.objectives),
    ]
    unit, everything = search.base_config.lifter.length
    if search.stopping and len(search.rungs) == 1:
        told.append(
            f"{search.stopping.kind} never stops anything here: {everything} {unit} are one rung"
        )
    elif search.stopping:
        told.append(
            f"{search.stopping.kind} after {', '.join(map(str, search.rungs[:-1]))} of "
            f"{everything} {unit} of the lifter"
        )
    told += [f"only if {one.said}" for one in search.constraints]
    return Group(
        Text(f"{search.title} ({search.name}), scale {search.scale}\n", style="bold"),
        varied,
        Text("\n" + "\n".join(told)),
        Text("\nThe base\n", style="bold"),
        settings,
    )


def extent(dimension: Dimension) -> str:
    """The values of a dimension in words."""
    if dimension.levels is not None:
        return ", ".join(dimension.names)
    assert dimension.range is not None
    low, high = dimension.range
    step = f", in steps of {dimension.step:g}" if dimension.step else ""
    return f"{low:g} to {high:g}{step}{', by its logarithm' if dimension.log else ''}"


def describe_search_plan(facts: Mapping[str, Any]) -> RenderableType:
    """What ``facts.of_search_plan`` found, for a person."""
    title = Text(f"{facts['name']}, scale {facts['scale']}\n", style="bold")
    if facts["work_s"] is None:
        return Group(title, Text("Cost unknown: no finished job of this size was measured yet."))
    lines = [
        counted(facts["trials"], facts["stages"]),
        f"About {duration(facts['work_s'])} of work, {duration(facts['wait_s'])} on "
        f"{facts['workers']} workers; durations from {facts['source']}.",
        "From a simulated run: which trials are drawn and stopped depends on results, and those "
        "were made up.",
        f"It ended: {facts['ended']}.",
    ]
    lines += [
        f"No {stage} like these was measured yet: {seconds:g} s were assumed for each."
        for stage, seconds in facts["assumed"].items()
    ]
    return Group(title, Text("\n".join(lines)))


def counted(trials: Mapping[str, int], stages: Mapping[str, int]) -> str:
    """Trials by what became of them, and stage jobs by stage, in a line."""
    states = ", ".join(f"{count} {state}" for state, count in trials.items())
    jobs = ", ".join(f"{count} {stage}" for stage, count in stages.items())
    if not trials:
        return f"No trials; stage jobs: {jobs or 'none'}."
    return f"{sum(trials.values())} trials ({states}); stage jobs: {jobs}."


def _rows(*columns: str) -> RichTable:
    return RichTable(*columns, box=None, header_style="dim", padding=(0, 2, 0, 0))
