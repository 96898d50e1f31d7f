"""What is shipped: the wheel has the package, its tables and templates; the sdist what a wheel is made of."""

import email
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HOME = "https://github.com/ollama-pack/ollama-pack"
LARGEST_SDIST = 1_000_000
BUILD = "import sys, hatchling.build as build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def built(kind, source, target):
    """Build with hatchling, as pip would, and return the path of the result."""
    ran = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(target)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"hatchling must be installed and build:\n{ran.stderr}"
    return target / ran.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("build_wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    return built("build_sdist", ROOT, tmp_path_factory.mktemp("sdist"))


def shipped(folder, *endings):
    """Return the files of a folder of the checkout that belong into the wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix in endings and "__pycache__" not in path.parts
    }


def listing(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def contents(wheel):
    """Return the bytes of each file of a wheel, by its name."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def metadata_of(wheel):
    """Return the metadata of a wheel, which has the form of a mail's header."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


def test_wheel_has_the_package(wheel):
    """Every module, table and template of the checkout is in the wheel, and nothing else is."""
    code = shipped("ollama_pack", ".py", ".tsv", ".typed", ".html")
    templates = {f"ollama_pack/{name}" for name in shipped("templates", ".Modelfile")}
    names = listing(wheel)
    assert {name for name in names if ".dist-info/" not in name} == code | templates
    assert {"ollama_pack/py.typed", "ollama_pack/base/catalog.tsv"} <= names
    assert templates


def test_wheel_has_its_papers(wheel):
    """The licence, the readme and the command are in the wheel's description."""
    with zipfile.ZipFile(wheel) as archive:
        papers = {name.split("/", 1)[1]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = archive.read(papers["METADATA"]).decode()
        assert "licenses/LICENSE" in papers
        assert "ollama-pack = ollama_pack.cli:main" in archive.read(papers["entry_points.txt"]).decode()
    assert "Requires-Python: >=3.10" in metadata
    assert (ROOT / "README.md").read_text("utf-8").splitlines()[0] in metadata


def test_wheel_works(wheel, tmp_path):
    """Unpacked anywhere, the wheel finds its own templates and its catalog."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import ollama_pack; from ollama_pack.modelfile.template import template_names, find_template;"
        "from ollama_pack.base.catalog import load_catalog;"
        "print(ollama_pack.__file__, len(load_catalog()), *template_names(), sep='\\n');"
        "assert find_template('inherit').text"
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    place, rows, *templates = ran.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path)
    assert int(rows) > 100
    assert templates == sorted(path.stem for path in (ROOT / "templates").iterdir())


def test_wheel_names_its_people_and_places(wheel):
    """The wheel's metadata names the developers, the licence as SPDX, and the pages of the project."""
    metadata = metadata_of(wheel)
    urls = dict(line.split(", ") for line in metadata.get_all("Project-URL"))
    assert metadata["Author"] == "The ollama-pack developers"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert urls.keys() == {"Homepage", "Source", "Documentation", "Changelog", "Issues"}
    assert all(url == HOME or url.startswith(f"{HOME}/") for url in urls.values())
    for name in ("Documentation", "Changelog"):
        assert (ROOT / re.split(r"/(?:tree|blob)/main/", urls[name])[1]).exists()


def test_wheel_names_the_pythons_that_are_tested(wheel):
    """The classifiers have every Python of the workflow, and no other; the licence is no classifier."""
    classifiers = metadata_of(wheel).get_all("Classifier")
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text("utf-8"))
    tested = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    named = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(classifiers), re.M)
    assert named == tested == ["3.10", "3.11", "3.12", "3.13", "3.14"]
    assert metadata_of(wheel)["Requires-Python"] == f">={tested[0]}"
    assert not [line for line in classifiers if line.startswith("License ::")]


def test_sdist(sdist):
    """The sdist has the code, the templates and the papers, and no tests: it is what a wheel is made of."""
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    papers = {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "LICENSE"}
    code = shipped("ollama_pack", ".py", ".tsv", ".typed", ".html") | shipped("templates", ".Modelfile")
    papers |= shipped("docs", ".md", ".json")
    assert names - {"PKG-INFO", ".gitignore"} == {"pyproject.toml"} | papers | code


def test_sdist_is_small(sdist):
    """The sdist is below 1 MB."""
    assert sdist.stat().st_size < LARGEST_SDIST


def test_wheel_of_the_sdist(sdist, wheel, tmp_path):
    """A wheel made from the sdist has the same files, byte for byte, as one made from the checkout."""
    with tarfile.open(sdist) as archive:
        archive.extractall(
            tmp_path / "source", **({"filter": "data"} if hasattr(tarfile, "data_filter") else {})
        )
    (source,) = (tmp_path / "source").iterdir()
    (tmp_path / "out").mkdir()
    assert contents(built("build_wheel", source, tmp_path / "out")) == contents(wheel)


def test_templates_holds_templates_only():
    """No Python lies in templates/: hatchling would then refuse an editable install."""
    assert {path.suffix for path in (ROOT / "templates").iterdir()} == {".Modelfile"}
