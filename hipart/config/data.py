"""Which poses there are, how joints are detected in them, and what is hidden at test time."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from hipart.config.section import NonNegativeInt, PositiveInt, Probability, Section, Seed


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in one order: they say the same in any."""
    return tuple(sorted(set(names)))


class DataConfig(Section):
    """Which poses there are: corpus, views and split. Detection noise is in DetectorConfig."""

    corpus: Literal["open", "h36m", "3dpw"] = "open"
    #: In which 2D coordinates tokenizer, prior and regressor work. body: each pose from the mean of
    #: its 17 detected joints, over their standard deviation; hip: from the detected hip, over one
    #: fixed scale; screen: where the image has it, which lifters always see. Generated points are
    #: put back with the same two numbers (docs/decisions/0039).
    coordinates: Literal["body", "hip", "screen"] = "body"
    #: How many samples of each split are drawn (camera-frames); None takes all there are.
    train_samples: PositiveInt | None = None
    test_samples: PositiveInt | None = None
    #: Samples held out of training, by which a search chooses; 0 holds none out. More than 0 takes
    #: a subject and the ends of clips from training, however many samples are drawn of them.
    validation_samples: NonNegativeInt = 0
    #: Single frames, or whole sequences of consecutive ones, as temporal lifters need them.
    sampling: Literal["frames", "sequences"] = "frames"
    #: Of a prepared corpus, only every so manieth frame of a recording; the paper's lineage trains
    #: dense models on every 5th and tests on every 50th.
    train_every: Annotated[int, Field(ge=1, le=1000)] = 1
    test_every: Annotated[int, Field(ge=1, le=1000)] = 1
    #: Train on mirror images, too: as many placements of mirrored motion on mirrored bodies again,
    #: or, of a prepared corpus, those that ``data prepare --mirror`` made.
    mirrored: bool = False
    #: Subjects and actions that do not train.
    leave_out: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_each_once)] = ()
    #: Share of the clips that train, drawn with ``seed``; a smaller one is part of a larger.
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    #: How often each clip is placed anew: random yaw and floor position.
    placements: Annotated[int, Field(ge=1, le=64)] = 4
    #: Half side, in metres, of the square in which a placement stands.
    floor_half_side_m: Annotated[float, Field(ge=0, le=2)] = 1.0
    seed: Seed = 0


class DetectorConfig(Section):
    """How the 17 input joints ``x_s`` are obtained. ``simulated`` is said so in every table."""

    #: given: the detections that came with the data, which the open corpus has none of.
    kind: Literal["simulated", "exact", "given"] = "simulated"
    #: What simulated errors are like. h36m: as measured on Human3.6M, joint by joint, growing with
    #: the person, with joints mirrored and missed (docs/decisions/0045). uniform: as the four
    #: settings say that follow ``correlation_s``, which are of it alone.
    profile: Literal["h36m", "uniform"] = "uniform"
    #: Of profile h36m: seconds in which the correlation of a joint's errors along a sequence falls
    #: to 1/e; 0 draws each frame anew. Assumed, for nobody published it.
    correlation_s: Annotated[float, Field(ge=0, le=10)] = 0.1
    #: Standard deviation of the Gaussian core, in pixels.
    noise_px: Annotated[float, Field(ge=0, le=100)] = 5.0
    #: Factor on the noise of wrists and ankles.
    extremity_factor: Annotated[float, Field(ge=1, le=10)] = 1.6
    #: Share of samples in which a rectangle or a limb is hidden.
    occlusion_probability: Probability = 0.3
    #: Scale of the heavy-tailed drift of a hidden joint, in pixels.
    occlusion_drift_px: Annotated[float, Field(ge=0, le=500)] = 25.0
    #: Whether tokenizer, prior and regressor train on one simulated detection of each sample, or on
    #: a new one every epoch. Lifters see one, the one that dense points are generated from.
    training_draws: Literal["once", "every_epoch"] = "every_epoch"
    seed: Seed = 0

    #: Settings of one profile alone.
    OF_PROFILE: ClassVar[dict[str, tuple[str, ...]]] = {
        "h36m": ("correlation_s",),
        "uniform": (
            "noise_px",
            "extremity_factor",
            "occlusion_probability",
            "occlusion_drift_px",
        ),
    }

    @model_validator(mode="after")
    def _of_its_profile(self) -> Self:
        for profile, settings in self.OF_PROFILE.items():
            for name in settings if profile != self.profile else ():
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} {getattr(self, name):g} is of profile {profile}, and profile is "
                        f"{self.profile}; set profile to {profile}, or leave {name} out"
                    )
        return self


class OcclusionConfig(Section):
    """What is hidden from the detector at test time (Table 7, Table 2's AdvOcc), joint by joint.

    A stand-in for masked images: nothing here looks at pixels, and every table says so.
    """

    #: mask: random patches of the person's box; crop: one side of the box; patch: the worst of
    #: all squares centred on a joint, with errors of the visible joints only.
    kind: Literal["none", "mask", "crop", "patch"] = "none"
    #: Share of the box that is masked or cropped.
    ratio: Annotated[float, Field(ge=0, lt=1)] = 0.0
    #: Side of the square, pixels.
    patch_px: Annotated[float, Field(gt=0, le=1000)] = 40.0
    seed: Seed = 0
