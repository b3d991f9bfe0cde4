"""Samples drawn of a prepared corpus, and of the corpus that trains for a test set."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hipart.config import DataConfig, DetectorConfig
from hipart.data.detector import describe, detect
from hipart.data.plan import sides
from hipart.data.prepared import RECIPES, SHAPES, array_of, read_about
from hipart.data.samples import Corpus, Integers, Samples
from hipart.data.splits import SIDES, VALIDATION_SUBJECTS, Side
from hipart.data.subset import check_left_out, described, shared
from hipart.data.truth import truth_of
from hipart.skeleton import NUM_JOINTS

Indices = NDArray[np.int64]
_HELD = " and ".join(VALIDATION_SUBJECTS)


class _Home(NamedTuple):
    """A folder that samples of a side come from, and what it says of itself."""

    folder: Path
    about: Mapping[str, Any]

    def names(self, table: str) -> tuple[str, ...]:
        """A name table: ``action``, ``subject`` or ``clip``."""
        return tuple(self.about[f"{table}_names"])


def load_prepared(folder: Path, data: DataConfig, detector: DetectorConfig) -> Corpus:
    """The samples that these settings draw of a prepared corpus; no other ones are read.

    A test set names the corpus that trains for it. ValueError for a folder that is not there, not
    whole or of another form, and for more samples than there are.
    """
    training, testing = _homes(folder)
    made = {side: _drawn(training, testing, data, detector, side) for side in sides(data)}
    told = [testing.about["description"] + described(data)]
    if training is not testing:
        told.append(f"trained on {training.about['description']}")
    if data.validation_samples:
        told.append(f"{data.validation_samples} validation samples of {_HELD}")
    if detector.kind != "given":
        told.append(describe(detector))
    width, height = training.about["image_size"]
    return Corpus(
        train=made["train"],
        test=made["test"],
        validation=made.get("validation"),
        action_names=_joined(training, testing, "action"),
        subject_names=_joined(training, testing, "subject"),
        clip_names=_joined(training, testing, "clip"),
        image_size=(int(width), int(height)),
        fps={side: float(_home_of(side, training, testing).about["fps"]) for side in SIDES},
        fingerprint=testing.about["fingerprint"],
        description="; ".join(told),
        damaged=frozenset(testing.about["damaged"]),
        joints=tuple(testing.about.get("joints", range(NUM_JOINTS))),
        root=tuple(testing.about.get("root_joints", ())),
        partly_fitted=lacks_bodies(folder),
    )


def lacks_bodies(folder: Path) -> bool:
    """Whether some test frames of a prepared corpus have no dense points: no body fits them."""
    return bool(read_about(folder).get("without_body"))


def check_prepared(folder: Path, data: DataConfig, temporal: bool = False) -> None:
    """Raise the ValueError that ``load_prepared`` would, without reading a sample.

    A lifter that is ``temporal`` also needs frames that follow one another to train on.
    """
    training, testing = _homes(folder)
    for side in sides(data):
        rows = chosen_rows(_home_of(side, training, testing), data, side)
        if temporal and side == "train":
            sequence = array_of(training.folder, side, "sequence")[rows]
            check_consecutive(sequence, str(training.folder))


def check_consecutive(sequence: NDArray[np.int32], where: str) -> None:
    """Raise ValueError where no two training frames (N,) follow one another in a sequence."""
    if (sequence[1:] != sequence[:-1]).all():
        raise ValueError(
            f"{where}: no two of its {len(sequence)} training frames follow one another, so every "
            "window of a temporal lifter would show one frame over and over; prepare it from "
            "bodies of consecutive frames, or take a lifter of single frames"
        )


def training_clips_of(folder: Path, data: DataConfig) -> Integers:
    """The clip (N,) of every training sample that ``load_prepared`` would draw."""
    training, _ = _homes(folder)
    rows = chosen_rows(training, data, "train")
    return array_of(training.folder, "train", "clip")[rows].astype(np.int32)


def _homes(folder: Path) -> tuple[_Home, _Home]:
    """Where the samples that train and those that test come from: one folder, or two."""
    here = _Home(folder, read_about(folder))
    _check_recipe(here)
    given = here.about.get("train")
    if given is None:
        return here, here
    there = _Home(Path(given["folder"]), read_about(Path(given["folder"])))
    if there.about["fingerprint"] != given["fingerprint"]:
        raise ValueError(
            f"{folder}: was prepared beside another corpus than lies in {there.folder} now; "
            "prepare it again"
        )
    return there, here


def _home_of(side: Side, training: _Home, testing: _Home) -> _Home:
    return testing if side == "test" else training


def _check_recipe(home: _Home) -> None:
    """Refuse to test on what an earlier recipe made.

    A corpus that only trains for a test set goes on doing so; where its sequences have gaps,
    temporal lifters refuse them.
    """
    corpus = home.about["corpus"]
    wanted, held = RECIPES.get(corpus, 1), home.about.get("origin", {}).get("recipe", 1)
    if held < wanted:
        raise ValueError(
            f"{home.folder}: prepared by recipe {held} of {corpus}, and this version has recipe "
            f"{wanted}, which makes other samples of the same files; prepare it again"
        )


def _joined(training: _Home, testing: _Home, table: str) -> tuple[str, ...]:
    """The names of both, those of training first."""
    return tuple(dict.fromkeys((*training.names(table), *testing.names(table))))


def chosen_rows(home: _Home, data: DataConfig, side: Side) -> Indices:
    """Which rows of a side's arrays, rising, the settings draw.

    ValueError where there are none or fewer than are asked for.
    """
    folder, about = home
    stored: Side = "train" if side == "validation" else side
    if stored not in about["sides"]:
        beside = "; prepare it with --train CORPUS" if stored == "train" else ""
        raise ValueError(f"{folder}: has nothing to {stored} on{beside}")
    frame = array_of(folder, stored, "frame")
    kept = frame % (data.test_every if side == "test" else data.train_every) == 0
    if not (data.mirrored and side == "train"):
        kept &= array_of(folder, stored, "camera") < about.get("cameras", np.inf)
    elif not about.get("origin", {}).get("mirror"):
        raise ValueError(f"{folder}: has no mirror images; prepare it with --mirror")
    if stored == "train" and data.validation_samples:
        names = home.names("subject")
        held = [names.index(name) for name in VALIDATION_SUBJECTS if name in names]
        theirs = np.isin(array_of(folder, stored, "subject"), held)
        kept &= theirs if side == "validation" else ~theirs
    if side == "train" and (data.leave_out or data.share < 1):
        kept &= _trained(home, data, kept)
    rows = np.flatnonzero(kept)
    wanted = {
        "train": data.train_samples,
        "test": data.test_samples,
        "validation": data.validation_samples,
    }[side]
    if not len(rows) or (wanted or 0) > len(rows):
        raise ValueError(
            f"data.{side}_samples asks for {wanted or 'all'} samples of {len(rows)} in {folder}; "
            f"ask for fewer, or lower data.{'test' if side == 'test' else 'train'}_every"
        )
    if wanted is None:
        return rows
    chance = np.random.default_rng([data.seed, SIDES.index(side)])
    if data.sampling == "frames":
        return np.sort(rows[chance.permutation(len(rows))[:wanted]])
    sequence = array_of(folder, stored, "sequence")[rows]
    order = chance.permutation(np.unique(sequence))
    place = np.empty(int(sequence.max()) + 1, np.int64)
    place[order] = np.arange(len(order))
    taken = np.argsort(place[sequence], kind="stable")[:wanted]
    return np.sort(rows[taken])


def _trained(home: _Home, data: DataConfig, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which rows (N,) of the training side train, of those that could."""
    ids = {name: array_of(home.folder, "train", name) for name in ("subject", "action", "clip")}
    names = {name: home.names(name) for name in ids}
    present = {name: [names[name][at] for at in np.unique(ids[name][candidates])] for name in ids}
    check_left_out(data, present["subject"], present["action"])
    kept = candidates.copy()
    for table in ("subject", "action"):
        out = [at for at, name in enumerate(names[table]) if name in data.leave_out]
        kept &= ~np.isin(ids[table], out)
    clips = shared(
        (names["clip"][at] for at in np.unique(ids["clip"][kept])), data.share, data.seed
    )
    return kept & np.isin(
        ids["clip"], [at for at, name in enumerate(names["clip"]) if name in clips]
    )


