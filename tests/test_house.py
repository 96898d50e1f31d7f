"""The rules of the house, read from the source itself."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "ollama_pack").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef

LONGEST_FILE, LONGEST_FUNCTION, MOST_PARAMETERS = 300, 50, 5
HEAVY = ("numpy", "torch", "llama_cpp", "gguf", "ollama", "httpx", "jinja2", "rich")
FOREIGN_PATHS = re.compile(r"(?<![\w.])/(?:work|root|mnt|Users)/\w|[A-Z]:\\Users\\")
DRAWERS = {"utils", "util", "helpers", "common", "core", "manager", "handler", "misc"}

each_file = pytest.mark.parametrize("path", SOURCES + TESTS, ids=lambda path: str(path.relative_to(ROOT)))
each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
each_test = pytest.mark.parametrize(
    "path",
    [path for path in TESTS if path.name.startswith("test_")],
    ids=lambda path: str(path.relative_to(ROOT)),
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> list[FUNCTIONS]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, FUNCTIONS)]


def public(path: Path) -> list[FUNCTIONS | ast.ClassDef]:
    """Return what a file offers: its functions and classes, and the methods of those classes."""
    offered = [node for node in tree(path).body if isinstance(node, FUNCTIONS | ast.ClassDef)]
    classes = [node for node in offered if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    methods = [node for owner in classes for node in owner.body if isinstance(node, FUNCTIONS)]
    return [node for node in offered + methods if not node.name.startswith("_")]


@each_file
def test_files_are_short(path):
    """No file is longer than a person reads in one sitting."""
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@each_file
def test_functions_are_short(path):
    """No function is longer than a screen."""
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def is_command(node: FUNCTIONS) -> bool:
    """Return whether click calls this function: its arguments are the command's options."""
    return any("command" in ast.unparse(decorator) for decorator in node.decorator_list)


@each_source
def test_functions_take_few_arguments(path):
    """More than five arguments are a missing noun; only click's commands have one for each option."""
    many = {}
    for node in functions(path):
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [argument.arg for argument in given if argument.arg not in ("self", "cls")]
        if len(names) > MOST_PARAMETERS and not is_command(node):
            many[node.name] = names
    assert many == {}


@each_source
def test_public_things_are_described(path):
    """The file, and every public function, class and method in it, has a docstring."""
    assert ast.get_docstring(tree(path)), "the file has none"
    assert [node.name for node in public(path) if not ast.get_docstring(node)] == []


@each_source
def test_private_functions_are_described(path):
    """A private function or method has a line that says what its name does not."""
    owners = [tree(path), *(node for node in tree(path).body if isinstance(node, ast.ClassDef))]
    inside = [node for owner in owners for node in owner.body if isinstance(node, FUNCTIONS)]
    private = [node for node in inside if re.match(r"_(?!_)", node.name)]
    assert [node.name for node in private if not ast.get_docstring(node)] == []


@each_test
def test_tests_are_described(path):
    """Every test says in a sentence what is true."""
    found = [node for node in functions(path) if node.name.startswith("test_")]
    sentences = {node.name: (ast.get_docstring(node) or "").strip() for node in found}
    assert [name for name, sentence in sentences.items() if not sentence.endswith(".")] == []


@each_test
def test_tests_are_told_apart(path):
    """No test hides another of the same name in its file, and no two files have one name."""
    names = [node.name for node in tree(path).body if isinstance(node, FUNCTIONS)]
    assert sorted(set(names)) == sorted(names)
    assert [other for other in TESTS if other.name == path.name] == [path]


@each_file
def test_no_drawers(path):
    """A file is a noun or a stage that a user could say aloud."""
    assert path.stem not in DRAWERS


@each_source
def test_nothing_is_caught_blindly(path):
    """No handler catches everything: a bug must stay one."""
    blind = ("Exception", "BaseException", None)
    caught = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    assert [node.lineno for node in caught if getattr(node.type, "id", node.type) in blind] == []


