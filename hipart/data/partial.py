"""What has come of a file that is being fetched, and which version of the file it is of."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

#: A partial file has this ending until it is whole.
PARTIAL = ".part"
#: What the server says of the version is kept beside it.
VERSION = ".version"
TAG, DATE, SIZE = "ETag", "Last-Modified", "Size"


class Partial:
    """The part of a file that is there; ``path`` never holds parts of two known versions."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self.path = target.with_name(target.name + PARTIAL)
        self._version = self.path.with_name(self.path.name + VERSION)

    def size(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def rest(self) -> dict[str, str]:
        """The headers that ask for the rest, if the server has that version still.

        A server that gave neither date nor tag knows no version, and is asked for the rest alone.
        """
        known = self._known()
        tag = known.get(TAG, "")
        version = tag if tag.startswith('"') else known.get(DATE, "")  # If-Range takes no weak tags
        return {"Range": f"bytes={self.size()}-"} | ({"If-Range": version} if version else {})

    def is_of(self, headers: Mapping[str, str], total: int | None) -> bool:
        """Whether an answer is of the version that was begun, as far as both say it.

        ``total`` is the size of the whole file, where the answer says it.
        """
        known, found = self._known(), _version_of(headers, total)
        if SIZE in known and SIZE in found and known[SIZE] != found[SIZE]:
            return False
        for name in (TAG, DATE):
            if name in known and name in found:
                return known[name] == found[name]
        return True

    def whole(self) -> int | None:
        """The size of the whole file, where the server said it when it was begun."""
        known = self._known()
        return int(known[SIZE]) if SIZE in known else None

    def begin(self, headers: Mapping[str, str], total: int | None) -> None:
        """Begin anew with the version that an answer is of, and the size it gives the file."""
        self.discard()
        version = _version_of(headers, total)
        if version:
            self._version.write_text(json.dumps(version), encoding="utf-8")

    def discard(self) -> None:
        """Forget all that came."""
        for path in (self.path, self._version):
            path.unlink(missing_ok=True)

    def finish(self) -> None:
        """What came is the file."""
        self._version.unlink(missing_ok=True)
        self.path.replace(self._target)

    def _known(self) -> dict[str, str]:
        try:
            found = json.loads(self._version.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        size = str(found.get(SIZE))
        return _version_of(found, int(size) if re.fullmatch(r"[0-9]{1,15}", size) else None)


def _version_of(headers: Mapping[str, str], total: int | None) -> dict[str, str]:
    """What a server says of a file's version: what can be sent back as it is, and the size."""
    said = {name: str(headers.get(name, "")).strip() for name in (TAG, DATE)}
    version = {name: text for name, text in said.items() if re.fullmatch(r"[ -~]{1,200}", text)}
    return version if total is None else version | {SIZE: str(total)}
