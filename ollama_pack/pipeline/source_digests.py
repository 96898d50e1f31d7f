"""The digests of the files that an adapter is read from, each of which is computed once."""

from pathlib import Path

from ollama_pack.disk.files import sha256_of_file


class SourceDigests:
    """Computes the digest of a file when it is first asked for, and keeps it.

    A merged file records the digests of the adapter's weights, and so does the lock file after it.
    """

    def __init__(self) -> None:
        self._taken: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Return the digest of a file, ``sha256:…``.

        Raises:
            DestinationError: the file cannot be read.
        """
        if path not in self._taken:
            self._taken[path] = sha256_of_file(path)
        return self._taken[path]