def _drawn(
    training: _Home, testing: _Home, data: DataConfig, detector: DetectorConfig, side: Side
) -> Samples:
    home = _home_of(side, training, testing)
    rows = chosen_rows(home, data, side)
    stored: Side = "train" if side == "validation" else side
    samples = Samples(**{name: array_of(home.folder, stored, name)[rows] for name in SHAPES})
    if stored == "train" and not samples.fitted.all():
        lacking = int((~samples.fitted).sum())
        raise ValueError(
            f"{home.folder}: {lacking} of {len(samples)} {side} samples have no dense points, and "
            "only test frames can do without; prepare it again"
        )
    if home is not training:
        samples = _beside(samples, training, testing)
    if detector.kind == "given":
        return samples
    chance = np.random.default_rng([detector.seed, SIDES.index(side)])
    shown = truth_of(samples, float(home.about["fps"]))
    return replace(samples, detected_2d=detect(shown, detector, chance)[0])


def _beside(samples: Samples, training: _Home, testing: _Home) -> Samples:
    """Samples of a test set in the numbers and the image of the corpus that trains for it."""
    made = {name: getattr(samples, name) for name in SHAPES}
    for table in ("action", "subject", "clip"):
        joined = _joined(training, testing, table)
        numbers = np.array([joined.index(name) for name in testing.names(table)], np.int32)
        made[table] = numbers[made[table]]
    (width, height), (their_width, their_height) = (
        home.about["image_size"] for home in (training, testing)
    )
    # Screen coordinates x/w*2 - [1, h/w] stay what they are.
    scale = width / their_width
    down = np.array([0, (height - scale * their_height) / 2], np.float32)
    for name, points in made.items():
        if name.endswith("_2d"):
            made[name] = (points * scale + down).astype(np.float32)
    return Samples(**made)
