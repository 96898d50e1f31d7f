"""JSON of another shape than its reader needs: each finding is an error of its file, and no traceback."""

import contextlib
import io
import json
import struct
import tracemalloc
import zipfile

import pytest

from ollama_pack.disk.files import read_small
from ollama_pack.errors import DestinationError, InputError
from ollama_pack.formats.untrusted_json import (
    ShapeError,
    as_list,
    as_mapping,
    as_text,
    as_whole,
    file_errors,
    optional,
)
from ollama_pack.lora.peft.tokenizer import read_tokenizer
from ollama_pack.ollama.api_types import NEVER, read_listed, read_shown
from ollama_pack.ollama.daemon import Daemon
from ollama_pack.ollama.manifest import parse_manifest
from ollama_pack.ollama.manifest_list import LIST_TYPES, read_children
from ollama_pack.pipeline.lock import placed_sizes
from ollama_pack.pipeline.release.evidence import record_of_folder
from ollama_pack.run.pickle_scan import PLAIN_TENSORS, UNREAD, scan

LAYER = {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{'a' * 64}", "size": 1}
ODD = [None, True, 1, -1, 1.5, "x", [], [1], {}, {"a": 1}, 10**299, [[[]]], float("inf")]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd!r:.12}")
@pytest.mark.parametrize(("check", "kind"), [(as_mapping, dict), (as_list, list), (as_text, str)])
def test_a_value_is_of_its_kind_or_is_named(check, kind, odd):
    """What is of the kind passes as it is, and anything else is told with its key."""
    if isinstance(odd, kind):
        assert check(odd, "a.b") is odd
    else:
        with pytest.raises(ShapeError, match=r"a\.b is not a"):
            check(odd, "a.b")


@pytest.mark.parametrize("value", [-1, 1 << 63, True, 1.0, "1", None, float("inf")])
def test_what_is_no_size(value):
    """A size is a whole number that Go can hold."""
    with pytest.raises(ShapeError):
        as_whole(value, "size")
    assert as_whole((1 << 63) - 1, "size") == (1 << 63) - 1


def test_what_go_leaves_out():
    """A missing value and a null are the empty one; a value of another kind is none."""
    assert optional({}, "a", []) == optional({"a": None}, "a", []) == []
    with pytest.raises(ShapeError, match="a is not a list"):
        optional({"a": 0}, "a", [])


@pytest.mark.parametrize(
    "error", [ValueError, KeyError, OverflowError, RecursionError, MemoryError, struct.error]
)
def test_damage_is_an_error_of_the_file(error):
    """What reading damaged bytes raises names the file; a bug stays one."""
    with pytest.raises(InputError) as caught, file_errors("x.bin"):
        raise error("why")
    assert caught.value.where == "x.bin"
    with pytest.raises(TypeError), file_errors("x.bin"):
        raise TypeError


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd!r:.12}")
@pytest.mark.parametrize("key", ["config", "layers", "layers.0", "mediaType", "digest", "size", "from"])
def test_manifests(key, odd):
    """Whatever stands in a manifest, Infinity as a size too, it is read or is no manifest."""
    document = {"config": LAYER, "layers": [LAYER]}
    if key == "layers.0":
        document["layers"] = [odd]
    elif key in document:
        document[key] = odd
    else:
        document["config"] = {**LAYER, key: odd}
    for content in (document, {"mediaType": LIST_TYPES[0], "manifests": [document, odd]}):
        try:
            parse_manifest(json.dumps(content).encode(), where="m")
            read_children(json.dumps(content).encode(), where="m")
        except DestinationError as error:
            assert (error.what, error.where) == ("This is not the manifest of a model.", "m")


def test_a_list_that_go_could_not_write():
    """A child that is written out with NaN has no digest, and is no manifest."""
    content = json.dumps(
        {"mediaType": LIST_TYPES[0], "manifests": [{"config": LAYER, "schemaVersion": float("nan")}]}
    )
    with pytest.raises(DestinationError, match="not the manifest"):
        read_children(content.encode(), where="m")


@pytest.mark.parametrize(
    "base",
    [
        5,
        {"sizes": {}},
        {"sizes": {"blocks": -1}, "architecture": "llama"},
        {"sizes": {"heads_per_layer": [1]}, "architecture": "x"},
    ],
)
def test_locks_without_sizes(base):
    """A lock that says little of its base has no sizes to compare."""
    assert placed_sizes({"base": base}) is None
    assert (
        placed_sizes(
            {"base": {"sizes": {"blocks": 2, "heads_per_layer": [[2, 1]]}, "architecture": "x"}}
        ).blocks
        == 2
    )


def test_a_lock_with_a_name_that_no_file_has(tmp_path):
    """What the system refuses as the name of a file is told with the lock."""
    sources = [{"x" * 300: "sha256:x"}]
    lock = {"adapter": {"gguf": "sha256:x", "sources": sources}, "base": {}, "modelfile": "sha256:y"}
    (tmp_path / "ollama").mkdir()
    path = tmp_path / "ollama" / "ollama-pack.lock"
    path.write_text(json.dumps(lock))
    with contextlib.suppress(InputError):
        record_of_folder(path.parent)


