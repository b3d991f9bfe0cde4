"""What every room shares: the types of single settings, and of groups of them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, le=1000)]
Probability = Annotated[float, Field(ge=0, le=1)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Width = Annotated[int, Field(ge=4, le=4096)]
Blocks = Annotated[int, Field(ge=1, le=64)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
DecayedWeights = Literal["all", "matrices"]


def _in_order(levels: tuple[int, ...]) -> tuple[int, ...]:
    if list(levels) != sorted(set(levels)):
        raise ValueError(f"levels {list(levels)} must rise, each once")
    return levels


#: Dense 2D levels beside the 17 joints, coarse to fine.
Levels = Annotated[
    tuple[Literal[48, 96, 192], ...],
    Field(strict=False, min_length=1),
    AfterValidator(_in_order),
]


class Section(BaseModel):
    """A frozen, strict group of settings: unknown names and infinities are errors."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True
    )
    #: Pairs of settings of which exactly one is given; a change of one unsets the other.
    ALTERNATIVES: ClassVar[tuple[tuple[str, str], ...]] = ()

    @model_validator(mode="after")
    def _one_of_each_pair(self) -> Self:
        for pair in self.ALTERNATIVES:
            given = [name for name in pair if getattr(self, name) is not None]
            if len(given) != 1:
                what = "both are given" if given else "neither is given"
                raise ValueError(f"{what}, {pair[0]} and {pair[1]}; give one of them")
        return self


class Schedule(Section):
    """How long a stage trains: ``epochs`` of its samples, or so many ``steps`` on any data."""

    ALTERNATIVES: ClassVar[tuple[tuple[str, str], ...]] = (("epochs", "steps"),)

    epochs: PositiveInt | None = None
    steps: PositiveInt | None = None

    @property
    def length(self) -> tuple[Literal["epochs", "steps"], int]:
        """In what the stage's length is given, and how much of it."""
        if self.steps is not None:
            return "steps", self.steps
        assert self.epochs is not None
        return "epochs", self.epochs


class AdamWTraining(Schedule):
    """A stage under AdamW: its learning rate rises, then falls as a cosine does (App. C).

    The defaults are those that tokenizer, prior and regressor share.
    """

    batch_size: PositiveInt
    #: The highest that it gets.
    learning_rate: LearningRate
    weight_decay: Weight = 0.03
    #: Of which weights the decay takes: all, as PCT has it, or matrices alone, without biases,
    #: gains of norms and tables of positions.
    weight_decay_on: DecayedWeights = "all"
    #: Steps in which the learning rate rises.
    warmup_steps: NonNegativeInt = 500
    seed: Seed = 0
