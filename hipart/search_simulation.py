"""``--simulate``: a search without training, to try a strategy before it is paid for."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table as RichTable

from hipart.report.live import duration
from hipart.report.searches import counted
from hipart.scheduling.plan import Estimates
from hipart.search.budget import Limits
from hipart.search.landscape import made_up, read_landscape
from hipart.search.session import SearchSession, ranked
from hipart.search.simulation import simulate

#: Trials that are shown.
ROWS = 10


def simulate_search(session: SearchSession, limits: Limits, source: str, console: Console) -> None:
    """Run the search on a virtual clock, and show what a real one would have done.

    ``source`` is a simulation file, or "made-up". Nothing is written anywhere.
    """
    search = session.search
    given = source != "made-up"
    landscape = read_landscape(Path(source), search) if given else made_up(search)
    slots = session.runtime.workers or 2
    found = simulate(
        search,
        landscape,
        slots,
        limits,
        estimate=Estimates.of(session.store).seconds,
    )
    metrics = [f"{one.stage}/{one.name}" for one in search.objectives]
    rows = RichTable("trial", "point", *metrics, box=None, header_style="dim", padding=(0, 2, 0, 0))
    for record in ranked(search, found.study.complete)[:ROWS]:
        point = ", ".join(f"{name}={value}" for name, value in record.point.items())
        rows.add_row(str(record.number), point, *(f"{one:.4g}" for one in record.values or ()))
    busy = sum(end - start for start, end in found.executor.spans)
    now = found.executor.now
    console.print(
        f"SIMULATED: {'values of ' + source if given else 'made-up values'}. Nothing was trained."
    )
    console.print(rows)
    trials: Counter[str] = Counter(one.state for one in found.study.own)
    console.print(counted(trials, found.executor.trained), highlight=False)
    share = 100 * busy / (slots * now or 1)
    console.print(
        f"{duration(now)} on {slots} workers, busy {share:.0f} % of it; "
        f"{found.executor.epochs:.0f} epochs of lifters. It ended: {found.ended.reason}.",
        highlight=False,
    )
