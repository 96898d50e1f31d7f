"""docs/architecture.md, compared with the package: its rooms, its steps, and where libraries are imported."""

import ast
import importlib
import re

import pytest
from papers import PACKAGE, ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
SOURCES = sorted(PACKAGE.rglob("*.py"))
LIBRARIES = {
    *("click", "gguf", "httpx", "huggingface_hub", "jinja2", "llama_cpp", "matplotlib", "model_signing"),
    *(
        "numpy",
        "ollama",
        "oras",
        "peft",
        "requests",
        "rich",
        "safetensors",
        "sentencepiece",
        "torch",
        "transformers",
        "xllamacpp",
    ),
}
"""The foreign libraries that may be meant by an import."""

DIAGRAM = re.search(r"^```\n(.*?)^```", PAGE, re.M | re.S)[1]


def rows_below(header):
    """Return the cells of the table with this header, without backticks around the first."""
    lines = PAGE.splitlines()
    rows = []
    for line in lines[lines.index(header) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def contract():
    """Return the layers of the import contract, from the top, as pyproject.toml has them."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    block = re.search(r"^layers = \[\n(.*?)^\]", text, re.M | re.S)[1]
    return [layer.split(" | ") for layer in re.findall(r'"([^"]+)"', block)]


def names_of(kind):
    """Return the names of all functions, or of all classes, that a module of the package defines."""
    trees = [ast.parse(path.read_text("utf-8")) for path in SOURCES]
    return {node.name for tree in trees for node in tree.body if isinstance(node, kind)}


def test_rooms_are_the_contracts():
    """The page lists every room in the order of the import contract."""
    listed = [row[0].strip("`") for row in rows_below("| room | what lives there |")]
    assert listed == [room for layer in contract() for room in layer]


def test_rooms_are_the_folders():
    """Every folder and every module of the package is a room, but for its two entrances."""
    found = {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    found -= {"templates"}  # in a wheel they lie beside the rooms
    found |= {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert found == {room for layer in contract() for room in layer}


def test_rooms_beside_each_other_are_named():
    """The page says which rooms lie beside each other."""
    beside = [layer for layer in contract() if len(layer) > 1]
    assert beside
    page = " ".join(PAGE.split())
    for *first, last in beside:
        assert f"{', '.join(f'`{room}`' for room in first)} and `{last}`" in page


def test_each_room_is_one_line():
    """A room is described in one sentence, which says something of its own."""
    told = [row[1] for row in rows_below("| room | what lives there |")]
    assert len(set(told)) == len(told)
    assert all(30 <= len(sentence) <= 160 for sentence in told)


@pytest.mark.parametrize(
    ("step", "path"), [row[:2] for row in rows_below("| step | defined in | what it does |")]
)
def test_steps_exist(step, path):
    """Every step of the diagram is a function of the module that the table names."""
    name = path.strip("`")
    assert (ROOT / name).is_file()
    module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    function = getattr(module, step.strip("`"))
    assert function.__module__ == module.__name__


def test_the_diagram_is_the_table():
    """Every function of the diagram has a row, and every row is in the diagram."""
    drawn = re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", DIAGRAM) + re.findall(r"\bdeliver\b", DIAGRAM)
    told = [row[0].strip("`") for row in rows_below("| step | defined in | what it does |")]
    assert sorted(drawn) == sorted(told)
    assert set(drawn) <= names_of(ast.FunctionDef)


def test_the_diagram_has_values_of_the_package():
    """Every value of the diagram is a class of the package."""
    values = set(re.findall(r"\b[A-Z][A-Za-z]+\b", DIAGRAM))
    assert len(values) >= 8
    assert values <= names_of(ast.ClassDef)


def test_build_takes_these_steps():
    """Every step of the table is called by a module of the pipeline or of delivery."""
    told = {row[0].strip("`") for row in rows_below("| step | defined in | what it does |")}
    called = set()
    for path in [*(PACKAGE / "pipeline").glob("*.py"), *(PACKAGE / "deliver").glob("*.py")]:
        calls = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
        called |= {ast.unparse(call.func).rpartition(".")[2] for call in calls}
    assert told - called == set()


def imports():
    """Return library → the rooms that import it."""
    found = {}
    for path in SOURCES:
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for library in {module.split(".")[0] for module in modules} & LIBRARIES:
                found.setdefault(library, set()).add(room)
    return found


def test_libraries_are_where_the_page_says():
    """Every foreign library is imported in the rooms that the page names, and in no other."""
    rows = rows_below("| library | imported in |")
    assert {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows} == imports()


def test_changes_of_each_kind_have_a_place():
    """The page says where the changes go that people make, and by which tests or pages each is checked."""
    rows = rows_below("| you want to add | it goes into | and is checked by |")
    told = " ".join(row[0] for row in rows)
    for kind in (
        *(
            "architecture",
            "PEFT method",
            "file that trainers leave",
            "delivery",
            "proof",
            "command",
            "template",
        ),
        *("catalog", "version of Ollama", "message"),
    ):
        assert kind in told
    assert all("`" in row[1] and ("`" in row[2] or "README" in row[2]) for row in rows)
