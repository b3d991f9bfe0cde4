"""Texts that a person writes into a file: what is legible, and what fits on a line."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from hipart.experiment.errors import shown


def _legible(text: str) -> str:
    if not text.strip():
        raise ValueError("has blanks alone")
    if control := re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text):
        raise ValueError(f"has the control character {control.group()!r}")
    return text


def _on_a_line(text: str) -> str:
    if re.search(r"[\n\t\u2028\u2029]", text):
        raise ValueError(f"has a line break or a tab: {shown(text)}")
    if text != text.strip():
        raise ValueError(f"begins or ends with a blank: {shown(text)}")
    return text


Text = Annotated[str, Field(min_length=1), AfterValidator(_legible)]
#: What tables and messages call something by.
Name = Annotated[Text, AfterValidator(_on_a_line)]
