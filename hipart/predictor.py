"""Predict from an exported bundle: needs torch, numpy, einops, pydantic and safetensors alone."""

import hashlib
import json
import os
import zipfile
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
from hipart.models.densifier import Densifier
from hipart.models.lifters.build import build_lifter
from hipart.models.priors import build_prior
from hipart.models.tokenizer import Tokenizer
from hipart.models.windows import lift
from hipart.skeleton import LEVEL_NAMES, NUM_JOINTS

BUNDLE = "hipart-bundle"
FORMAT = 1
CONFIG, WEIGHTS = "config.json", "model.safetensors"
MAX_POSES = 5_000_000
MAX_IMAGE_SIDE_PX = 100_000
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
    """Detected joints in; 3D joints, and the dense poses they were lifted from, out."""

    def __init__(self, facts: BundleFacts, weights: Mapping[str, Tensor], device: str) -> None:
        """Build the models; raises ValueError if the weights are not those of the config."""
        self.facts = facts
        self.device = torch.device(device)
        config = facts.config
        inputs = NUM_JOINTS
        self._densifier: Densifier | None = None
        if config.lifter.dense_input != "none":
            self._levels = config.input_levels
            inputs += sum(self._levels)
            tokenizer = Tokenizer(config.tokenizer, facts.num_actions or 1)
            prior = build_prior(config.prior, tokenizer)
            self._fill(tokenizer, "tokenizer.", weights)
            self._fill(prior, "prior.", weights)
            self._densifier = Densifier(prior, tokenizer)
        self._lifter = build_lifter(config.lifter.model, inputs)
        self._fill(self._lifter, "lifter.", weights)

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
        screen = torch.as_tensor(normalise_screen(pixels, size), device=self.device)
        films = checked_sequence(sequence, len(pixels))
        joined = self._predict(screen, torch.as_tensor(films, device=self.device))
        return {
            name: (
                values * 1000 if name == "pose_3d_mm" else screen_to_pixels(values, size)
            ).numpy()
            for name, values in joined.items()
        }

    def _predict(self, screen: Tensor, sequence: Tensor) -> dict[str, Tensor]:
        found = self._lift(screen, sequence)
        if self.facts.config.evaluation.flip:
            mirrored = self._lift(flip(screen), sequence)["pose_3d_mm"]
            found["pose_3d_mm"] = (found["pose_3d_mm"] + flip(mirrored)) / 2
        return found

    def _lift(self, screen: Tensor, sequence: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        seen = screen
        if self._densifier is not None:
            poses = self._densifier(screen)
            seen = torch.cat([screen, *(poses[level] for level in self._levels)], dim=1)
            found = {f"{LEVEL_NAMES[level]}_2d": pose.cpu() for level, pose in poses.items()}
        model = self.facts.config.lifter.model
        return {"pose_3d_mm": lift(self._lifter, model, seen, sequence, LIFT_BATCH).cpu()} | found

    def _fill(self, model: nn.Module, prefix: str, weights: Mapping[str, Tensor]) -> None:
        own = {
            name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)
        }
        model.load_state_dict(own)
        model.requires_grad_(False).eval().to(self.device)


def predict_file(bundle: Path, source: Path, out: Path) -> int:
    """Predict an ``.npz`` with ``poses`` (N, 17, 2) and ``image_size`` (2,) into another.

    It may hold ``sequence`` (N,), the film of each pose, for a temporal lifter.
    Returns the number of poses; raises ValueError naming the file and what is wrong in it.
    """
    predictor = Predictor.load(bundle)
    arrays = _read_arrays(source)
    try:
        size = tuple(arrays["image_size"].tolist())
        found = predictor.predict(arrays["poses"], size, arrays.get("sequence"))
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    part = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, allow_pickle=False, **found)
        part.replace(out)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ValueError(f"{out}: cannot be written ({error.strerror})") from None
    return len(found["pose_3d_mm"])


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
        return BundleFacts.model_validate_json(text)
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


def _read_arrays(source: Path) -> dict[str, NDArray[Any]]:
    names: tuple[str, ...] = ("poses", "image_size")
    try:
        with zipfile.ZipFile(source) as archive:
            held = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        missing = [name for name in names if name not in held]
        if missing:
            raise ValueError(f"no array {missing[0]!r}, it holds {sorted(held)}, needs {names}")
        names += tuple(name for name in ("sequence",) if name in held)
        limit = MAX_POSES * NUM_JOINTS * 2 * 8 + 1024
        if max(held[name].file_size for name in names) > limit:
            raise ValueError(f"an array of more than {limit} bytes: at most {MAX_POSES} poses")
        with np.load(source, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names}
    except OSError as error:
        raise ValueError(f"{source}: cannot be read ({error.strerror or error})") from None
    except (zipfile.BadZipFile, EOFError, MemoryError) as error:
        raise ValueError(f"{source}: not an .npz file of numpy arrays ({error})") from None
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None
    if found["image_size"].shape != (2,):
        shape = found["image_size"].shape
        raise ValueError(f"{source}: array 'image_size': shape {shape}, allowed (2,)")
    return found
