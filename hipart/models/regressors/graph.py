"""Densification by graph convolutions, coarse to fine, in the manner of HGN (Li et al. 2021)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from hipart.config import GraphRegressorConfig
from hipart.models.layers import learned_embedding
from hipart.shapes import Bool, Float
from hipart.skeleton import NUM_PARTS, PART_JOINTS, PART_PARENTS


class GraphConv(nn.Module):
    """Own features, and a learned mean of the neighbours' (SemGCN, Zhao et al. 2019)."""

    neighbours: Tensor

    def __init__(self, neighbours: Bool[Tensor, "nodes nodes"], width: int) -> None:
        super().__init__()
        self.register_buffer("neighbours", neighbours, persistent=False)
        self.strength = nn.Parameter(torch.zeros(neighbours.shape))
        self.own, self.others = nn.Linear(width, width), nn.Linear(width, width, bias=False)

    def forward(self, x: Float[Tensor, "batch nodes width"]) -> Float[Tensor, "batch nodes width"]:
        """One exchange along the edges."""
        strength = self.strength.masked_fill(~self.neighbours, float("-inf")).softmax(-1)
        out: Tensor = self.own(x) + strength @ self.others(x)
        return out


class _Block(nn.Module):
    def __init__(self, neighbours: Tensor, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            GraphConv(neighbours, width),
            nn.GELU(),
            GraphConv(neighbours, width),
        )

    def forward(self, x: Float[Tensor, "batch nodes width"]) -> Float[Tensor, "batch nodes width"]:
        """A residual pair of convolutions."""
        out: Tensor = x + self.layers(x)
        return out


class GraphRegressor(nn.Module):
    """16 parts, then each level's points, which start as their part's or coarser point's features.

    Points are neighbours if they lie in one part or in two parts that a bone joins. Every level
    reads its points' offsets from their joints off its own nodes.
    """

    joint_of_part: Tensor

    def __init__(self, config: GraphRegressorConfig, levels: tuple[int, ...]) -> None:
        super().__init__()
        width, sizes = config.width, (NUM_PARTS, *levels)
        self.levels = levels
        self.register_buffer("joint_of_part", torch.tensor(PART_JOINTS), persistent=False)
        # The joint that is no part, the nose, reaches every node through the whole pose.
        self.embed_pose = nn.Linear(2 * max(PART_JOINTS) + 2, width)
        self.embed_joint = nn.Linear(2, width)
        self.place = nn.ParameterList(learned_embedding(size, width) for size in sizes)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_Block(adjacency(size), width) for _ in range(config.blocks)))
            for size in sizes
        )
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2)) for _ in levels
        )

    def forward(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch points 2"]:
        """Points of all levels, coarse to fine, from detected joints; screen units."""
        joints = pose[:, self.joint_of_part]
        nodes = self.embed_pose(pose.flatten(1)).unsqueeze(1) + self.embed_joint(joints)
        nodes = self.blocks[0](nodes + self.place[0])
        points = []
        sizes = (NUM_PARTS, *self.levels)
        for number, (coarse, fine) in enumerate(pairwise(sizes), start=1):
            nodes = nodes.repeat_interleave(fine // coarse, dim=1) + self.place[number]
            nodes = self.blocks[number](nodes)
            near = joints.repeat_interleave(fine // NUM_PARTS, dim=1)
            points.append(near + self.heads[number - 1](nodes))
        return torch.cat(points, dim=1)


def adjacency(nodes: int) -> Bool[Tensor, "nodes nodes"]:
    """Which of a level's points are neighbours; each is its own."""
    parts = torch.eye(NUM_PARTS, dtype=torch.bool)
    for part, parent in enumerate(PART_PARENTS):
        if parent >= 0:
            parts[part, parent] = parts[parent, part] = True
    each = nodes // NUM_PARTS
    return parts.repeat_interleave(each, dim=0).repeat_interleave(each, dim=1)
