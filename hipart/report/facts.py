"""What the reading commands say, as plain values for programs: ``--json``."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hipart.experiment.design import arms
from hipart.experiment.file import available, load_any
from hipart.experiment.search import Search
from hipart.experiment.suite import available_suites, load_suite
from hipart.report.schedule import Span
from hipart.scheduling.plan import Estimates
from hipart.session import Session, Work

if TYPE_CHECKING:
    from hipart.search.session import SearchSession

Facts = dict[str, Any]

#: After how many refused points in a row a plan gives up: a person waits for it.
PLAN_PATIENCE = 100


def of_everything() -> Facts:
    """Every experiment and every suite, by name."""
    experiments = {}
    for name, path in available().items():
        one = load_any(str(path), "laptop")
        experiments[name] = {
            "title": one.title,
            "kind": "search" if isinstance(one, Search) else "ablation",
            "source": one.source.model_dump() if one.source else None,
            "path": str(path),
        }
    suites = {
        name: {"title": suite.title, "experiments": list(suite.experiments)}
        for name in available_suites()
        for suite in [load_suite(name)]
    }
    return {"experiments": experiments, "suites": suites}


def of_ablation(session: Session) -> Facts:
    """Base, arms with what they change and how many parameters they have, seeds."""
    from hipart.models.parameters import parameter_counts

    ablation = session.ablation
    return {
        "name": ablation.name,
        "title": ablation.title,
        "kind": "ablation",
        "scale": ablation.scale,
        "preset": ablation.preset,
        "seeds": list(ablation.seeds),
        "reseed": list(ablation.reseed),
        "metric": f"{ablation.metric.stage}/{ablation.metric.name}",
        "base": ablation.base_config.model_dump(mode="json"),
        "arms": [
            {
                "name": arm.name,
                "changes": dict(arm.changes),
                "parameters": parameter_counts(arm.config, num_actions=15),
            }
            for arm in arms(ablation)
        ],
    }


def of_search(session: "SearchSession") -> Facts:
    """Base, dimensions, objectives and how it is searched."""
    search = session.search
    return {
        "name": search.name,
        "title": search.title,
        "kind": "search",
        "scale": search.scale,
        "preset": search.preset,
        "seeds": list(search.seeds),
        "sampler": search.sampler.model_dump(mode="json"),
        "points": search.space.size,
        "dimensions": [
            one.model_dump(mode="json", exclude={"scales"}) for one in search.dimensions
        ],
        "objectives": [f"{one.stage}/{one.name}" for one in search.objectives],
        "constraints": [one.model_dump(mode="json") for one in search.constraints],
        "budget": search.budget.model_dump(mode="json"),
        "base": search.base_config.model_dump(mode="json"),
    }


def of_plan(work: Work, workers: int) -> Facts:
    """Jobs by stage, and seconds of work and of waiting; None where nothing tells."""
    plan = work.plan
    return {
        "title": work.title,
        "trials": work.trials,
        "stages": {name: asdict(stage) for name, stage in plan.stages.items() if stage.asked},
        "to_train": len(plan.to_train),
        "work_s": plan.seconds,
        "workers": workers,
        "wait_s": None if plan.seconds is None else plan.seconds / workers,
        "source": plan.source,
    }


def of_search_plan(session: "SearchSession", workers: int) -> Facts:
    """What a search like this one costs, from a simulated run; None where nothing tells.

    Which trials are drawn and stopped depends on results, and those are made up; what jobs take is
    measured.
    """
    from hipart.search.budget import Limits
    from hipart.search.landscape import made_up
    from hipart.search.simulation import SECONDS, simulate

    estimates = Estimates.of(session.store)
    base = [job for chain in session.base.chains for job in chain.values()]
    name, scale = session.search.name, session.search.scale
    facts: Facts = {"name": name, "scale": scale, "workers": workers, "simulated": True}
    if any(estimates.seconds(job) is None for job in base):
        return facts | {"work_s": None, "wait_s": None}
    search = session.search
    limits = Limits.of(search.budget)._replace(refused=PLAN_PATIENCE)
    found = simulate(search, made_up(search), workers, limits, estimate=estimates.seconds)
    return facts | {
        "trials": Counter(one.state for one in found.study.own),
        "stages": dict(found.executor.trained),
        "ended": found.ended.reason,
        "work_s": sum(end - start for start, end in found.executor.spans),
        "wait_s": found.executor.now,
        "source": estimates.source,
        "assumed": {stage: SECONDS for stage in sorted(found.assumed)},
    }


def of_spans(spans: Sequence[Span]) -> list[Facts]:
    """The time of every job."""
    return [asdict(span) | {"began": span.began.isoformat()} for span in spans]