@each_source
def test_nothing_is_unpickled(path):
    """No user's file can run code here."""
    imported = {
        name.name for node in ast.walk(tree(path)) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {node.module for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom)}
    allowed = {"torch"} if path.name in ("torch_bin.py", "merge_worker.py") else set()
    assert not imported & {"pickle", "marshal", "shelve", "torch", "joblib", "dill"} - allowed


@each_source
def test_json_is_parsed_at_one_place(path):
    """JSON of strangers is parsed within bounds: by `parse_json`, or in a process that is limited itself."""
    if path.name == "untrusted_json.py" or path.name.endswith("_worker.py"):
        return
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    parsing = [node.lineno for node in calls if ast.unparse(node.func) in ("json.load", "json.loads")]
    answers = [node.lineno for node in calls if ast.unparse(node).endswith(".json()")]
    assert parsing + answers == []


def printing(source: str) -> list[int]:
    """Return the lines that write to the terminal without `ollama_pack/cli/say.py`."""
    ways = re.compile(
        r"print|click\.(echo|secho|echo_via_pager|confirm|prompt|style)|rich\.print|(sys\.)?std(out|err)\.write"
    )
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [node.lineno for node in calls if ways.fullmatch(ast.unparse(node.func))]


@each_source
def test_one_place_prints(path):
    """Nothing else writes to the terminal; the child processes with limits write to their parents."""
    if path.name != "say.py" and not path.stem.endswith("_worker"):
        assert printing(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "call",
    ["print(x)", "click.echo(x, err=True)", "sys.stderr.write(x)", "click.secho(x)", "click.confirm(x)"],
)
def test_printing_is_seen(call):
    """The search for other ways to print finds them."""
    assert printing(f"def f(x):\n    {call}") == [2]


def test_torch_makes_tensors_alone():
    """The one place that knows torch loads with `weights_only`, and nowhere without."""
    calls = [
        node
        for path in SOURCES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load"
    ]
    assert len(calls) == 1
    assert {"weights_only": "True"}.items() <= {
        word.arg: ast.unparse(word.value) for word in calls[0].keywords
    }.items()


def papers() -> list[Path]:
    """Return every text that is kept, but for what is built or installed beside it."""
    kept = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in (".md", ".toml", ".py", "")]
    for folder in ("ollama_pack", "tests", "docs", "templates", "examples", "bench", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (
                ".py",
                ".md",
                ".txt",
                ".json",
                ".tsv",
                ".toml",
                ".Modelfile",
                "",
            ):
                kept.append(path)
    return sorted(path for path in kept if "__pycache__" not in path.parts)


def test_no_machine_paths():
    """No text names a folder of the machine it was written on."""
    found = {}
    for path in papers():
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1):
            if FOREIGN_PATHS.search(line):
                found[f"{path.relative_to(ROOT)}:{number}"] = line.strip()
    assert found == {}


@pytest.mark.parametrize("line", ["see /" + "work/main", "cd /" + "root/x", "C:\\" + "Users\\ada"])
def test_machine_paths_are_seen(line):
    """The search for paths of a machine finds them."""
    assert FOREIGN_PATHS.search(line)


def test_command_line_is_light():
    """Importing the command line loads no heavy library: help is instant."""
    code = f"import sys, ollama_pack.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert ran.stdout.strip() == "[]"


def top_level_names(path: Path) -> set[str]:
    """Return what a file defines at its top level; names with two underscores on both sides are Python's."""
    found: set[str] = set()
    for node in tree(path).body:
        if isinstance(node, FUNCTIONS | ast.ClassDef):
            found.add(node.name)
        for target in [*getattr(node, "targets", ()), getattr(node, "target", None)]:
            found |= {each.id for each in ast.walk(target) if isinstance(each, ast.Name)} if target else set()
    return {name for name in found if not name.startswith("__")}


def test_a_name_has_one_meaning():
    """No two files of the package define the same name, private or not."""
    places: dict[str, list[str]] = {}
    for path in SOURCES:
        for name in top_level_names(path):
            places.setdefault(name, []).append(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
