"""Markdown that shows any text as it is."""

import re


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return re.sub(r"[\\`*_<>|~]|\](?=[(\[:])", r"\\\g<0>", " ".join(text.split()))
