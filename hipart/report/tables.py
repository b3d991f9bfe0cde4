"""From an ablation and its results frame to a table, and from a table to files."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import polars as pl

from hipart.experiment.design import Arm, arms
from hipart.experiment.form import Ablation
from hipart.experiment.levels import Factor, label
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.paths import flat
from hipart.pipeline import PIPELINE
from hipart.report import (
    footer,
    locality,
    protocol,
    render_csv,
    render_json,
    render_latex,
    render_markdown,
    render_terminal,
)
from hipart.report.claims import corrected, findings
from hipart.report.effects import effects
from hipart.report.footer import Facts
from hipart.report.model import Column, Content
from hipart.report.rows import rows_of, with_clips
from hipart.sample_errors import SampleErrors

#: All that was measured; the paper's own layout; the metric action by action.
Layout = Literal["full", "paper", "actions"]


class Drawn(NamedTuple):
    """The arms of a search, the base first, with where they stand in its dimensions; and what is to
    be said about the search."""

    arms: Sequence[Arm]
    dimensions: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Table(Content):
    """An ablation's table, in every notation."""

    def terminal(self, notes: bool = True) -> render_terminal.TerminalTable:
        """A Rich renderable; ¹ and ² mark the best means where the console has no styles.

        Without ``notes`` it is caption and rows alone, for a view that is drawn again and again.
        """
        return render_terminal.TerminalTable(self, notes)

    def plain(self, width: int = 80) -> str:
        """The same as text, without control codes."""
        return render_terminal.plain_text(self, width)

    def markdown(self) -> str:
        """GitHub's Markdown."""
        return render_markdown.render(self)

    def latex(self) -> str:
        """A LaTeX table environment that needs booktabs; with graphicx a wide one is scaled."""
        return render_latex.render(self)

    def csv(self) -> str:
        """Full precision, and nothing of when, where or from what store it was made."""
        return render_csv.render(self)

    def json(self) -> str:
        """Everything the table says, by name."""
        return render_json.render(self)


def table(  # noqa: PLR0913 - all but the first three have defaults
    ablation: Ablation,
    frame: pl.DataFrame,
    counts: Mapping[str, int],
    *,
    data: str = "",
    fingerprint: str = "",
    provenance: Iterable[Mapping[str, Any]] = (),
    partial: bool = False,
    layout: Layout = "full",
    errors: Mapping[str, Sequence[SampleErrors]] = MappingProxyType({}),
    drawn: Drawn | None = None,
) -> Table:
    """The table of an ablation: one row per arm, base first, means ranked where all seeds are in.

    Of a search the arms are those that were ``drawn``.

    ``counts`` has the stage jobs "trained" now and "reused". ``partial`` tables are for the live
    view: what is not there yet shows as "…". ``errors`` are the metric's values sample by sample,
    of each arm's trials.
    """
    tried = arms(ablation) if drawn is None else drawn.arms
    columns = _columns(ablation)
    if layout == "actions" or (layout == "paper" and ablation.paper_layout.actions):
        columns = _by_action(columns[0], frame)
    rows = with_clips(rows_of(tried, frame, columns, ablation.metric), errors)
    names = tuple(factor.name for factor in ablation.factors)
    found = effects(names, tried, frame, columns[0].key) if drawn is None else ()
    claims = corrected(findings(ablation.name, ablation.claims, frame))
    facts = Facts(
        data,
        fingerprint,
        counts["trained"],
        counts["reused"],
        tuple(provenance),
        protocol.told(columns, tried),
        protocol.on_paper_corpus(tried),
        locality.told(columns, rows, tried),
    )
    crossed = names if _is_crossed(tried) else ()
    notes = drawn.notes if drawn is not None else ()
    if drawn is not None:
        crossed = drawn.dimensions
    told = footer.lines(
        ablation, facts, rows, found, claims, notes=notes, differences=layout == "full"
    )
    return Table(
        name=ablation.name,
        title=ablation.title,
        paper=ablation.source.paper if ablation.source else "",
        place=ablation.source.place if ablation.source else "",
        columns=columns,
        rows=rows,
        base_levels=base_levels(ablation),
        footer=told,
        partial=partial,
        layout="full" if layout == "full" else "paper",
        side_by_side=ablation.paper_layout.columns,
        effects=found,
        metric=_columns(ablation)[0].title,
        crossed=crossed,
        ranked=drawn is not None,
        paths={one.name: _paths(one) for one in ablation.factors},
    )


