"""Every number that can be varied: its type, range, unit, and where the paper states it.

The defaults are the paper's own numbers with the ``budget`` reading of its parameter counts.
Nothing here knows how a job is scheduled (that is ``Runtime``) and nothing here imports torch.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hipart.skeleton import ORDERS

PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0, le=1000)]
Probability = Annotated[float, Field(ge=0, le=1)]
DropoutRate = Annotated[float, Field(ge=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Width = Annotated[int, Field(ge=4, le=4096)]
Blocks = Annotated[int, Field(ge=1, le=64)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


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


#: Of which weights AdamW's decay takes: all, as PCT has it, or matrices alone, without biases,
#: gains of norms and tables of positions.
DecayedWeights = Literal["all", "matrices"]


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


class DataConfig(Section):
    """Which poses there are: corpus, views and split. Detection noise is in DetectorConfig."""

    corpus: Literal["open", "h36m", "3dpw"] = "open"
    #: In which 2D coordinates tokenizer, prior and regressor work. body: each pose from the mean of
    #: its 17 detected joints, over their standard deviation; hip: from the detected hip, over one
    #: fixed scale; screen: where the image has it, which lifters always see. Generated points are
    #: put back with the same two numbers (docs/decisions/0039).
    coordinates: Literal["body", "hip", "screen"] = "body"
    #: How many samples of each split are drawn (camera-frames); None takes all there are.
    train_samples: PositiveInt | None = None
    test_samples: PositiveInt | None = None
    #: Samples held out of training, by which a search chooses; 0 holds none out. More than 0 takes
    #: a subject and the ends of clips from training, however many samples are drawn of them.
    validation_samples: NonNegativeInt = 0
    #: Single frames, or whole sequences of consecutive ones, as temporal lifters need them.
    sampling: Literal["frames", "sequences"] = "frames"
    #: Of a prepared corpus, only every so manieth frame of a recording; the paper's lineage trains
    #: dense models on every 5th and tests on every 50th.
    train_every: Annotated[int, Field(ge=1, le=1000)] = 1
    test_every: Annotated[int, Field(ge=1, le=1000)] = 1
    #: Train on mirror images, too: as many placements of mirrored motion on mirrored bodies again,
    #: or, of a prepared corpus, those that ``data prepare --mirror`` made.
    mirrored: bool = False
    #: Subjects and actions that do not train.
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = ()
    #: Share of the clips that train, drawn with ``seed``; a smaller one is part of a larger.
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: How often each clip is placed anew: random yaw and floor position.
    placements: Annotated[int, Field(ge=1, le=64)] = 4
    #: Half side, in metres, of the square in which a placement stands.
    floor_half_side_m: Annotated[float, Field(ge=0, le=2)] = 1.0
    seed: Seed = 0


class DetectorConfig(Section):
    """How the 17 input joints ``x_s`` are obtained. ``simulated`` is said so in every table."""

    #: given: the detections that came with the data, which the open corpus has none of.
    kind: Literal["simulated", "exact", "given"] = "simulated"
    #: What simulated errors are like. h36m: as measured on Human3.6M, joint by joint, growing with
    #: the person, with joints mirrored and missed (docs/decisions/0045). uniform: as the four
    #: settings say that follow ``correlation_s``, which are of it alone.
    profile: Literal["h36m", "uniform"] = "uniform"
    #: Of profile h36m: seconds in which the correlation of a joint's errors along a sequence falls
    #: to 1/e; 0 draws each frame anew. Assumed, for nobody published it.
    correlation_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    #: Standard deviation of the Gaussian core, in pixels.
    noise_px: Annotated[float, Field(ge=0, le=100)] = 5.0
    #: Factor on the noise of wrists and ankles.
    extremity_factor: Annotated[float, Field(ge=1, le=10)] = 1.6
    #: Share of samples in which a rectangle or a limb is hidden.
    occlusion_probability: Probability = 0.3
    #: Scale of the heavy-tailed drift of a hidden joint, in pixels.
    occlusion_drift_px: Annotated[float, Field(ge=0, le=500)] = 25.0
    #: Whether tokenizer, prior and regressor train on one simulated detection of each sample, or on
    #: a new one every epoch. Lifters see one, the one that dense points are generated from.
    training_draws: Literal["once", "every_epoch"] = "every_epoch"
    seed: Seed = 0

    #: Settings of one profile alone.
    OF_PROFILE: ClassVar[dict[str, tuple[str, ...]]] = {
        "h36m": ("correlation_s",),
        "uniform": (
            "noise_px",
            "extremity_factor",
            "occlusion_probability",
            "occlusion_drift_px",
        ),
    }

    @model_validator(mode="after")
    def _of_its_profile(self) -> Self:
        for profile, settings in self.OF_PROFILE.items():
            for name in settings if profile != self.profile else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} {getattr(self, name):g} is of profile {profile}, and profile is "
                        f"{self.profile}; set profile to {profile}, or leave {name} out"
                    )
        return self


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


class OcclusionConfig(Section):
    """What is hidden from the detector at test time (Table 7, Table 2's AdvOcc), joint by joint.

    A stand-in for masked images: nothing here looks at pixels, and every table says so.
    """

    #: mask: random patches of the person's box; crop: one side of the box; patch: the worst of
    #: all squares centred on a joint, with errors of the visible joints only.
    kind: Literal["none", "mask", "crop", "patch"] = "none"
    #: Share of the box that is masked or cropped.
    ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    #: Side of the square, pixels.
    patch_px: Annotated[float, Field(gt=0, le=1000)] = 40.0
    seed: Seed = 0


class CodebookConfig(Section):
    """One EMA codebook (Sec. 5.1: 2048 codes of dimension 128)."""

    size: Annotated[int, Field(ge=2, le=65536)] = 2048
    dim: Annotated[int, Field(ge=2, le=1024)] = 128
    #: EMA decay gamma; unstated in the paper, PCT's value.
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.9
    #: What happens to a code that nothing chooses: it stays, or restarts at a random embedding.
    dead_code: Literal["none", "restart"] = "none"
    #: A code restarts when its moving count falls below this share of the mean count of all codes;
    #: None: below 0.1 of an observation, however many there are for each.
    dead_below: Annotated[float, Field(gt=0, lt=1)] | None = 0.03
    #: Codes at first: embeddings of training poses under the untrained encoders, as in T2M-GPT and
    #: MoMask, or standard normal numbers, as in PCT.
    init: Literal["data", "normal"] = "data"


class TokenizerConfig(Schedule):
    """Stage 1, multi-scale skeletal tokenization (Sec. 4.1, App. C)."""

    #: Dense levels of the pose: all but the finest are quantised beside the 16 parts (Table 5).
    levels: Levels = (48, 96)
    #: One codebook for the sparse and one for the dense tokens, or one for both, which then is
    #: ``sparse_codebook`` (Table 3).
    codebooks: Literal["hierarchical", "shared"] = "hierarchical"
    #: D1: channels of the encoders.
    width: Width = 128
    #: L1: Mixer blocks of each encoder (Sec. 5.1).
    encoder_blocks: Blocks = 4
    #: Hidden units over joints of every Mixer block.
    token_hidden: Width = 128
    #: Hidden units over channels, encoder Mixer blocks.
    channel_hidden: Width = 64
    #: Mixer blocks and channels of each decoder (Sec. 5.1: one, 96).
    decoder_blocks: Blocks = 1
    decoder_width: Width = 96
    decoder_channel_hidden: Width = 192
    sparse_codebook: CodebookConfig = CodebookConfig()
    dense_codebook: CodebookConfig = CodebookConfig()
    #: Maps along joints at first: of a block, a coarser joint is the mean of its own finer ones and
    #: they copy it, with a random matrix upon it; or a random matrix alone, which ties no token to
    #: the part of its index.
    joint_init: Literal["block", "random"] = "block"
    #: How much the geometry within a part counts beside where the part is: each coefficient of the
    #: cosine transform of a part's points is divided by its spread to this power. 0 leaves points.
    part_weighting: Annotated[float, Field(ge=0, le=1)] = 0.0
    #: beta, Eq. 6 (App. C).
    commitment_weight: Weight = 0.25
    #: lambda_local, Eq. 3 and 6.
    lambda_local: Weight = 1.0
    #: Which way L_local picks: each sparse code its own dense codes among those of all parts, as
    #: Eq. 3 prints it; or that and each part's dense codes their sparse code, half of each, as CLIP
    #: does (design A.9, 11).
    alignment: Literal["one_way", "symmetric"] = "one_way"
    #: lambda_global, Eq. 5 and 6.
    lambda_global: Weight = 0.3
    #: What the action is told from, P_A: all sparse and dense codes, 64 tokens (Eq. 4); or each
    #: dense code beside what D_s makes of the sparse ones there, 48 tokens of twice the channels
    #: (Alg. 2, line 8; design A.9, 7).
    action_input: Literal["sparse_and_dense", "dense_and_upsampled"] = "sparse_and_dense"
    #: What the norms of Eq. 6 and the sum of Eq. 3 stand for: means over all elements, or sums
    #: over joints, channels and parts as printed (mean over the batch either way; design A.9, 10).
    loss_reduction: Literal["mean", "sum"] = "sum"
    #: tau, Eq. 3.
    temperature: Annotated[float, Field(gt=0, le=10)] = 0.07
    epochs: PositiveInt | None = 20
    batch_size: PositiveInt = 128
    learning_rate: LearningRate = 1e-3
    weight_decay: Weight = 0.15
    weight_decay_on: DecayedWeights = "all"
    warmup_steps: NonNegativeInt = 500
    seed: Seed = 0


#: Into how many parts training samples can be cut.
MOST_FOLDS = 64


def _parts(folds: int) -> int:
    if folds < 2:
        raise ValueError(
            f"{folds} part{'s' * (folds != 1)} would leave a prior nothing to train on; take 2 or "
            "more, or null for one prior that trains on all and generates all"
        )
    return folds


def _one_of_them(fold: tuple[int, ...]) -> tuple[int, ...]:
    if len(fold) != 2 or not 1 <= fold[0] <= fold[1] <= MOST_FOLDS:
        raise ValueError(
            f"{list(fold)} is not [k, K]: the part that is left out, from 1, and how many there "
            f"are, at most {MOST_FOLDS}"
        )
    _parts(fold[1])
    return fold


#: A part that is left out, counted from 1, and how many parts there are.
Fold = Annotated[tuple[int, ...], Field(strict=False), AfterValidator(_one_of_them)]


class PriorConfig(Schedule):
    """Stage 2, hierarchical autoregressive modeling (Sec. 4.2, App. C)."""

    #: D2: channels of the token sequence.
    width: Width = 128
    #: L2: blocks of GCSAB; LSAB and PH beside it (Sec. 5.1: 12, 1, 4).
    blocks: Blocks = 12
    local_blocks: Blocks = 1
    head_blocks: Blocks = 4
    #: Inner width of attention, hidden units of the MLP, heads (design A.8).
    attention_width: Width = 64
    mlp_hidden: Width = 64
    heads: Annotated[int, Field(ge=1, le=64)] = 8
    #: Logits are LN(h) C^T with the frozen codebook instead of a free linear layer.
    tied_logits: bool = True
    dropout: DropoutRate = 0.25
    #: Tokens one after another, or all at once as PCT does (Table 4).
    framework: Literal["autoregressive", "classification"] = "autoregressive"
    #: Where x_s enters: as start of the sequence, g^0 (Sec. 4.2), or as a linear map of its own
    #: added at every step, too, which a stack of few narrow blocks need not route by attention.
    conditioning: Literal["start", "every_step"] = "start"
    #: Share of the tokens that training shows wrong, drawn at random, as what was generated before;
    #: T2M-GPT does so. What is to be predicted stays as it is.
    token_corruption: DropoutRate = 0.0
    #: Order of the body parts.
    order: str = "center_to_periphery"
    #: Tokens of a part: first the sparse, then its dense ones at once; or one by one (Table 4).
    within_part: Literal["sparse_to_dense", "sequential"] = "sparse_to_dense"
    #: One by one through the whole stack (64 steps), or inside PH alone (16 steps, 4 passes).
    sequential: Literal["flat", "nested"] = "flat"
    #: Upon which sparse token PH puts a part's dense ones: their own, predicted in a pass before
    #: (Eq. 8); or that of the part before, as Eq. 11 and Alg. 1 print it, all tokens of a part in
    #: one pass and none of them seeing another (design A.9, 12).
    head: Literal["two_pass", "one_pass_prev"] = "two_pass"
    #: lambda_d, Eq. 12.
    lambda_dense: Weight = 1.5
    #: Weight of the smooth L1 between exact poses and those decoded from mean codes, which PCT
    #: adds to its classification; the paper does not.
    joint_loss_weight: Weight = 0.0
    #: ``[k, K]``: of training samples in K parts of whole clips (``densify.folds``), the k-th, from
    #: 1, is left out; None leaves out none.
    fold: Fold | None = None
    epochs: PositiveInt | None = 50
    batch_size: PositiveInt = 64
    learning_rate: LearningRate = 5e-4
    weight_decay: Weight = 0.03
    weight_decay_on: DecayedWeights = "all"
    warmup_steps: NonNegativeInt = 500
    seed: Seed = 0

    @model_validator(mode="after")
    def _consistent(self) -> "PriorConfig":
        if self.order not in ORDERS:
            raise ValueError(f"order {self.order!r} is not one of {', '.join(ORDERS)}")
        if self.attention_width % self.heads:
            raise ValueError(
                f"attention_width {self.attention_width} must be a multiple of heads {self.heads}"
            )
        if self.head == "one_pass_prev" and self.framework == "classification":
            raise ValueError(
                "head one_pass_prev is about which tokens dense ones are predicted from, and with "
                "framework classification none is predicted from another; set head to two_pass, or "
                "framework to autoregressive"
            )
        if self.head == "one_pass_prev" and self.within_part == "sequential":
            raise ValueError(
                "head one_pass_prev predicts all tokens of a part at once, and within_part "
                "sequential one after the other; set head to two_pass, or within_part to "
                "sparse_to_dense"
            )
        return self


class DensifyConfig(Section):
    """What becomes of the prior's distributions: the dense points of every sample."""

    #: The code of the most probable token (Alg. 1), or the mean of all codes under their
    #: probabilities, as PCT decodes. The most probable token is what is fed back either way.
    decode: Literal["argmax", "mean"] = "argmax"
    #: What is not generated but taken from the exact pose, to see what it would be worth.
    #: tokens: all of them are the tokenizer's own of the exact pose; sparse_tokens: these are, and
    #: dense ones are generated upon them; part_means: generated points are moved, part by part, so
    #: that each part has its exact mean; part_offsets: exact points are moved so that each part
    #: has its generated mean. No prediction can do so.
    exact: Literal["nothing", "tokens", "sparse_tokens", "part_means", "part_offsets"] = "nothing"
    #: The mean of the points of so many generations, whose tokens are drawn from the prior's
    #: distributions with a seed that comes of ``prior.seed``; 0 decodes once, as ``decode`` says.
    samples: Annotated[int, Field(ge=0, le=1000)] = 0
    #: Training points as of poses that a prior has not seen: training samples are cut into so many
    #: parts of whole clips, as even as they go, and each part is generated by a prior that trained
    #: on the others alone. Test and validation are always generated by the prior that trained on
    #: all; None generates training points by that one, too.
    folds: Annotated[int, Field(le=MOST_FOLDS), AfterValidator(_parts)] | None = None

    @property
    def plain(self) -> bool:
        """Whether points are what a prediction has them be: of detected joints, decoded once."""
        return self.exact == "nothing" and not self.samples

    @model_validator(mode="after")
    def _consistent(self) -> "DensifyConfig":
        if self.samples and self.decode == "mean":
            raise ValueError(
                f"samples {self.samples} are tokens that were drawn, and decode mean reads codes "
                "off the distributions they are drawn from; set decode to argmax, or samples to 0"
            )
        if self.samples and self.exact == "tokens":
            raise ValueError(
                f"samples {self.samples} and exact tokens: where all tokens are exact, none is "
                "drawn; set samples to 0, or exact to another value"
            )
        if self.folds and self.exact == "tokens":
            raise ValueError(
                f"folds {self.folds} and exact tokens: where all tokens are exact, no prior "
                "generates any; set folds to null, or exact to another value"
            )
        return self


class MlpRegressorConfig(Section):
    """Direct regression of all points at once, as Pose2Mesh does (Fig. 12)."""

    kind: Literal["mlp"] = "mlp"
    width: Width = 480
    blocks: Blocks = 2
    dropout: DropoutRate = 0.0


class GraphRegressorConfig(Section):
    """Graph convolutions from coarse to fine, as HGN does (Fig. 12)."""

    kind: Literal["graph"] = "graph"
    width: Width = 168
    #: Blocks at each level.
    blocks: Blocks = 3


class MeanPoseRegressorConfig(Section):
    """The mean dense pose of training on the detected hip; fitted without steps."""

    kind: Literal["mean_pose"] = "mean_pose"


class JointOffsetRegressorConfig(Section):
    """Each point at its mean offset from its part's detected joint; fitted without steps."""

    kind: Literal["joint_offset"] = "joint_offset"


class LinearRegressorConfig(Section):
    """Least squares from the 17 detected joints to all points; fitted without steps."""

    kind: Literal["linear"] = "linear"


#: Kinds that are fitted in closed form: nothing beside `levels` changes them, and no seed does.
FittedRegressorConfig = MeanPoseRegressorConfig | JointOffsetRegressorConfig | LinearRegressorConfig


class RegressorConfig(Schedule):
    """A densifier without tokens, of about the size of prior and decoders (Fig. 12), or fitted in
    closed form, which ignores epochs, batches, rates and the seed."""

    model: MlpRegressorConfig | GraphRegressorConfig | FittedRegressorConfig = Field(
        default=MlpRegressorConfig(), discriminator="kind"
    )
    levels: Levels = (48, 96)
    epochs: PositiveInt | None = 50
    batch_size: PositiveInt = 256
    learning_rate: LearningRate = 1e-3
    weight_decay: Weight = 0.03
    weight_decay_on: DecayedWeights = "all"
    warmup_steps: NonNegativeInt = 500
    seed: Seed = 0

    @property
    def is_fitted(self) -> bool:
        """Whether the model is fitted in closed form, without a training of steps."""
        return isinstance(self.model, FittedRegressorConfig)


def _odd(frames: int) -> int:
    if frames % 2 == 0:
        raise ValueError(f"{frames} frames have no middle one; take an odd number")
    return frames


class _AttentionConfig(Section):
    """Blocks of self-attention and MLP."""

    width: Width = 96
    blocks: Blocks = 12
    heads: Annotated[int, Field(ge=1, le=64)] = 6
    mlp_ratio: Annotated[int, Field(ge=1, le=8)] = 2

    @model_validator(mode="after")
    def _whole_heads(self) -> "_AttentionConfig":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class TransformerLifterConfig(_AttentionConfig):
    """Vanilla spatial transformer over all joints (Sec. 5.1, Fig. 11)."""

    kind: Literal["transformer"] = "transformer"
    dropout: DropoutRate = 0.0


class MlpLifterConfig(Section):
    """Residual MLP lifter (Martinez et al. 2017)."""

    kind: Literal["mlp"] = "mlp"
    width: Width = 1024
    blocks: Blocks = 2
    dropout: DropoutRate = 0.5


class DiffusionLifterConfig(_AttentionConfig):
    """Denoising of 3D poses under a 2D condition: the kind of peer that Table 8 compares with."""

    kind: Literal["diffusion"] = "diffusion"
    dropout: DropoutRate = 0.0
    #: Noise levels in training, and how many of them the DDIM sampler visits.
    timesteps: Annotated[int, Field(ge=2, le=10_000)] = 1000
    sampling_steps: Annotated[int, Field(ge=1, le=1000)] = 10
    #: Sampled poses that are averaged into the answer.
    hypotheses: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _steps_of_the_time(self) -> "DiffusionLifterConfig":
        if self.sampling_steps > self.timesteps:
            raise ValueError(
                f"sampling_steps {self.sampling_steps} must be at most timesteps {self.timesteps}"
            )
        return self


#: Frames of a window; odd, so that there is a middle one.
Frames = Annotated[int, Field(ge=3, le=1001), AfterValidator(_odd)]


class _TemporalConfig(_AttentionConfig):
    """What looks at windows of consecutive frames."""

    frames: Frames = 81
    drop_path: DropoutRate = 0.1


class PoseFormerLifterConfig(_TemporalConfig):
    """PoseFormer (Zheng et al. 2021): a window of frames to its middle pose (Table 6)."""

    kind: Literal["poseformer"] = "poseformer"
    #: Channels of a joint; a frame's 17 joints side by side are the temporal stage's token.
    width: Width = 32
    #: Blocks of the spatial and of the temporal stage.
    blocks: Blocks = 4
    heads: Annotated[int, Field(ge=1, le=64)] = 8


class MixSteLifterConfig(_TemporalConfig):
    """MixSTE (Zhang et al. 2022): a window of frames to all its poses (Tables 6, 10)."""

    kind: Literal["mixste"] = "mixste"
    width: Width = 512
    #: Pairs of a spatial and a temporal block.
    blocks: Blocks = 8
    heads: Annotated[int, Field(ge=1, le=64)] = 8


AnyLifterConfig = (
    TransformerLifterConfig
    | MlpLifterConfig
    | DiffusionLifterConfig
    | PoseFormerLifterConfig
    | MixSteLifterConfig
)


def window_frames(model: AnyLifterConfig) -> int:
    """How many consecutive frames a lifter looks at: 1 unless it is a temporal one."""
    return model.frames if isinstance(model, _TemporalConfig) else 1


#: Steps of an epoch of the paper's lifter: every 5th of its 1,559,752 training frames, by 256.
PAPER_LIFTER_EPOCH = 1218


class LifterConfig(Schedule):
    """Stage 3, 2D to 3D (Sec. 5.1, App. C)."""

    ALTERNATIVES = (("epochs", "steps"), ("decay_epochs", "decay_steps"))

    model: AnyLifterConfig = Field(default=TransformerLifterConfig(), discriminator="kind")
    #: Where the 48 and 96 joints beside the 17 come from: the prior, the regressor, or the body
    #: itself; ``none`` lifts the 17 alone.
    dense_input: Literal["generated", "regressed", "exact", "none"] = "generated"
    #: Which of the dense levels the lifter takes; None for all there are.
    levels: Levels | None = None
    #: Share of the training samples whose 3D joints the lifter sees; every stage before it sees all
    #: of them.
    train_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: Of what it is a share: of clips in a drawn order, the last one cut short, or of single frames
    #: drawn from all clips.
    train_share_of: Literal["clips", "frames"] = "clips"
    #: Share of the training samples whose 3D joints are those of another one, drawn with ``seed``.
    wrong_labels: Probability = 0.0
    epochs: PositiveInt | None = 25
    #: Poses, or windows of a temporal lifter.
    batch_size: PositiveInt = 256
    learning_rate: LearningRate = 1e-3
    #: Learning rate x decay every ``decay_epochs`` epochs (App. C: 0.96 per 4 epochs), or every
    #: ``decay_steps`` steps.
    decay: Annotated[float, Field(gt=0, le=1)] = 0.96
    decay_epochs: PositiveInt | None = 4
    decay_steps: PositiveInt | None = None
    seed: Seed = 0

    @property
    def counted_epochs(self) -> float:
        """Its epochs; of a length in steps, how many of the paper's these are."""
        unit, length = self.length
        return float(length) if unit == "epochs" else length / PAPER_LIFTER_EPOCH


class NumericsConfig(Section):
    """In which numbers models are trained. Generation and evaluation are in float32."""

    #: Matrix products of a training step: float32; tf32, which rounds their inputs to 10 bits where
    #: the device can; bfloat16, as ``torch.autocast`` has it. Codebooks and losses stay in float32.
    products: Literal["float32", "tf32", "bfloat16"] = "float32"


class EvaluationConfig(Section):
    """How a trained trial is measured."""

    #: Lift the mirrored pose, too, its dense points generated anew, and average both answers. The
    #: paper does not say whether it does; VideoPose3D and PoseFormer do.
    flip: bool = False
    #: Whose samples are measured; validation needs ``data.validation_samples``.
    split: Literal["test", "validation"] = "test"


class PipelineConfig(Section):
    """All settings of one trial, stage by stage."""

    data: DataConfig = DataConfig()
    detector: DetectorConfig = DetectorConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    prior: PriorConfig = PriorConfig()
    densify: DensifyConfig = DensifyConfig()
    regressor: RegressorConfig = RegressorConfig()
    lifter: LifterConfig = LifterConfig()
    occlusion: OcclusionConfig = OcclusionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    numerics: NumericsConfig = NumericsConfig()

    @property
    def input_levels(self) -> tuple[int, ...]:
        """The dense levels that the lifter takes, by number of points."""
        if self.lifter.dense_input == "none":
            return ()
        regressed = self.lifter.dense_input == "regressed"
        return self.lifter.levels or (self.regressor if regressed else self.tokenizer).levels

    def _check_lifter(self) -> None:
        """Raise ValueError where the lifter asks for what the stages before it do not have."""
        given, lifter = self.model_fields_set, self.lifter
        if "lifter" not in given:
            return
        source = {"generated": "tokenizer", "regressed": "regressor"}.get(lifter.dense_input, "")
        if lifter.levels and source in given:
            made = getattr(self, source).levels
            missing = [level for level in lifter.levels if level not in made]
            if missing:
                raise ValueError(
                    f"lifter.levels has {missing[0]}, and {source}.levels makes "
                    f"{', '.join(map(str, made))}; ask for these, or add {missing[0]} there"
                )
        samples = self.data.train_samples
        if samples is not None and lifter.train_share < 1 and lifter.train_share * samples < 2:
            raise ValueError(
                f"lifter.train_share {lifter.train_share:g} of {samples} samples leaves fewer than "
                "two to train on; raise it"
            )

    @property
    def lifts_exact_points(self) -> bool:
        """Whether what is lifted has something of the exact dense pose, which takes a body."""
        if self.lifter.dense_input == "generated":
            return self.densify.exact != "nothing"
        return self.lifter.dense_input == "exact"

    @model_validator(mode="after")
    def _consistent(self) -> "PipelineConfig":
        # A stage job's config leaves the sections out that the stage does not read.
        frames = window_frames(self.lifter.model) if "lifter" in self.model_fields_set else 1
        if frames > 1 and self.data.sampling != "sequences":
            raise ValueError(
                f"the {self.lifter.model.kind} lifter looks at windows of {frames} frames; "
                "set data.sampling to sequences"
            )
        self._check_lifter()
        strides = {name: getattr(self.data, name) for name in ("train_every", "test_every")}
        for name, stride in strides.items():
            if frames > 1 and stride > 1:
                raise ValueError(
                    f"the {self.lifter.model.kind} lifter looks at windows of {frames} consecutive "
                    f"frames, and data.{name} {stride} takes one of every {stride}; set it to 1, "
                    f"and data.{name.removesuffix('_every')}_samples to draw fewer sequences"
                )
        if self.evaluation.flip and self.lifter.dense_input == "exact":
            raise ValueError(
                "evaluation.flip needs dense points of the mirrored pose, and there are no exact "
                "ones; choose another lifter.dense_input"
            )
        anew = "evaluation.flip" if self.evaluation.flip else "occlusion.kind"
        made_anew = self.evaluation.flip or self.occlusion.kind != "none"
        if made_anew and self.lifter.dense_input == "generated" and not self.densify.plain:
            what = "exact" if self.densify.exact != "nothing" else "samples"
            raise ValueError(
                f"densify.{what} {getattr(self.densify, what)} is of poses as they are detected, "
                f"and {anew} has dense points generated anew from other joints; set densify.exact "
                "to nothing and densify.samples to 0, or leave flip false and occlusion none"
            )
        if self.densify.folds and self.prior.fold:
            raise ValueError(
                f"densify.folds {self.densify.folds} trains its own priors on parts of the "
                f"training samples, and prior.fold {list(self.prior.fold)} leaves a part out of "
                "the one that generates test; set one of them to null"
            )
        # Every stage that reads ``evaluation`` reads ``data``.
        if self.evaluation.split == "validation" and not self.data.validation_samples:
            raise ValueError(
                "evaluation.split validation needs samples held out of training, and there are "
                "none; set data.validation_samples"
            )
        return self
