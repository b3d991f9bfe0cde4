"""Environments for the processes that tests start."""

import os


def unmeasured() -> dict[str, str]:
    """The environment without what would count the copy into the coverage of the package."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
