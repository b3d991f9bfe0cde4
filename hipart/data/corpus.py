"""What the model eats: one form of arrays, whichever corpus they come from."""

import hashlib
from pathlib import Path

from hipart.config import DataConfig, DetectorConfig
from hipart.data.body import BODY_FILE
from hipart.data.cameras import IMAGE_SIZE
from hipart.data.detector import describe
from hipart.data.motion import motion_files, read_motion
from hipart.data.open_corpus import action_names, choose, make_samples
from hipart.data.plan import SUBJECTS, sides
from hipart.data.samples import Corpus, Samples
from hipart.data.splits import VALIDATION_SUBJECTS

__all__ = ["Corpus", "Samples", "check_corpus", "fingerprint", "load_corpus"]


def load_corpus(data: DataConfig, detector: DetectorConfig, motion: Path | None = None) -> Corpus:
    """Make the samples that these settings describe, from a motion folder or the packaged motion.

    A function of its arguments and the files alone. Raises ValueError for a folder that breaks
    docs/data.md and for more samples than there are.
    """
    recorded = read_motion(motion)
    made = make_samples(recorded, data, detector)
    poses = sum(len(clip) for clip in recorded.clips)
    source = "packaged motion" if motion is None else "own motion folder"
    held_out = (
        f", {data.validation_samples} validation samples of {' and '.join(VALIDATION_SUBJECTS)} "
        "held out of training"
        if data.validation_samples
        else ""
    )
    return Corpus(
        train=made["train"],
        test=made["test"],
        validation=made.get("validation"),
        action_names=action_names(recorded),
        subject_names=SUBJECTS,
        clip_names=tuple(clip.name for clip in recorded.clips),
        image_size=IMAGE_SIZE,
        fps=recorded.fps,
        fingerprint=fingerprint(data, motion),
        description=(
            f"{data.corpus} corpus, {source}: {len(recorded.clips)} clips, {poses} poses at "
            f"{recorded.fps:g} fps on 7 synthetic bodies{held_out}; {describe(detector)}"
        ),
    )


def check_corpus(data: DataConfig, motion: Path | None = None) -> None:
    """Raise the ValueError that ``load_corpus`` would, without making a sample."""
    recorded = read_motion(motion)
    for side in sides(data):
        choose(recorded, data, side)


def fingerprint(data: DataConfig, motion: Path | None = None) -> str:
    """16 hexadecimal digits of the SHA-256 of the motion and body files.

    Reads bytes only. Sampling settings and the detector are config and enter keys themselves.
    """
    digest = hashlib.sha256(data.corpus.encode())
    for path in (*motion_files(motion), BODY_FILE):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ValueError(f"{path}: cannot be read ({error.strerror})") from error
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]
