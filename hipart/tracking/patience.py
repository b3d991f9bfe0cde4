"""How long an MLflow server that is away is waited for."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from hipart.tracking.messages import End, Message

T = TypeVar("T")

#: It is asked again after so many seconds, twice as many each time, up to the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 5.0
#: How long it is waited for at a time when the run itself is over.
AWAY_S = {"FINISHED": float(os.environ.get("HIPART_MLFLOW_SECONDS", "120")), "KILLED": 5.0}


class Patience:
    """Endless while the run goes on, then bounded; once it is ``over`` nothing is tried again."""

    def __init__(self) -> None:
        self.over = False
        self._ended_at = self._bound_s = float("inf")

    def hear(self, messages: Sequence[Message | None]) -> None:
        """Look for the run's end in messages that have arrived; they may be handled much later."""
        for message in messages:
            if isinstance(message, End):
                self._ended_at, self._bound_s = time.monotonic(), AWAY_S[message.status]

    def insist(self, call: Callable[[], T], away: Callable[[Exception], bool]) -> T:
        """What the call returns, which is repeated for as long as its errors say ``away``."""
        since, pause = None, FIRST_PAUSE_S
        while True:
            try:
                return call()
            except Exception as error:
                if not away(error):
                    raise
                since = since or time.monotonic()
                self.over |= time.monotonic() >= max(since, self._ended_at) + self._bound_s
                if self.over:
                    raise
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
