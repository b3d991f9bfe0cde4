"""Look into a tokenizer: how alike its codes are, and what one token moves (Figs. 7, 8, 14)."""

import torch
import torch.nn.functional as F
from einops import reduce
from safetensors.torch import save_file
from torch import Tensor

from hipart.models.coordinates import frame_of
from hipart.models.tokenizer import Tokenizer
from hipart.skeleton import NUM_PARTS
from hipart.stages.context import StageContext
from hipart.stages.tensors import fitted_tensors, judged_on
from hipart.stages.tokenizer import load_tokenizer

#: Codes that are compared, drawn from those that unseen poses use (Fig. 7 shows 100).
CODES = 100
#: Poses whose tokens are changed.
POSES = 256
SEED = 0


@torch.inference_mode()
def train(context: StageContext) -> dict[str, float]:
    """Measure on poses of test or validation; matrices go into ``probe.safetensors``."""
    tokenizer = load_tokenizer(context)
    split = fitted_tensors(context.corpus, judged_on(context), context.device)
    frame = frame_of(split.detected, context.config.data.coordinates)
    finest = split.levels[tokenizer.levels[-1]]
    finest = finest if frame is None else frame.to(finest)
    generator = torch.Generator().manual_seed(SEED)
    matrices, metrics = _similarity(tokenizer, finest, generator)
    unit = finest.new_ones(1) if frame is None else frame.scale[:POSES].flatten()
    shift = substructure(tokenizer, finest[:POSES], generator, unit)
    shift = shift * context.corpus.image_size[0] / 2
    own = shift[torch.arange(NUM_PARTS), torch.arange(NUM_PARTS)].mean().item()
    others = (shift.sum() - shift.trace()).item() / (NUM_PARTS * (NUM_PARTS - 1))
    save_file({**matrices, "substructure_px": shift.cpu()}, context.work / "probe.safetensors")
    context.report(1, 1, {})
    return metrics | {
        "own_part_shift_px": own,
        "other_parts_shift_px": others,
        "locality": own / max(others, 1e-9),
    }


def substructure(
    tokenizer: Tokenizer, finest: Tensor, generator: torch.Generator, unit: Tensor
) -> Tensor:
    """Mean shift (16, 16) of the points of part j when part i takes another sparse token.

    The new token is one that another pose has for the same part, so that it is a likely one.
    ``unit`` (batch,), or (1,) for all, is how long one of ``finest`` (batch, points, 2) is in the
    unit of the answer.
    """
    q_s, q_d = tokenizer.encode(finest)
    level = tokenizer.levels[-1]
    before = tokenizer.decode(q_s, q_d)[level]
    rows = []
    for part in range(NUM_PARTS):
        changed = q_s.clone()
        changed[:, part] = q_s[torch.randperm(len(q_s), generator=generator), part]
        moved = (tokenizer.decode(changed, q_d)[level] - before).norm(dim=-1) * unit[:, None]
        different = changed[:, part] != q_s[:, part]
        by_part = reduce(moved, "b (p n) -> b p", "mean", p=NUM_PARTS)
        rows.append(by_part[different].mean(0) if different.any() else torch.zeros(NUM_PARTS))
    shifts: Tensor = torch.stack([row.to(finest) for row in rows])
    return shifts


def _similarity(
    tokenizer: Tokenizer, finest: Tensor, generator: torch.Generator
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Cosines between used codes, as the network goes on with them (D channels)."""
    q_s, q_d = tokenizer.encode(finest)

    def drawn(tokens: Tensor) -> Tensor:
        used = tokens.unique()
        chosen: Tensor = used[
            torch.randperm(len(used), generator=generator)[:CODES].to(used.device)
        ]
        return torch.sort(chosen).values

    sparse = F.normalize(tokenizer.sparse.lookup(drawn(q_s)[None])[0], dim=-1)
    matrices = {"sparse_sparse": sparse @ sparse.T}
    metrics = {"sparse_sparse_cosine": _off_diagonal(matrices["sparse_sparse"])}
    if tokenizer.dense_per_part:
        dense = F.normalize(tokenizer.dense.lookup(drawn(q_d)[None])[0], dim=-1)
        matrices |= {"dense_dense": dense @ dense.T, "sparse_dense": sparse @ dense.T}
        metrics["dense_dense_cosine"] = _off_diagonal(matrices["dense_dense"])
        metrics["sparse_dense_cosine"] = matrices["sparse_dense"].abs().mean().item()
        own = reduce(tokenizer.dense.lookup(q_d), "b (p r) d -> b p d", "mean", p=NUM_PARTS)
        matched = F.cosine_similarity(tokenizer.sparse.lookup(q_s), own, dim=-1)
        metrics["matched_cosine"] = matched.mean().item()
    return {name: matrix.cpu().contiguous() for name, matrix in matrices.items()}, metrics


def _off_diagonal(matrix: Tensor) -> float:
    count = len(matrix)
    if count < 2:
        return 1.0
    total = float(matrix.abs().sum() - matrix.abs().trace())
    return total / (count * (count - 1))
