"""Where a claimed job begins: at its checkpoint, where one it continues ended, or at nothing."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hipart.jobs import StageJob
from hipart.stages.checkpoint import (
    CHECKPOINT,
    STATE,
    checkpoint_step,
    copy_checkpoint,
    is_readable,
)
from hipart.stages.context import Report
from hipart.stages.history import HISTORY
from hipart.store import Artifact, ArtifactStore

#: Beside a job's checkpoint: which job it continues, and from which step.
CONTINUED = "continued.json"


@dataclass(frozen=True)
class Member:
    """A claimed job of an array: where it works, and to whom it reports."""

    job: StageJob
    work: Path
    report: Report


def begin(member: Member, store: ArtifactStore) -> dict[str, Any]:
    """Let a job without a checkpoint, or with a damaged one, begin where one it continues ended.

    Its folder says from now on what it is. Returns what the provenance says of the beginning.
    """
    (member.work / "identity.json").write_text(json.dumps(member.job.identity))
    checkpoint, note = member.work / CHECKPOINT, member.work / CONTINUED
    if not is_readable(checkpoint):
        for file in (checkpoint, note):
            file.unlink(missing_ok=True)
        earlier = _continued(member.job, store)
        if earlier is not None:
            state = earlier.file(STATE)
            step = checkpoint_step(state)
            shutil.copyfile(earlier.file(HISTORY), member.work / HISTORY)
            note.write_text(json.dumps({"continued": earlier.key, "continued_step": step}))
            copy_checkpoint(state, checkpoint)
    how: dict[str, Any] = json.loads(note.read_text()) if note.exists() else {}
    return {"resumed": checkpoint_step(checkpoint) > how.get("continued_step", 0), **how}


def forget_beginning(member: Member) -> None:
    """The job is done: its checkpoint is no part of the artifact."""
    for name in (CHECKPOINT, CONTINUED):
        (member.work / name).unlink(missing_ok=True)


def _continued(job: StageJob, store: ArtifactStore) -> Artifact | None:
    """What a job may go on from: the artifact that it names, if it has what that takes."""
    earlier = store.find(job.stage, job.continues) if job.continues else None
    if earlier is None or not earlier.file(STATE).exists() or not job.prolongs(earlier.identity):
        return None
    return earlier
