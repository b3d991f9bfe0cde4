"""What a search asks: the identity of its study."""

from hipart.experiment.search import Search
from hipart.jobs import canonical_json, key_of


def question_of(search: Search, data_fingerprint: str) -> str:
    """16 hexadecimal digits of what a search asks: another space, base or goal is another study.

    Budget and sampler are not part of it: with more trials, or another sampler, a search goes on.
    """
    asked = {
        "base": search.base_config.model_dump(mode="json"),
        "space": [one.model_dump(mode="json", exclude={"scales"}) for one in search.dimensions],
        "objectives": [one.model_dump(mode="json") for one in search.objectives],
        "stopping": search.stopping and search.stopping.model_dump(mode="json"),
        "proxy": search.proxy and search.proxy.model_dump(mode="json"),
        "constraints": [one.model_dump(mode="json") for one in search.constraints],
        "seeds": [list(search.seeds), list(search.reseed)],
        "data": data_fingerprint,
    }
    return key_of(canonical_json(asked))


def study_name(search: Search, question: str) -> str:
    """What a study is called in its storage."""
    return f"{search.name}-{search.scale}-{question}"
