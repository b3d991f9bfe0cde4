"""What the model eats: one form of arrays, whichever corpus they come from."""

import hashlib
from pathlib import Path

import numpy as np

from hipart.config import DataConfig, DetectorConfig
from hipart.data.body import BODY_FILE
from hipart.data.cameras import IMAGE_SIZE
from hipart.data.detector import describe
from hipart.data.motion import motion_files, read_motion
from hipart.data.open_corpus import action_names, choose, make_samples
from hipart.data.plan import SUBJECTS, make_plan, sides
from hipart.data.prepared import ABOUT, PLAN, read_about
from hipart.data.prepared_corpus import (
    check_prepared,
    lacks_bodies,
    load_prepared,
    training_clips_of,
)
from hipart.data.samples import Corpus, Integers, Samples
from hipart.data.splits import SIDES, VALIDATION_SUBJECTS
from hipart.data.subset import described

__all__ = [
    "Corpus",
    "Samples",
    "check_corpus",
    "corpus_name",
    "fingerprint",
    "is_partly_fitted",
    "is_prepared",
    "load_corpus",
    "overlay_name",
    "training_clips",
]


def corpus_name(folder: Path | None) -> str:
    """What ``data.corpus`` is called: a prepared corpus says it, motion makes the open one."""
    if folder is None or not is_prepared(folder):
        return "open"
    return str(read_about(folder)["corpus"])


def overlay_name(folder: Path | None, held_out: int) -> str:
    """Which overlay of a scale holds for these data: ``corpus_name``, or that of too little motion.

    A folder of motion from which fewer than ``held_out`` samples, which the scale holds out, can be
    trains on all that does not test.
    """
    name = corpus_name(folder)
    if folder is None or is_prepared(folder) or not held_out:
        return name
    plan = make_plan(read_motion(folder), DataConfig(validation_samples=held_out), "validation")
    return name if len(plan) >= held_out else "little motion"


def load_corpus(data: DataConfig, detector: DetectorConfig, folder: Path | None = None) -> Corpus:
    """Draw the samples that these settings describe: of a prepared corpus, or made from motion.

    ``folder`` holds one or the other; None is the packaged motion. A function of its arguments and
    the files alone. Raises ValueError for a folder that breaks docs/data.md and for more samples
    than there are.
    """
    _check_kind(data, detector, folder)
    if folder is not None and is_prepared(folder):
        return load_prepared(folder, data, detector)
    recorded = read_motion(folder)
    made = make_samples(recorded, data, detector)
    poses = sum(len(clip) for clip in recorded.clips)
    source = "packaged motion" if folder is None else "own motion folder"
    held_out = (
        f", {data.validation_samples} validation samples of {' and '.join(VALIDATION_SUBJECTS)} "
        "held out of training"
        if data.validation_samples
        else ""
    )
    trained = ", trained on its mirror images, too" if data.mirrored else ""
    trained += described(data)
    return Corpus(
        train=made["train"],
        test=made["test"],
        validation=made.get("validation"),
        action_names=action_names(recorded),
        subject_names=SUBJECTS,
        clip_names=tuple(clip.name for clip in recorded.clips),
        image_size=IMAGE_SIZE,
        fps=dict.fromkeys(SIDES, recorded.fps),
        fingerprint=fingerprint(data, folder),
        description=(
            f"{data.corpus} corpus, {source}: {len(recorded.clips)} clips, {poses} poses at "
            f"{recorded.fps:g} fps on 7 synthetic bodies{trained}{held_out}; {describe(detector)}"
        ),
    )


def is_partly_fitted(folder: Path | None) -> bool:
    """Whether some test frames have no dense points, because no body fits them."""
    return folder is not None and is_prepared(folder) and lacks_bodies(folder)


def check_corpus(
    data: DataConfig,
    detector: DetectorConfig,
    folder: Path | None = None,
    temporal: bool = False,
) -> None:
    """Raise the ValueError that ``load_corpus`` would, without making a sample.

    A lifter that is ``temporal`` also needs frames that follow one another to train on.
    """
    _check_kind(data, detector, folder)
    if folder is not None and is_prepared(folder):
        check_prepared(folder, data, temporal)
        return
    recorded = read_motion(folder)
    for side in sides(data):
        choose(recorded, data, side)


def training_clips(data: DataConfig, folder: Path | None = None) -> Integers:
    """The clip (N,) of every training sample that these settings draw, without making a sample."""
    if folder is not None and is_prepared(folder):
        return training_clips_of(folder, data)
    plan, chosen = choose(read_motion(folder), data, "train")
    return plan.views(chosen).clip.astype(np.int32)


def fingerprint(data: DataConfig, folder: Path | None = None) -> str:
    """16 hexadecimal digits of the SHA-256 of the motion and body files, or of a prepared corpus.

    Sampling settings and the detector are config and enter keys themselves.
    """
    if folder is not None and is_prepared(folder):
        return str(read_about(folder)["fingerprint"])
    digest = hashlib.sha256(data.corpus.encode())
    for path in (*motion_files(folder), BODY_FILE):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared corpus, or was begun to become one."""
    return any((folder / name).exists() for name in (ABOUT, PLAN))


def _check_kind(data: DataConfig, detector: DetectorConfig, folder: Path | None) -> None:
    found = corpus_name(folder)
    if data.corpus != found:
        remedy = "name its folder with --data" if found == "open" else "leave data.corpus out"
        raise ValueError(
            f"data.corpus is {data.corpus!r}, and the data given are {found!r}: {remedy}"
        )
    if found != "open":
        return
    if detector.kind == "given":
        raise ValueError(
            "detector.kind 'given' needs detections that came with the data, and the open corpus "
            "has none: use 'simulated' or 'exact'"
        )
    if max(data.train_every, data.test_every) > 1:
        raise ValueError(
            "data.train_every and data.test_every are of prepared corpora; of the open one fewer "
            "samples can be asked for"
        )
