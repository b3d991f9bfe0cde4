"""Which priors there are: the paper's, and what Table 4 compares it with."""

from hipart.config import PriorConfig
from hipart.models.classification_prior import ClassificationPrior
from hipart.models.prior import Prior
from hipart.models.sequential_prior import SequentialPrior
from hipart.models.tokenizer import Tokenizer

AnyPrior = Prior | SequentialPrior | ClassificationPrior


def build_prior(config: PriorConfig, tokenizer: Tokenizer) -> AnyPrior:
    """A prior over a tokenizer's tokens: trained by its logits, used by ``generate(pose)``."""
    kind: type[AnyPrior] = Prior
    if config.framework == "classification":
        kind = ClassificationPrior
    elif config.within_part == "sequential" and config.sequential == "flat":
        kind = SequentialPrior
    return kind(config, *tokenizer.codebooks, tokenizer.dense_per_part)
