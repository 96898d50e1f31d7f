"""Files that hold one JSON object."""

import pytest

from ollama_pack.disk.files import read_json_object as read_config
from ollama_pack.errors import InputError


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{", "not JSON", id="half an object"),
        pytest.param(b"\xff{}", "not JSON", id="not UTF-8"),
        pytest.param(b"[" * 100_000, "not JSON", id="nested without end"),
        pytest.param(b"[]", "does not hold a JSON object", id="a list"),
        pytest.param(b"", "not JSON", id="empty"),
    ],
)
def test_damaged_json(tmp_path, content, message):
    """A configuration that is no JSON object is an InputError."""
    (tmp_path / "adapter_config.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_config(tmp_path / "adapter_config.json")


def test_missing_and_unreadable_configuration(tmp_path):
    """A file that cannot be read is told with the reason."""
    with pytest.raises(InputError, match="Is a directory"):
        read_config(tmp_path)
