"""What the bones of other skeletons are called."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hipart.data.motion import BONES
from hipart.data.names import nearest, shown
from hipart.data.retarget import SIDES

#: Without these no limb has a direction and the body no scale; any other bone may be missing.
NEEDED = (
    "Hips",
    *(side + kind for side in SIDES for kind in ("UpLeg", "Leg", "Foot", "Arm", "ForeArm", "Hand")),
)


@dataclass(frozen=True)
class Rig:
    """Names of a skeleton: ``theirs`` by our bone, and which of our bones a file may lack."""

    theirs: Mapping[str, str]
    may_lack: frozenset[str] = frozenset()

    def joints(self, found: Iterable[str]) -> dict[str, str]:
        """Their joints by our bones, of those in ``found``. ValueError names what is missing."""
        found = list(found)
        missing = {
            ours: theirs
            for ours, theirs in self.theirs.items()
            if theirs not in found and ours not in self.may_lack
        }
        if missing:
            listed = ", ".join(
                f"{theirs}{'' if theirs == ours else f' (for {ours})'}{nearest(theirs, found)}"
                for ours, theirs in missing.items()
            )
            built_in = "; a skeleton with other names needs --rig MAP.yaml" if self.may_lack else ""
            raise ValueError(
                f"lacks {len(missing)} bone(s): {listed}; found: {shown(found)}{built_in}"
            )
        return {ours: theirs for ours, theirs in self.theirs.items() if theirs in found}


#: The names of CMU's recordings in cgspeed's conversion for MotionBuilder, which are ours.
CMU = Rig({bone: bone for bone in BONES}, frozenset(BONES) - frozenset(NEEDED))

_ACCLAIM = {
    "Hips": "root",
    **{"LowerBack": "lowerback", "Spine": "upperback", "Spine1": "thorax"},
    **{"Neck": "lowerneck", "Neck1": "upperneck", "Head": "head"},
}
for _side, _letter in (("Left", "l"), ("Right", "r")):
    _ACCLAIM |= {
        _side[0] + "HipJoint": _letter + "hipjoint",
        **{
            _side + ours: _letter + theirs
            for ours, theirs in {
                **{"UpLeg": "femur", "Leg": "tibia", "Foot": "foot", "ToeBase": "toes"},
                **{"Shoulder": "clavicle", "Arm": "humerus", "ForeArm": "radius", "Hand": "wrist"},
            }.items()
        },
    }
#: The names of Vicon's BodyBuilder in ASF files, which CMU's database and HDM05 have.
ACCLAIM = Rig({bone: _ACCLAIM[bone] for bone in BONES}, frozenset(BONES) - frozenset(NEEDED))


def read_rig(path: Path) -> Rig:
    """Read a map in YAML, one line ``our bone: their bone`` each. ValueError for a bad one."""
    try:
        held = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {error}") from None
    if not isinstance(held, dict):
        raise ValueError(f"{path}: must hold lines `our bone: their bone`, found {held!r:.80}")
    unknown = [f"{bone}{nearest(str(bone), BONES)}" for bone in held if bone not in BONES]
    if unknown:
        raise ValueError(
            f"{path}: unknown bone(s) of ours: {shown(unknown)}; ours are {', '.join(BONES)}"
        )
    lacking = [bone for bone in NEEDED if bone not in held]
    if lacking:
        raise ValueError(f"{path}: names no bone for {', '.join(lacking)}; these are needed")
    ours: dict[str, str] = {}
    for bone, theirs in held.items():
        if not isinstance(theirs, str) or not theirs:
            raise ValueError(f"{path}: {bone}: must be the name of a bone, found {theirs!r:.80}")
        if theirs in ours:
            raise ValueError(f"{path}: {theirs} is named for both {ours[theirs]} and {bone}")
        ours[theirs] = bone
    return Rig({bone: held[bone] for bone in BONES if bone in held})
