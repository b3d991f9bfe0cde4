"""Predict from an exported bundle: needs torch, numpy, einops, pydantic and safetensors alone."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor, nn

from hipart.config import PipelineConfig, PositiveInt, Section
from hipart.data.cameras import normalise_screen, screen_to_pixels
from hipart.flip import flip
from hipart.identity import config_of
from hipart.models.coordinates import without_extent
from hipart.models.densifier import Densifier
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import AnyPrior, build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.models.windows import lift
from hipart.skeleton import LEVEL_NAMES, NUM_JOINTS

BUNDLE = "hipart-bundle"
#: 2: settings of coordinates, codes and decoding; what an older one lacks is as it was then.
FORMAT = 2
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MAX_POSES = 5_000_000
MAX_IMAGE_SIDE_PX = 100_000
#: What the 3D joints are called in what a prediction returns.
POSE = "pose_3d_mm"
#: Poses lifted at once, as in the evaluation.
LIFT_BATCH = 1024

Floats = NDArray[np.float32]


class BundleFacts(Section):
    """What ``config.json`` of a bundle says."""

    kind: Literal["hipart-bundle"] = "hipart-bundle"
    format: PositiveInt = FORMAT
    config: PipelineConfig
    #: Actions that the tokenizer was trained to tell apart; none where no tokenizer is used.
    actions: tuple[str, ...]
    num_actions: PositiveInt | None
    weights_sha256: str


class Predictor:
    """Detected joints in; 3D joints, and the dense poses they were lifted from, out.

    The sums are made in double precision. In single precision a batch of another size, another
    machine or another runtime rounds differently; once in some thousand poses that decides
    between two tokens that are nearly equally probable, and moves the pose by millimetres. In
    double precision an answer is a function of the pose (docs/decisions/0032).
    """

    def __init__(self, facts: BundleFacts, weights: Mapping[str, Tensor], device: str) -> None:
        """Build the models; raises ValueError if the weights are not those of the config."""
        self.facts = facts
        self.device = torch.device(device)
        config = facts.config
        inputs = NUM_JOINTS
        #: The generated levels that the lifter takes.
        self.levels: tuple[int, ...] = ()
        self.tokenizer: Tokenizer | None = None
        self.prior: AnyPrior | None = None
        self._densifier: Densifier | None = None
        if config.lifter.dense_input != "none":
            self.levels = config.input_levels
            inputs += sum(self.levels)
            self.tokenizer = Tokenizer(config.tokenizer, facts.num_actions or 1)
            self.prior = build_prior(config.prior, self.tokenizer)
            self._fill(self.tokenizer, "tokenizer.", weights)
            self._fill(self.prior, "prior.", weights)
            coordinates, decode = config.data.coordinates, config.densify.decode
            self._densifier = Densifier(self.prior, self.tokenizer, coordinates, decode)
        self.lifter = build_lifter(config.lifter.model, inputs)
        self._fill(self.lifter, "lifter.", weights)

    @classmethod
    def load(cls, folder: Path, device: str = "cpu") -> "Predictor":
        """Read a bundle. Raises ValueError naming what is missing, damaged or too new."""
        facts = read_facts(folder)
        file = folder / WEIGHTS
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ValueError(f"{file}: cannot be read ({error.strerror})") from None
        if hashlib.sha256(content).hexdigest() != facts.weights_sha256:
            raise ValueError(
                f"{file}: damaged or exchanged, its SHA-256 is not the one in {CONFIG}; "
                "export or copy the bundle again"
            )
        try:
            return cls(facts, load_tensors(content), device)
        except (SafetensorError, RuntimeError) as error:
            raise ValueError(f"{file}: not the weights of {CONFIG} ({error})") from None

    @torch.inference_mode()
    def predict(
        self,
        poses: NDArray[Any],
        image_size: tuple[int, int],
        sequence: NDArray[Any] | None = None,
    ) -> dict[str, Floats]:
        """Lift 2D poses (N, 17, 2) in pixels of images of ``image_size`` (width, height).

        A temporal lifter takes them for consecutive frames; where they are several films, one
        after another, ``sequence`` (N,) numbers them. Others see every pose alone.

        Returns ``pose_3d_mm`` (N, 17, 3), relative to the root joint, in the camera's frame;
        and, unless the lifter takes the 17 joints alone, the generated levels in pixels:
        ``dense_2d`` (N, 48, 2) and ``fine_2d`` (N, 96, 2) in the paper. Raises ValueError for
        other shapes or values.
        """
        size = checked_size(image_size)
        pixels = checked_poses(poses)
        screen = torch.as_tensor(
            normalise_screen(pixels.astype(np.float64), size), device=self.device
        )
        self._check_extent(screen)
        films = checked_sequence(sequence, len(pixels))
        joined = self._predict(screen, torch.as_tensor(films, device=self.device))
        return {
            name: (values * 1000 if name == POSE else screen_to_pixels(values, size))
            .float()
            .numpy()
            for name, values in joined.items()
        }

    def _check_extent(self, screen: Tensor) -> None:
        """Raise ValueError for a pose that has no frame of its own to be made dense in."""
        coordinates = self.facts.config.data.coordinates
        found = without_extent(screen, coordinates) if self._densifier is not None else []
        if found:
            raise ValueError(
                f"array 'poses': all joints of pose {found[0]} are one point; this bundle makes "
                f"poses dense in data.coordinates {coordinates}, in which a pose needs some "
                "extent: leave it out"
            )

    def _predict(self, screen: Tensor, sequence: Tensor) -> dict[str, Tensor]:
        found = self._lift(screen, sequence)
        if self.facts.config.evaluation.flip:
            mirrored = self._lift(flip(screen), sequence)[POSE]
            found[POSE] = (found[POSE] + flip(mirrored)) / 2
        return found

    def _lift(self, screen: Tensor, sequence: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        seen = screen
        if self._densifier is not None:
            poses = self._densifier(screen)
            seen = torch.cat([screen, *(poses[level] for level in self.levels)], dim=1)
            found = {level_name(level): pose.cpu() for level, pose in poses.items()}
        model = self.facts.config.lifter.model
        return {POSE: lift(self.lifter, model, seen, sequence, LIFT_BATCH).cpu()} | found

    def _fill(self, model: nn.Module, prefix: str, weights: Mapping[str, Tensor]) -> None:
        own = {
            name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)
        }
        model.load_state_dict(own)
        model.requires_grad_(False).eval().double().to(self.device)


def level_name(level: int) -> str:
    """What the generated level of so many points is called in what a prediction returns."""
    return f"{LEVEL_NAMES[level]}_2d"


def read_facts(folder: Path) -> BundleFacts:
    """Read and check ``config.json`` of a bundle. Raises ValueError."""
    file = folder / CONFIG
    try:
        text = file.read_text()
        found = json.loads(text)
    except OSError as error:
        raise ValueError(f"{file}: cannot be read ({error.strerror}); is it a bundle?") from None
    except ValueError as error:
        raise ValueError(f"{file}: not JSON ({error})") from None
    if not isinstance(found, dict) or found.get("kind") != BUNDLE:
        raise ValueError(f"{file}: not the config of a bundle (kind must be {BUNDLE!r})")
    version = found.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(
            f"{file}: format {version} was written by a newer hipart-search; this one reads "
            f"formats up to {FORMAT}: upgrade it"
        )
    try:
        if isinstance(found.get("config"), dict):
            found["config"] = config_of(found["config"]).model_dump(mode="json")
        return BundleFacts.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise ValueError(f"{file}: {error}") from None


def checked_poses(poses: NDArray[Any]) -> Floats:
    """The poses as float32. Raises ValueError for another shape, too many, or NaN."""
    if poses.ndim != 3 or poses.shape[1:] != (NUM_JOINTS, 2):
        raise ValueError(f"array 'poses': shape {poses.shape}, allowed (N, {NUM_JOINTS}, 2)")
    if not 1 <= len(poses) <= MAX_POSES:
        raise ValueError(f"array 'poses': {len(poses)} poses, allowed 1 to {MAX_POSES}")
    if poses.dtype.kind not in "fiu":
        raise ValueError(f"array 'poses': type {poses.dtype}, allowed real numbers")
    with np.errstate(over="ignore"):
        pixels = poses.astype(np.float32)
    finite = np.isfinite(pixels).all(axis=(1, 2))
    if not finite.all():
        first = int(finite.argmin())
        raise ValueError(
            f"array 'poses': pose {first} holds {poses[first][~np.isfinite(pixels[first])][0]}, "
            "allowed finite pixel coordinates"
        )
    return pixels


def checked_sequence(sequence: NDArray[Any] | None, count: int) -> NDArray[np.int64]:
    """The film of each pose, numbered from 0 in turn. Raises ValueError for another shape.

    Films are runs of equal numbers: one may not go on after another began.
    """
    if sequence is None:
        return np.zeros(count, np.int64)
    if sequence.shape != (count,) or sequence.dtype.kind not in "iu":
        raise ValueError(
            f"array 'sequence': shape {sequence.shape}, type {sequence.dtype}, "
            f"allowed ({count},) whole numbers, one for each pose"
        )
    films = np.cumsum(np.diff(sequence, prepend=sequence[:1]) != 0)
    if films[-1] + 1 != len(np.unique(sequence)):
        raise ValueError("array 'sequence': the poses of one film must stand together, in order")
    return films


def checked_size(image_size: tuple[Any, ...]) -> tuple[int, int]:
    """Width and height. Raises ValueError unless they are two whole numbers of pixels."""
    sides = [side for side in image_size if isinstance(side, int | float) and side % 1 == 0]
    if len(image_size) != 2 or not sum(0 < side <= MAX_IMAGE_SIDE_PX for side in sides) == 2:
        raise ValueError(
            f"array 'image_size': {list(image_size)}, allowed [width, height], whole pixels "
            f"from 1 to {MAX_IMAGE_SIDE_PX}"
        )
    return int(sides[0]), int(sides[1])