def test_a_small_file_needs_little_memory(tmp_path):
    """The bound of a file is no buffer."""
    (tmp_path / "x.json").write_text("{}")
    tracemalloc.start()
    assert read_small(tmp_path / "x.json", 1 << 30) == b"{}"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_text_with_an_unknown_escape(tmp_path):
    """A pickle whose text has an escape that Python warns of is read without a warning."""
    (tmp_path / "x.bin").write_bytes(b"S'a\\q'\n.")
    assert scan(tmp_path / "x.bin").verdict == PLAIN_TENSORS


SHOWN = {
    "modelfile": "FROM x",
    "details": {"format": "gguf"},
    "model_info": {},
    "tensors": [{"name": "a", "shape": [1]}],
}
LISTED = {
    "models": [
        {"model": "a", "name": "a", "digest": "b", "modified_at": "", "size": 1, "details": {"runner": "x"}}
    ]
}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd!r:.12}")
@pytest.mark.parametrize(
    "key", ["modelfile", "details", "model_info", "tensors", "tensors.0", "name", "shape", "shape.0"]
)
def test_shown_models(key, odd):
    """A daemon's ``model_info: [1]`` is no Ollama's answer; neither is any other kind in another's place."""
    answer = json.loads(json.dumps(SHOWN))
    tensor = answer["tensors"][0]
    {
        "tensors.0": lambda: answer["tensors"].append(odd),
        "name": lambda: tensor.update(name=odd),
        "shape": lambda: tensor.update(shape=odd),
        "shape.0": lambda: tensor.update(shape=[odd]),
    }.get(key, lambda: answer.update({key: odd}))()
    try:
        shown = read_shown(answer)
    except ShapeError:
        return
    assert isinstance(shown.metadata, dict)
    assert all(isinstance(extent, int) for shape in shown.shapes.values() for extent in shape)


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd!r:.12}")
@pytest.mark.parametrize(
    "key", ["models", "models.0", "model", "digest", "modified_at", "size", "details", "runner"]
)
def test_listed_models(key, odd):
    """Whatever a daemon lists is read or refused."""
    answer = json.loads(json.dumps(LISTED))
    if key == "models":
        answer["models"] = odd
    elif key == "models.0":
        answer["models"] = [odd]
    elif key == "runner":
        answer["models"][0]["details"] = {"runner": odd}
    else:
        answer["models"][0][key] = odd
    try:
        assert all(model.size >= 0 for model in read_listed(answer))
    except ShapeError as error:
        assert key.partition(".")[0] in str(error) or odd == {} or key == "models"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-11-27T08:09:10.123456789+01:00", "2026-11-27T08:09:10.123456+01:00"),
        ("2026-11-27T08:09:10Z", "2026-11-27T08:09:10+00:00"),
        ("2026-11-27T08:09:10.5Z", "2026-11-27T08:09:10.500000+00:00"),
        *(
            (text, NEVER.isoformat())
            for text in ("", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z", "yesterday", "9" * 99)
        ),
    ],
)
def test_times_of_go(text, found):
    """A time has any number of digits behind the second; what is none stands for never."""
    assert read_listed({"models": [{"model": "a", "modified_at": text}]})[0].changed.isoformat() == found


@pytest.mark.parametrize("body", [b"[" * 100_000, b"[]", b'"x"', b"", b"\xff", b'{"version": "1"'])
def test_answers_of_something_else(body, fake_answer):
    """A program that is no daemon, or one that answers with depth, is told as such."""
    with Daemon(fake_answer(body)) as daemon:
        for ask in (
            daemon.loaded,
            daemon.version,
            daemon.models,
            daemon.loaded,
            lambda: daemon.show("a"),
            lambda: daemon.create("a", {"from": "b"}),
        ):
            with pytest.raises(DestinationError):
                ask()


@pytest.fixture
def fake_answer():
    """Return a function that starts a server with one answer, and returns its address."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    servers = []

    def start(body):
        class Answer(BaseHTTPRequestHandler):
            def answer(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815 — the base class's names

            def log_message(self, *args):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("key", ["added_tokens", "model"])
@pytest.mark.parametrize("odd", [5, True, "x", {"a": 1}, [5], [[]], 1.5])
def test_tokenizers(key, odd, tmp_path):
    """``"added_tokens": 5`` is a note that names the file."""
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"a": 0}}, "added_tokens": [], key: odd})
    )
    vocabulary, notes = read_tokenizer(tmp_path)
    assert vocabulary is not None or str(tmp_path / "tokenizer.json") in notes[0]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("place", [0.1, 0.4, 0.8])
def test_corrupt_archives(method, place, tmp_path):
    """A packed pickle whose bytes were changed is told, whatever the library raises."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("x/data.pkl", bytes(range(256)) * 20)
    content = bytearray(made.getvalue())
    start, end = content.index(b"data.pkl") + 8, content.rindex(b"PK\x01\x02")
    at = start + int((end - start) * place)
    content[at : at + 6] = b"\xff" * len(content[at : at + 6])
    (tmp_path / "x.pt").write_bytes(content)
    assert scan(tmp_path / "x.pt").verdict == UNREAD
