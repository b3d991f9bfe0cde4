"""What ``hipart-search data doctor`` says of a user's files, finding by finding."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["wrong", "missing", "good", "note"]


@dataclass(frozen=True)
class Finding:
    """Something that is ``wrong`` or ``missing`` and in the way, or that is as it should be."""

    kind: Kind
    what: str

    def __str__(self) -> str:
        return f"{self.kind:8}{self.what}"


def verdict(found: Sequence[Finding]) -> str:
    """One line: the first thing that is wrong, else the first that is missing, else that all is."""
    for kind in ("wrong", "missing"):
        of_kind = [one for one in found if one.kind == kind]
        if of_kind:
            more = f" (and {len(of_kind) - 1} more)" if len(of_kind) > 1 else ""
            return f"{kind}: {of_kind[0].what}{more}"
    return "ready: everything that `hipart-search data prepare` needs is there and agrees"


def tried(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; the ValueError that ends it is what is wrong."""
    try:
        yield from check()
    except ValueError as error:
        yield Finding("wrong", str(error))
