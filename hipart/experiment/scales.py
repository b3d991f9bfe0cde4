"""How big an experiment is, how the paper's sizes are read, on what it runs: dotted paths."""

from typing import Any

#: Readings of the paper's parameter counts (design A.8): dotted path -> value.
PRESETS: dict[str, dict[str, Any]] = {
    "budget": {},
    "textbook": {
        "tokenizer.token_hidden": 64,
        "tokenizer.channel_hidden": 512,
        "tokenizer.decoder_channel_hidden": 384,
        "prior.attention_width": 128,
        "prior.mlp_hidden": 512,
        "prior.tied_logits": False,
    },
}

#: What the data that an experiment runs on change, as an overlay upon a scale.
CORPORA: dict[str, dict[str, Any]] = {
    "open": {},
    "h36m": {"data.corpus": "h36m", "detector.kind": "given"},
    "3dpw": {"data.corpus": "3dpw", "detector.kind": "given"},
}

DEFAULT_SCALE = "laptop"
#: How big an experiment is, as an overlay upon a preset: dotted path -> value.
SCALES: dict[str, dict[str, Any]] = {
    "smoke": {
        "data.train_samples": 256,
        "data.test_samples": 128,
        "tokenizer.width": 16,
        "tokenizer.encoder_blocks": 1,
        "tokenizer.token_hidden": 16,
        "tokenizer.channel_hidden": 16,
        "tokenizer.decoder_width": 16,
        "tokenizer.decoder_channel_hidden": 16,
        "tokenizer.sparse_codebook.size": 32,
        "tokenizer.sparse_codebook.dim": 16,
        "tokenizer.dense_codebook.size": 32,
        "tokenizer.dense_codebook.dim": 16,
        "tokenizer.epochs": 2,
        "tokenizer.batch_size": 64,
        "tokenizer.warmup_steps": 2,
        "prior.width": 16,
        "prior.blocks": 2,
        "prior.head_blocks": 1,
        "prior.attention_width": 16,
        "prior.mlp_hidden": 16,
        "prior.heads": 2,
        "prior.epochs": 1,
        "prior.warmup_steps": 2,
        "regressor.model.width": 32,
        "regressor.model.blocks": 1,
        "regressor.epochs": 2,
        "regressor.batch_size": 64,
        "regressor.warmup_steps": 2,
        "lifter.model.kind": "mlp",
        "lifter.model.width": 32,
        "lifter.model.blocks": 1,
        "lifter.model.dropout": 0.1,
        "lifter.epochs": 2,
        "lifter.batch_size": 64,
    },
    "laptop": {
        "data.train_samples": 8192,
        "data.test_samples": 2048,
        "tokenizer.width": 32,
        "tokenizer.encoder_blocks": 1,
        "tokenizer.token_hidden": 32,
        "tokenizer.channel_hidden": 32,
        "tokenizer.decoder_width": 32,
        "tokenizer.decoder_channel_hidden": 64,
        "tokenizer.sparse_codebook.size": 256,
        "tokenizer.sparse_codebook.dim": 32,
        "tokenizer.sparse_codebook.dead_code": "restart",
        "tokenizer.dense_codebook.size": 256,
        "tokenizer.dense_codebook.dim": 32,
        "tokenizer.dense_codebook.dead_code": "restart",
        "tokenizer.epochs": 3,
        "tokenizer.batch_size": 64,
        "tokenizer.learning_rate": 5e-3,
        "tokenizer.warmup_steps": 50,
        "prior.width": 32,
        "prior.blocks": 2,
        "prior.head_blocks": 1,
        "prior.attention_width": 32,
        "prior.mlp_hidden": 64,
        "prior.heads": 2,
        "prior.dropout": 0.1,
        "prior.epochs": 3,
        "prior.learning_rate": 2e-3,
        "prior.warmup_steps": 50,
        "regressor.model.width": 128,
        "regressor.epochs": 12,
        "regressor.warmup_steps": 50,
        "lifter.model.kind": "mlp",
        "lifter.model.width": 256,
        "lifter.model.dropout": 0.1,
        "lifter.epochs": 12,
    },
    # All samples, in an order that temporal lifters can share stages in.
    "paper": {"data.sampling": "sequences"},
}
