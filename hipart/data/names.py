"""Names in messages: the nearest right one, and many in a row."""

import difflib
from collections.abc import Iterable

MAX_SHOWN = 80


def nearest(word: str, names: Iterable[str]) -> str:
    """A question with the nearest name, or nothing."""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.75)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""


def shown(names: Iterable[str]) -> str:
    """Names in a row, the first of them if they are many."""
    names = list(names)
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more if names else "none"
