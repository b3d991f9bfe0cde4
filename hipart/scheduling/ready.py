"""Which of the jobs that could start goes first, and which go with it."""

from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Literal

from hipart.jobs import StageJob
from hipart.pipeline import PIPELINE
from hipart.scheduling.arrays import signature, trains_in_arrays

State = Literal["waiting", "running", "finished", "reused", "failed", "dropped"]
DEPTH = {name: depth for depth, name in enumerate(PIPELINE)}
#: A chain of jobs is urgent once it is as long as this share of the time that all open work will
#: take: early enough for chains that turn out longer than estimated (docs/decisions/0016).
URGENT = 1 / 3


@dataclass(eq=False)
class Node:
    """A distinct job and where it stands."""

    job: StageJob
    state: State
    number: int
    #: Estimated seconds of the job.
    seconds: float
    #: The same with the longest chain of jobs that need it.
    chain_s: float
    #: Those of the jobs that it needs which are not there yet.
    lacks: set["Node"] = field(default_factory=set)
    needed_by: list["Node"] = field(default_factory=list)
    #: How often its artifact was found gone or damaged.
    repeats: int = 0
    #: When it last started and finished, in the order of all starts and ends; 0 for never.
    started: int = 0
    finished: int = 0

    @property
    def could_start(self) -> bool:
        """Whether it waits for nothing but a worker."""
        return self.state == "waiting" and not self.lacks


class ReadyJobs:
    """Jobs whose needs are there.

    As long as there is time, the deepest stage of the earliest trial goes first, so that rows of
    the table finish early. The longest chain goes before it once that chain may decide when the
    run ends; with one slot none does.
    """

    def __init__(self, slots: int, array: int) -> None:
        self._slots = slots
        self._array = array
        # Nodes that have started since, or lack something again, are dropped when they come up.
        self._by_row: list[tuple[int, int, Node]] = []
        self._by_chain: list[tuple[float, int, Node]] = []
        self._alike: defaultdict[str, dict[int, Node]] = defaultdict(dict)
        self._numbers: set[int] = set()

    @property
    def count(self) -> int:
        """How many could start."""
        return len(self._numbers)

    def dropped(self, node: Node) -> None:
        """A job will not be started after all."""
        self._numbers.discard(node.number)
        if self._array > 1 and trains_in_arrays(node.job.stage):
            self._alike[signature(node.job)].pop(node.number, None)

    def add(self, node: Node) -> None:
        """Take in a job that could start."""
        self._numbers.add(node.number)
        heappush(self._by_row, (-DEPTH[node.job.stage], node.number, node))
        self.lengthened(node)
        if self._array > 1 and trains_in_arrays(node.job.stage):
            self._alike[signature(node.job)][node.number] = node

    def lengthened(self, node: Node) -> None:
        """Take note that the chain after a job has grown."""
        heappush(self._by_chain, (-node.chain_s, node.number, node))

    def take(self, free: int, left_s: float) -> list[Node]:
        """The job to start next, with those that train along; empty if there is none.

        ``free`` slots share the jobs that are alike; ``left_s`` are the seconds of all open work.
        """
        first = self._first(left_s)
        if first is None:
            return []
        nodes = self._with_it(first, free)
        self._numbers.difference_update(node.number for node in nodes)
        return nodes

    def _with_it(self, first: Node, free: int) -> list[Node]:
        """A job and those that train along."""
        if self._array == 1 or not trains_in_arrays(first.job.stage):
            return [first]
        alike = self._alike[signature(first.job)]
        size = min(self._array, -(-len(alike) // free))
        others = [number for number in sorted(alike) if number != first.number]
        return [alike.pop(number) for number in (first.number, *others[: size - 1])]

    def _first(self, left_s: float) -> Node | None:
        while self._by_row and not self._by_row[0][2].could_start:
            heappop(self._by_row)
        while self._by_chain and not self._by_chain[0][2].could_start:
            heappop(self._by_chain)
        if not self._by_chain:
            return None
        longest = self._by_chain[0][2]
        urgent = self._slots > 1 and longest.chain_s >= URGENT * left_s / self._slots
        return longest if urgent else self._by_row[0][2]
