"""The recipes of docs/adding.md, followed in a copy of the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.environment import unmeasured

ROOT = Path(__file__).parent.parent
HELIX = '''

def helix() -> tuple[int, ...]:
    """Every third part, then the rest: an order for the recipe."""
    return tuple(sorted(range(NUM_PARTS), key=lambda part: (part % 3, part)))

'''
EXPERIMENT = """\
kind: ablation
title: Another order
design: one_at_a_time
factors:
  - {name: order, path: prior.order, levels: [helix]}
seeds: [0]
metric: {stage: evaluate, name: mpjpe_mm}
"""
LIFTER = '''
"""A linear lifter, for the recipe."""

from torch import Tensor, nn

from hipart.models.lifters.base import Lifter


class LinearLifter(Lifter):
    """One matrix from 2D to 3D."""

    def __init__(self, config: object, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        self.map = nn.Linear(2 * num_inputs, 51)

    def forward(self, poses: Tensor) -> Tensor:
        """(batch, joints, 2) to (batch, 17, 3)."""
        lifted: Tensor = self.map(poses.flatten(1)).unflatten(1, (17, 3))
        return lifted
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("hipart", "experiments", "dashboards"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def run(copy: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "hipart.cli", *arguments],
        cwd=copy,
        env=unmeasured() | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_order_is_one_function_and_one_name(copy: Path) -> None:
    skeleton = copy / "hipart" / "skeleton.py"
    edit(skeleton, "\n#: Every generation order", HELIX + "\n#: Every generation order")
    edit(skeleton, '    "raster": raster,\n', '    "raster": raster,\n    "helix": helix,\n')
    (copy / "experiments" / "mine.yaml").write_text(EXPERIMENT)
    output = run(copy, "run", "mine", "--scale", "smoke", "--executor", "inline")
    assert "trained 9 now" in output, "the tokenizer is shared by both orders"


def test_a_lifter_is_one_file_one_config_class_and_one_line(copy: Path) -> None:
    config = copy / "hipart" / "config" / "lifters.py"
    section = (
        'class LinearLifterConfig(Section):\n    """A linear map."""\n\n'
        '    kind: Literal["linear"] = "linear"\n\n\nAnyLifterConfig = ('
    )
    edit(config, "AnyLifterConfig = (", section)
    edit(
        config, "    | MixSteLifterConfig\n", "    | MixSteLifterConfig\n    | LinearLifterConfig\n"
    )
    lifters = copy / "hipart" / "models" / "lifters"
    (lifters / "linear.py").write_text(LIFTER)
    edit(
        lifters / "build.py",
        '    "mlp": MlpLifter,\n',
        '    "mlp": MlpLifter,\n    "linear": LinearLifter,\n',
    )
    edit(
        lifters / "build.py",
        "from hipart.models.lifters.mlp",
        "from hipart.models.lifters.linear import LinearLifter\nfrom hipart.models.lifters.mlp",
    )
    experiment = EXPERIMENT.replace("path: prior.order", "path: lifter.model.kind")
    (copy / "experiments" / "mine.yaml").write_text(experiment.replace("[helix]", "[linear]"))
    output = run(copy, "run", "mine", "--scale", "smoke", "--executor", "inline")
    assert "trained 7 now" in output, "only lifter and evaluation are the new lifter's own"