def write_all(
    table: Table,
    folder: Path,
    kinds: Sequence[str] = ("curves",),
    by_action: Content | None = None,
    folders: Mapping[str, Mapping[str, Path]] = MappingProxyType({}),
) -> list[Path]:
    """Write the table as CSV, Markdown, LaTeX and JSON, and figures; each file appears whole.

    For the figures that need them: the table by action, and each arm's artifacts by stage.
    """
    from hipart.report import figures

    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "table.csv": table.csv(),
        "table.md": table.markdown(),
        "table.tex": table.latex(),
        "table.json": table.json(),
    }
    for name, text in texts.items():
        part = folder / f".{name}.{os.getpid()}"
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(folder / name)
    return [folder / name for name in texts] + figures.write(
        table, folder / "figures", kinds, by_action, folders
    )


def base_levels(ablation: Ablation) -> dict[str, str]:
    """Where the base stands in each factor: by its own word, or by the value that is varied.

    A factor whose levels are not plain values of one path, and that has no word, is left out.
    """
    standing: dict[str, str] = {}
    for factor in ablation.factors:
        settings = [one for level in factor.levels for one in level.set.items()]
        named = all(
            label(value) == level.name for level in factor.levels for value in level.set.values()
        )
        values = {_value(ablation.base_config, path) for path, _ in settings} if named else {None}
        value = values.pop() if len(values) == 1 else None
        if factor.base or value:
            standing[factor.name] = factor.base or str(value)
    return standing


def _value(config: Any, path: str) -> str | None:
    for name in path.split("."):
        config = getattr(config, name, None)
    return label(config) if isinstance(config, str | int | float) else None


def _columns(ablation: Ablation) -> tuple[Column, ...]:
    metrics = list(dict.fromkeys((ablation.metric, *ablation.also)))
    names = [metric.name for metric in metrics]
    return tuple(_column(metric, unique=names.count(metric.name) == 1) for metric in metrics)


def _column(metric: MetricChoice, unique: bool) -> Column:
    """A metric with the title and unit that its stage declares; ``NAME/ACTION`` takes NAME's."""
    stem, _, action = metric.name.partition("/")
    declared = next(known for known in PIPELINE[metric.stage].metrics if known.name == stem)
    return Column(
        key=f"{metric.stage}/{metric.name}",
        name=metric.name if unique else f"{metric.stage}/{metric.name}",
        title=f"{declared.title}, {action}" if action else declared.title,
        unit=declared.unit,
        goal=metric.goal or declared.goal,
    )


def _paths(factor: Factor) -> tuple[str, ...]:
    """The settings that the levels of a factor change."""
    return tuple(dict.fromkeys(path for level in factor.levels for path in flat(level.set)))


def _is_crossed(tried: Sequence[Arm]) -> bool:
    return any(len(arm.levels) > 1 for arm in tried)


def _by_action(average: Column, frame: pl.DataFrame) -> tuple[Column, ...]:
    """The metric as the paper prints it: action after action, then their mean."""
    stem = f"{average.key}/"
    keys = [name for name in frame.columns if name.startswith(stem)]
    actions = [
        replace(average, key=key, name=key.split("/", 1)[1], title=key.removeprefix(stem))
        for key in keys
    ]
    return (replace(average, title="Avg"), *actions)
