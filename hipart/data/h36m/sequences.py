"""Human3.6M's sequences by their two kinds of names, and which of them are not what they say.

VideoPose3D names a sequence ("Sitting 1"), Pose2Mesh numbers it (action 9, subaction 1). Which is
which differs between subjects and follows no rule, so it was taken from the data set's own
metadata; ``hipart.data.h36m.join`` holds it against the joints themselves.
"""

from hipart.data.splits import Side

TRAIN_SUBJECTS = ("S1", "S5", "S6", "S7", "S8")
TEST_SUBJECTS = ("S9", "S11")
SUBJECTS = TRAIN_SUBJECTS + TEST_SUBJECTS
#: By Human3.6M's number of the action, from 2 on.
ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Photo", "Waiting", "Walking", "WalkDog"),
    "WalkTogether",
)
FIRST_ACTION = 2
#: What older files call them.
OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}
#: (action, subaction) -> name where it is not "Name 1" for subaction 1 and "Name" for 2.
EXCEPTIONS: dict[str, dict[tuple[int, int], str]] = {
    "S1": {(4, 1): "Eating 2", (9, 2): "Sitting 2", (10, 1): "SittingDown 2"},
    "S5": {
        **{(2, 2): "Directions 2", (3, 1): "Discussion 2", (3, 2): "Discussion 3"},
        **{(5, 2): "Greeting 2", (10, 1): "SittingDown", (10, 2): "SittingDown 1"},
        **{(12, 1): "Photo", (12, 2): "Photo 2", (13, 2): "Waiting 2"},
    },
    "S6": {
        **{(4, 2): "Eating 2", (7, 1): "Posing 2", (9, 2): "Sitting 2"},
        **{(12, 1): "Photo", (12, 2): "Photo 1", (13, 1): "Waiting 3"},
    },
    "S7": {
        **{(6, 1): "Phoning 2", (10, 1): "SittingDown", (10, 2): "SittingDown 1"},
        **{(12, 1): "Photo", (12, 2): "Photo 1", (13, 2): "Waiting 2", (14, 2): "Walking 2"},
    },
    "S8": {(10, 1): "SittingDown", (10, 2): "SittingDown 1", (16, 2): "WalkTogether 2"},
    "S9": {(3, 2): "Discussion 2", (10, 1): "SittingDown", (10, 2): "SittingDown 1"},
    "S11": {
        **{(3, 2): "Discussion 2", (5, 1): "Greeting 2", (6, 1): "Phoning 3"},
        **{(6, 2): "Phoning 2", (10, 1): "SittingDown", (10, 2): "SittingDown 1"},
        (11, 1): "Smoking 2",
    },
}
#: Left out by everybody: its recording is damaged (VideoPose3D, ``prepare_data_h36m.py``).
DROPPED = (("S11", "Directions"),)
#: S9's markers have moved here against the images (three sources; docs/data.md). Published numbers
#: include them, so both are reported.
DAMAGED = (("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1"))


def side_of(subject: str) -> Side:
    """Human3.6M's split."""
    return "test" if subject in TEST_SUBJECTS else "train"


def sequence_name(subject: str, action: int, subaction: int) -> str:
    """VideoPose3D's name of what Pose2Mesh numbers. ValueError for numbers that do not exist."""
    if subject not in SUBJECTS or subaction not in (1, 2):
        raise ValueError(f"there is no sequence {subject} {action}, {subaction}")
    found = EXCEPTIONS[subject].get((action, subaction))
    if found is not None:
        return found
    if not 0 <= action - FIRST_ACTION < len(ACTIONS):
        raise ValueError(f"there is no action {action}; they are {FIRST_ACTION} to 16")
    return ACTIONS[action - FIRST_ACTION] + (" 1" if subaction == 1 else "")


def renamed(name: str) -> str:
    """A sequence under the name that is used here, whatever its file calls it."""
    first, *rest = name.split(" ")
    return " ".join([OTHER_NAMES.get(first, first), *rest])


def action_of(name: str) -> str:
    """The action of a sequence, by its whole name: "SittingDown 1" is no Sitting.

    ValueError for an action that Human3.6M does not have.
    """
    action = renamed(name).split(" ")[0]
    if action not in ACTIONS:
        raise ValueError(f"{name!r} is no sequence of Human3.6M, whose actions are {ACTIONS}")
    return action
