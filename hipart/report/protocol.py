"""What exactly a table's errors are, and beside which of them a published value may stand."""

from collections.abc import Iterable, Sequence

from hipart.experiment.design import Arm
from hipart.experiment.metrics import MetricChoice
from hipart.pipeline import FINAL_STAGE
from hipart.report.model import Column

#: The corpus of the paper's main tables.
PAPER_CORPUS = "h36m"
_ERRORS = {
    "mpjpe_mm": "MPJPE (Protocol 1): root-aligned",
    "p_mpjpe_mm": "PA-MPJPE (Protocol 2): after the best translation, rotation and scale of each "
    "sample, never a reflection",
    "n_mpjpe_mm": "N-MPJPE: root-aligned, after the best scale of each sample",
    "pck_pct": "PCK: share of root-aligned joints off by less than 150 mm",
    "auc_pct": "AUC: mean of PCK at 0, 5, ..., 150 mm",
    "mpjve_mm": "MPJVE: error of each root-aligned joint's step from frame to frame",
}


def told(columns: Iterable[Column], tried: Sequence[Arm]) -> str:
    """One sentence on all that a table shows of the evaluation; empty where that is nothing."""
    names = [name for stage, name in map(_metric, columns) if stage == FINAL_STAGE]
    shown = dict.fromkeys(_error(name) for name in names)
    errors = [_ERRORS[name] for name in shown if name in _ERRORS]
    if not errors:
        return ""
    measured = [name for name in names if _error(name) in _ERRORS]
    facts = [
        *errors,
        _mean(measured),
        _patch(tried),
        _mask(tried),
        _clips(measured, tried),
        _bodies(measured),
        _flip(tried),
    ]
    return f"Protocol: {'; '.join(fact for fact in facts if fact)}."


def comparable(arm: Arm, metric: MetricChoice) -> bool:
    """Whether an arm's published value is of what is measured beside it."""
    if arm.published is None or arm.published.metric_beside(metric) != metric.name:
        return False
    return not on_paper_corpus([arm]) or arm.config.evaluation.split == "test"


def on_paper_corpus(tried: Iterable[Arm]) -> bool:
    """Whether all is measured on the corpus of the paper's main tables."""
    return {arm.config.data.corpus for arm in tried} == {PAPER_CORPUS}


def _metric(column: Column) -> tuple[str, str]:
    stage, name = column.key.split("/")[:2]
    return stage, name


def _error(name: str) -> str:
    """The error that a metric is a mean of."""
    return name.replace("_frames", "").replace("_sound", "").replace("_fit", "")


def _mean(names: Sequence[str]) -> str:
    if all("_frames" in name for name in names):
        return "means over all samples"
    mean = "means over actions of per-sample values"
    return f"{mean}, or where it says so over all samples" if _some("_frames", names) else mean


def _clips(names: Sequence[str], tried: Sequence[Arm]) -> str:
    if all("_sound" in name for name in names):
        return "without damaged clips"
    if _some("_sound", names):
        return "damaged clips included but where it says sound"
    return "damaged clips included" if on_paper_corpus(tried) else ""


def _bodies(names: Sequence[str]) -> str:
    over = "over frames that a body was fitted to"
    if all("_fit" in name for name in names):
        return f"{over}, which alone have exact dense points"
    return f"over all frames but where it says with a body: {over}" if _some("_fit", names) else ""


def _patch(tried: Sequence[Arm]) -> str:
    patched = any(arm.config.occlusion.kind == "patch" for arm in tried)
    return "under a sliding patch of visible joints at its worst place" if patched else ""


def _mask(tried: Sequence[Arm]) -> str:
    masked = any(
        arm.config.occlusion.kind == "mask" and arm.config.occlusion.ratio for arm in tried
    )
    where = "masked joints anywhere in the person's box, each by itself"
    return f"{where}: gross errors of single joints, not a detector's behind a mask" * masked


def _flip(tried: Sequence[Arm]) -> str:
    flips = {arm.config.evaluation.flip for arm in tried}
    if len(flips) > 1:
        return "averaged with the mirrored pose in some arms"
    return "averaged with the mirrored pose" if True in flips else "no mirrored pose at test time"


def _some(part: str, names: Iterable[str]) -> bool:
    return any(part in name for name in names)
