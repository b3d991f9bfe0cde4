"""Optuna's samplers by the names that searches have for them."""

from optuna.samplers import BaseSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler

from hipart.experiment.search import Search


def sampler_of(search: Search, seed: int) -> BaseSampler:
    """The sampler that a search names, drawing from this seed."""
    chosen = search.sampler
    match chosen.kind:
        case "tpe":
            return TPESampler(
                n_startup_trials=chosen.startup,
                multivariate=True,
                group=any(one.when for one in search.dimensions),
                constant_liar=True,
                seed=seed,
            )
        case "nsga2":
            return NSGAIISampler(population_size=max(4, chosen.startup), seed=seed)
        case "qmc":
            return QMCSampler(
                seed=seed,
                scramble=True,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
        case "random" | "grid":
            return RandomSampler(seed=seed)
