"""Names that look like known ones and are others."""

import re

from ollama_pack.base.catalog import load_catalog
from ollama_pack.base.lookup import find_entry


def test_a_look_alike_is_another_name():
    """The sign for kelvin is no k: an id that only looks like a known one is unknown."""
    ids = [entry.source_id for entry in load_catalog()]
    spoilt = {id_: re.sub("[kK](?=[^/]*$)", "\u212a", id_) for id_ in ids}
    changed = {id_: other for id_, other in spoilt.items() if other != id_}
    assert len(changed) > 10
    assert [other for other in changed.values() if find_entry(other) is not None] == []
