"""Markdown that shows any text as it is."""

import re


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    text = re.sub(r"&(?=#?\w+;)", "&amp;", " ".join(text.split()))
    return re.sub(r"[\\`*_<>|~]|\](?=[(\[:])", r"\\\g<0>", text)
