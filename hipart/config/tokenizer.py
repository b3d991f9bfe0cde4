"""Stage 1: codebooks and the tokenizer."""

from typing import Annotated, Literal

from pydantic import Field

from hipart.config.section import (
    AdamWTraining,
    Blocks,
    LearningRate,
    Levels,
    PositiveInt,
    Section,
    Weight,
    Width,
)


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


class TokenizerConfig(AdamWTraining):
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
