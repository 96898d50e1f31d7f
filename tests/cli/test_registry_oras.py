"""ORAS, the client of the OCI project, reads what was pushed."""

import json
import os
import shutil
import subprocess

import pytest
from real_registry import shared
from terminal import run

pytest.importorskip("oras", reason="the extra `oci` is not installed")
ORAS = os.environ.get("OLLAMA_PACK_TEST_ORAS") or shutil.which("oras")
pytestmark = pytest.mark.skipif(
    not ORAS, reason="NOT TESTED: no oras here, and OLLAMA_PACK_TEST_ORAS names none"
)


def oras(*words: object) -> str:
    """Return what the program says."""
    return subprocess.run([ORAS, *map(str, words)], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("words", [(), ("--with-base",)])
def test_oras_reads_a_release(pushable, distribution, tmp_path, words):
    """It lists the release and the record that belong to what the tag names, and fetches the same files."""
    host = distribution()
    assert run("push", pushable, f"oci://{host}/team/ada:1", *words).code == 0
    listed = json.loads(oras("discover", "--plain-http", "--format", "json", f"{host}/team/ada:1"))
    kinds = {each["artifactType"].split(".")[-2] for each in listed["referrers"]}
    assert kinds == ({"record", "release"} if words else {"record"})
    tag = "1-release" if words else "1"
    oras("pull", "--plain-http", f"{host}/team/ada:{tag}", "-o", tmp_path / "out")
    assert shared(tmp_path / "out") == shared(pushable)
