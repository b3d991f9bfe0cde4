"""What the numbers of a table allow to say, in words."""

from collections.abc import Sequence

from hipart.report.claims import Finding
from hipart.report.grid import number
from hipart.report.model import SIGNIFICANCE, Effect, Row

#: How a line on a claim begins.
CLAIM = "Claim"
#: With more arms or effects than this, not each is told.
SHOWN = 8


def over_seeds(rows: Sequence[Row]) -> str:
    """What the paired tests on the main metric allow to say, in words."""
    if len(rows) < 2:
        return ""
    seeds = max((row.cells[0].n for row in rows), default=0)
    tested = [row for row in rows if row.cells[0].p_holm is not None]
    count = f"{seeds} seed{'s' * (seeds != 1)}"
    if not tested:
        start = f"With {count} no" if seeds == 1 else "No"
        return (
            f"{start} difference to the base is tested: it takes two seeds in common that differ."
        )
    percent = f"{100 * SIGNIFICANCE:g} %"
    how = f"paired t-test over common seeds, Holm-corrected over {len(tested)} comparison"
    how += "s" * (len(tested) != 1)
    told = [row.arm for row in tested if row.cells[0].significant]
    if not told:
        return (
            f"With {count} no difference to the base can be told from noise at the {percent} "
            f"level ({how})."
        )
    return f"* differs from the base at the {percent} level ({how}): {'; '.join(told)}."


def over_clips(rows: Sequence[Row]) -> str:
    """What drawing the test clips anew says of these trained models."""
    found = [(row, row.cells[0].clips) for row in rows]
    tested = [clips for _, clips in found if clips]
    if not tested:
        return ""
    how = (
        f"clustered bootstrap over {tested[0].clips} clips, Holm-corrected over {len(tested)} "
        f"comparison{'s' * (len(tested) != 1)}; training noise is not in it"
    )
    told = [
        f"{row.arm} {_signed(clips.delta, clips.low, clips.high, decimals=1)}"
        for row, clips in found
        if clips and row.cells[0].significant_over_clips
    ]
    start = "With other test clips, but these trained models,"
    if not told:
        return f"{start} no difference to the base can be told ({how})."
    if len(told) > SHOWN:
        return f"{start} {len(told)} of {len(tested)} arms differ from the base ({how})."
    return f"{start} these differ from the base: {'; '.join(told)} ({how})."


def of_effects(found: Sequence[Effect]) -> list[str]:
    """Main effects and interactions, a line each; where they are many, those that hold."""
    if not found or all(one.p_holm is None for one in found):
        return []
    holding = [one for one in found if _holds(one)]
    shown = found if len(found) <= SHOWN else holding[:SHOWN]
    count = f"{found[0].pairs} seeds, Holm-corrected over {len(found)} effects"
    lines = [f"Effects over the cells of the design, {count}:"] if shown else []
    for one in shown:
        text = f"{'interaction' if ' x ' in one.name else 'effect of'} {one.name} "
        text += _signed(one.estimate, one.low, one.high, decimals=2)
        if one.p_holm is not None:
            text += f", p {told_p(one.p_holm)}"
        lines.append(text + ("*." if _holds(one) else ", cannot be told from zero."))
    rest = len(found) - len(shown)
    if rest:
        told = f"{len(holding) - len(shown)} more hold, " if len(holding) > len(shown) else ""
        told += f"{len(found) - len(holding)} effects cannot be told from zero"
        lines.append(f"{told}{'' if shown else f' ({count})'}; all are in table.json.")
    return lines


def of_claims(found: Sequence[Finding]) -> list[str]:
    """The paper's claims on these arms, a line each."""
    tested = sum(one.p_holm is not None for one in found)
    lines = []
    for one in found:
        text = f'{CLAIM} "{one.claim.says}" ({one.claim.place}): {one.verdict}'
        if one.gain is not None:
            gain = _signed(one.gain.mean, one.gain.low, one.gain.high, decimals=2)
            text += f", gain {gain} {one.unit}".rstrip()
        if one.p_holm is not None:
            text += f", p {told_p(one.p_holm)} ({one.pairs} seeds, Holm-corrected over {tested})"
        lines.append(f"{text}.")
    return lines


def told_p(value: float) -> str:
    """A p-value as it is printed."""
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _holds(effect: Effect) -> bool:
    return effect.p_holm is not None and effect.p_holm < SIGNIFICANCE


def _signed(value: float, low: float | None, high: float | None, decimals: int) -> str:
    text = number(value, decimals, "+")
    if low is None or high is None:
        return text
    return f"{text} [{number(low, decimals, '+')}, {number(high, decimals, '+')}]"
