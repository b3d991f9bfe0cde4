"""The motion of the open corpus: DeepMimic's file format."""

import json

import numpy as np
from scipy.spatial.transform import Rotation

from hipart.data.retarget import ABOVE, CHILD, Recording

DOWN = np.array([0.0, -1.0, 0.0])
DEEPMIMIC_LEG = 0.421546 + 0.409870  # metres, from the model that these clips drive
DEEPMIMIC_LABELS = {"dance_a": "dance", "dance_b": "dance"} | {
    f"getup_{side}": "getup" for side in ("facedown", "faceup")
}


def deepmimic(text: str) -> Recording:
    """Read ``humanoid3d_*.txt``: faces +x with right = +z; each row starts with its duration."""
    rows = np.array(json.loads(text)["Frames"])
    turn = Rotation.from_euler("y", -90, degrees=True)  # +x forward becomes +z forward

    def ball(start: int) -> Rotation:
        local = Rotation.from_quat(rows[:, [start + 1, start + 2, start + 3, start]])
        return turn * local * turn.inv()

    def hinge(column: int) -> Rotation:
        return turn * Rotation.from_rotvec(np.outer(rows[:, column], [0, 0, 1])) * turn.inv()

    turned = {"Hips": ball(4)}
    bend, nod = (Rotation.from_rotvec(ball(c).as_rotvec() / 3) for c in (8, 12))
    for chain, step in ((("LowerBack", "Spine", "Spine1"), bend), (("Neck", "Neck1", "Head"), nod)):
        for bone in chain:
            turned[bone] = turned[ABOVE[bone]] * step
    for side, hip, shoulder in (("Right", 16, 25), ("Left", 30, 39)):
        turned[side + "UpLeg"] = turned["Hips"] * ball(hip)
        turned[side + "Leg"] = turned[side + "UpLeg"] * hinge(hip + 4)
        turned[side + "Foot"] = turned[side + "Leg"] * ball(hip + 5)
        turned[side + "Arm"] = turned["Spine1"] * ball(shoulder)
        turned[side + "ForeArm"] = turned[side + "Arm"] * hinge(shoulder + 4)
    straight = {side + bone: DOWN for side in ("Left", "Right") for bone in CHILD if bone != "Foot"}
    seconds = np.concatenate([[0], np.cumsum(rows[:-1, 0])])
    return Recording(seconds, turn.apply(rows[:, 1:4]), DEEPMIMIC_LEG, turned, straight)
