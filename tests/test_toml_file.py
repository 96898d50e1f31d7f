"""TOML files: the line of every key, and what is wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.disk.toml_file import TomlFile, read_toml, tomllib
from ollama_pack.errors import InputError, UsageError

WRITTEN = '''# the first line
[options]
base = "smollm2:135m"

stop = [
  "a",
  "b",
]
[models."ada lovelace"]
system = """
You are Ada.
"""
scale = 0.5
'''
LINES = {
    ("options",): 2,
    ("options", "base"): 3,
    ("options", "stop"): 5,
    ("models",): 9,
    ("models", "ada lovelace", "system"): 10,
    ("models", "ada lovelace", "scale"): 13,
}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a file."""

    def write(content):
        path = tmp_path / "ollama-pack.toml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(("keys", "line"), LINES.items(), ids=map(".".join, LINES))
def test_the_line_of_a_key(written, keys, line, end):
    """The place of a key is the line on which it begins."""
    path = written(WRITTEN.replace("\n", end))
    assert read_toml(path).where(*keys) == f"{path}, line {line}: {'.'.join(keys)}"


def test_a_key_that_is_not_there_has_no_line(written):
    """Then the file is told, with the key."""
    path = written(WRITTEN)
    assert read_toml(path).where("options", "via") == f"{path}: options.via"


VALUES = st.sampled_from(
    [
        *("1", '"a"', '"a\u2028b\u0085c"', "[\n1,\n2,\n]", "{ a = 1 }", "{}", '# no value [ """ \''),
        *('"""\nx\n\ny"""', '"""\na ""] \\"""\n# " ""\n"""""', "'''\n\\ [ \"\"\"\n'''''", "'[#\"'"),
        *("[ # ]\n  '''\n]''', [\n],\n]", "2026-01-01T00:00:00Z # [", '"\\"["', '"\\\\" # "'),
    ]
)


@given(st.lists(st.tuples(st.booleans(), VALUES), min_size=1, max_size=12))
def test_lines_by_another_count(tmp_path_factory, rows):
    """Whatever stands before a key, its line is the one that counting the lines of the text gives."""
    text, expected, table = "", {}, ()
    for number, (opens, value) in enumerate(rows):
        if opens:
            table = (f"t{number}",)
            text += f"\n[t{number}]\n"
        if value.startswith("#"):
            text += f"{value}\n"
            continue
        expected[(*table, f"k{number}")] = text.count("\n") + 1
        text += f"k{number} = {value}\n"
    file = TomlFile(tmp_path_factory.getbasetemp() / "x.toml", text, tomllib.loads(text))
    for keys, line in expected.items():
        assert f", line {line}: " in file.where(*keys), text


@pytest.mark.parametrize(
    "content",
    [b"a = ", b"a = 1\na = 2", b"\xff\xfe", b"[" * 60_000, b"a = " + b"[" * 60_000, b"#" * 70_000],
    ids=["cut", "twice", "no UTF-8", "deep table", "deep list", "large"],
)
def test_what_is_no_toml(written, content):
    """The error names the file, and is one of the input."""
    path = written(content)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert caught.value.where.startswith(str(path))


def test_a_file_that_is_not_there(tmp_path):
    """It is an error of the input, too."""
    with pytest.raises(InputError, match="No such file"):
        read_toml(tmp_path / "none.toml")


def test_unknown_keys(written):
    """A key without a meaning is told with its line and the nearest that has one."""
    file = read_toml(written(WRITTEN.replace("base", "bsae")))
    with pytest.raises(UsageError, match="no key 'bsae'") as caught:
        file.require_keys({"base", "stop"}, "options")
    assert (caught.value.hint, caught.value.where.rpartition(", ")[2]) == (
        "write base",
        "line 3: options.bsae",
    )
    file = read_toml(written("x = 1"))
    with pytest.raises(UsageError) as caught:
        file.require_keys({"options", "models"})
    assert caught.value.hint == "the keys are models, options"


@pytest.mark.parametrize("keys", [("a",), ("t", "a"), ("a", "b")], ids=".".join)
def test_values_of_another_kind(written, keys):
    """A table or a list of texts that is something else is told."""
    file = read_toml(written("a = 1\n[t]\na = [1]\n"))
    with pytest.raises(UsageError, match="must be") as caught:
        file.texts(*keys)
    assert caught.value.code == "bad-value"
    assert file.texts("t", "none") == ()
    assert file.table("none", "at all") == {}


def test_the_work_grows_with_the_text(written, monkeypatch):
    """The parser takes a file twice to know the lines of all its keys, however many there are."""
    taken = []
    loads = tomllib.loads
    monkeypatch.setattr(tomllib, "loads", lambda text: taken.append(len(text)) or loads(text))
    models = "".join(f"[models.m{n}]\nbase = 'b'\nsystem = '''\nx\n'''\n" for n in range(300))
    file = read_toml(written(models))
    for n in range(300):
        assert f", line {5 * n + 3}: " in file.where("models", f"m{n}", "system")
    assert sum(taken) == 2 * len(models)


def test_keys_with_dots_and_tables_in_lists(written):
    """A key is found by its tables, however it is written."""
    file = read_toml(written('a . "b.c" = { d = 1 }\n[[x]]\ny = 1\n[[x]]\ny = 2\n [ p . q ] # z\n"r" = 1'))
    assert [file.where("a", "b.c", "d"), file.where("x"), file.where("p", "q", "r")] == [
        f"{file.path}, line {line}: {keys}" for line, keys in ((1, "a.b.c.d"), (2, "x"), (7, "p.q.r"))
    ]
