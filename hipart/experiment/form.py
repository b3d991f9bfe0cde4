"""The form of an experiment file: what may be written in it, and what it is at a scale."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hipart.config import PipelineConfig, Section, Seed
from hipart.experiment.errors import ExperimentError, Place
from hipart.experiment.levels import Changes, Combination, Factor, Level
from hipart.experiment.metrics import MetricChoice, Published
from hipart.experiment.paths import Changer, flat, with_changes
from hipart.experiment.scales import CORPORA, PRESETS, SCALES, section_name, section_of
from hipart.experiment.texts import Name, Text
from hipart.pipeline import PIPELINE, SIDE_STAGES, needs_of

#: Sections of the config that have a seed, and so can be reached by one.
SEEDED = tuple(
    name
    for name, field in PipelineConfig.model_fields.items()
    if "seed" in getattr(field.annotation, "model_fields", ())
)

#: ``curves`` over the levels of each factor; ``actions``, bars for every action; ``tradeoff``
#: against parameters and speed; ``similarity`` of codes and ``substructure`` of tokens, which need
#: the stage probe; ``examples``, poses to look at.
FigureKind = Literal["curves", "actions", "tradeoff", "similarity", "substructure", "examples"]


class Source(Section):
    """What is reproduced."""

    paper: Text
    place: Text


class PaperLayout(Section):
    """The paper's own layout, for ``--layout paper``.

    Arms as rows and metrics as columns; with ``columns`` the levels of that factor stand side by
    side; with ``actions`` the metric's value for every action does.
    """

    columns: Text | None = None
    actions: bool = False


class Claim(Section):
    """What the paper says of two arms: that ``better`` is better than ``worse`` in a metric."""

    says: Text
    place: Text
    better: Text
    worse: Text
    #: The experiment's own metric where it is not given.
    metric: MetricChoice | None = None


class AtScale(Section):
    """What is different at one scale. ``levels`` maps a factor's name to the values that replace
    its own, or to the names of the levels that stay; an empty list rests the factor. ``sets`` maps
    the name of a level or an arm to what it changes besides. ``names`` and ``says`` give what is
    something else at this scale a name that is true there: all else in the file keeps the name as
    written."""

    base: Changes = {}
    seeds: Annotated[tuple[Seed, ...] | None, Field(strict=False, min_length=1)] = None
    levels: dict[str, list[Any]] = {}
    sets: dict[str, Changes] = {}
    #: The written name of a factor's base, of a level or an arm -> what it is called here. What is
    #: called otherwise, or stands at such a base, has no published value here.
    names: dict[str, Name] = {}
    #: What a claim says as written -> what it says here.
    says: dict[str, Text] = {}
    #: Arms that stand beside the others at this scale alone.
    arms: Annotated[tuple[Level, ...], Field(strict=False)] = ()


class Written(Section):
    """An experiment file, key by key."""

    kind: Literal["ablation"]
    title: Text
    source: Source | None = None
    preset: str | None = None
    base: Changes = {}
    published: Published | None = None
    design: Literal["one_at_a_time", "factorial", "arms"]
    factors: Annotated[tuple[Factor, ...], Field(strict=False)] = ()
    combinations: Annotated[tuple[Combination, ...], Field(strict=False)] = ()
    arms: Annotated[tuple[Level, ...], Field(strict=False)] = ()
    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)]
    reseed: Annotated[tuple[str, ...], Field(strict=False)] = tuple(
        name for name in SEEDED if name in PIPELINE
    )
    metric: MetricChoice
    also: Annotated[tuple[MetricChoice, ...], Field(strict=False)] = ()
    #: Footnotes of the table: what a reader of these numbers has to know.
    notes: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    #: How the paper lays this table out; see ``PaperLayout``.
    paper_layout: PaperLayout = PaperLayout()
    #: What the paper says of these arms, for ``hipart-search fidelity``.
    claims: Annotated[tuple[Claim, ...], Field(strict=False)] = ()
    #: Which pictures are drawn beside the table.
    figures: Annotated[tuple[FigureKind, ...], Field(strict=False)] = ("curves",)
    scales: dict[str, AtScale] = {}


class Ablation(Written):
    """A finite list of arms, each run with every seed: a file at a scale, checked in full."""

    name: str
    path: Path
    scale: str
    preset: str
    #: Which data it runs on.
    corpus: str = "open"

    # One that is checked is told from others by identity, and what follows from it is kept.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def at_scale(self) -> AtScale:
        """What the file says of this scale."""
        return section_of(self.scales, self.scale) or AtScale()

    @property
    def place_at_scale(self) -> Place:
        """Where the file says it."""
        return "scales", section_name(self.scales, self.scale)

    def targets_of(self, config: PipelineConfig) -> tuple[str, ...]:
        """The stages that a trial with this config is made for."""
        claimed = [claim.metric for claim in self.claims if claim.metric]
        return reported_stages(config, [self.metric], (*self.also, *claimed))

    @cached_property
    def base_config(self) -> PipelineConfig:
        """Defaults, preset, scale and corpus, then the file's base, and its base at this scale."""
        config = overlaid(self.preset, self.scale, self.corpus)
        config = changed_at(("base",), config, self.base)
        return changed_at((*self.place_at_scale, "base"), config, self.at_scale.base)


def reported_stages(
    config: PipelineConfig, metrics: Iterable[MetricChoice], also: Iterable[MetricChoice]
) -> tuple[str, ...]:
    """The stages of which a trial with a config reports metrics, in the order of the pipeline.

    Those of ``metrics``, and of those that stand beside what the trial has anyway: no tokenizer is
    trained only to be probed beside a lifter that uses none; such a cell stays empty.
    """
    wanted = {one.stage for one in metrics}
    chain = needs_of(config, wanted)
    for stage in {one.stage for one in also}:
        beside = stage in SIDE_STAGES and chain.keys() >= set(PIPELINE[stage].needs(config))
        if stage in chain or beside:
            wanted.add(stage)
    return tuple(stage for stage in PIPELINE if stage in wanted)


def overlaid(preset: str, scale: str, corpus: str) -> PipelineConfig:
    """The defaults as a preset, then a scale, then a corpus change them."""
    config = with_changes(PipelineConfig(), PRESETS[preset])
    return with_changes(with_changes(config, SCALES[scale]), CORPORA[corpus])


def changed_at(
    place: Iterable[str | int],
    config: PipelineConfig,
    changes: Changes,
    changer: Changer | None = None,
) -> PipelineConfig:
    """``with_changes`` whose problems say where in the file the changes stand."""
    try:
        return (changer or Changer()).changed(config, flat(changes))
    except ExperimentError as error:
        raise ExperimentError(problem.within(*place) for problem in error.problems) from None
