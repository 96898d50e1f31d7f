"""The provenance and the test result of a release, as in-toto statements that a platform can sign.

They have no time and no builder's address: a statement says what the files were made of, and whoever signs it
says when and where.
"""

from collections.abc import Mapping
from typing import Any

from ollama_pack.pipeline.release.papers.names import RECORD_NAME, name_of_base

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
HOME = "https://github.com/ollama-pack/ollama-pack"
BUILD_TYPE = f"{HOME}/blob/main/docs/release.md#build-type"


def provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SLSA provenance of a release, made of its record."""
    base, version = record["base"], record["ollama_pack"]
    dependencies = [
        {"name": f"adapter {number}: {name}", "digest": _digest_set(digest)}
        for number, files in enumerate(record["adapter"]["sources"], 1)
        for name, digest in sorted(files.items())
    ]
    named = name_of_base(record)
    for part in ("manifest", "blob"):
        if base[part]:
            dependencies.append({"name": f"base {part}: {named}", "digest": _digest_set(base[part])})
    dependencies.append({"name": "ollama-pack", "uri": f"pkg:pypi/ollama-pack@{version}"})
    return {
        "_type": STATEMENT,
        "subject": _subjects(record),
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"model": record["model"], **record["options"]},
                "internalParameters": {},
                "resolvedDependencies": dependencies,
            },
            "runDetails": {"builder": {"id": HOME, "version": {"ollama-pack": version}}},
        },
    }


def test_result(record: Mapping[str, Any], record_digest: str) -> dict[str, Any]:
    """Return the test result of a release: proofs and cases that passed, and those that are only a warning.

    Warnings are proofs that were not made, and prompts that differ, since without --strict both are allowed.

    Args:
        record: the record of the release.
        record_digest: the SHA-256 of its file, which has the figure and the limit of each proof.
    """
    warned = [each["proof"] for each in record["proofs"] if not each["passed"]] + record["not_proved"]
    tested = record.get("cases", {}).get("files", ())
    return {
        "_type": STATEMENT,
        "subject": _subjects(record),
        "predicateType": TEST_RESULT,
        "predicate": {
            "result": "WARNED" if warned else "PASSED",
            "configuration": [
                {"name": RECORD_NAME, "digest": {"sha256": record_digest}},
                *({"name": each["name"], "digest": {"sha256": each["sha256"]}} for each in tested),
            ],
            "passedTests": [each["proof"] for each in record["proofs"] if each["passed"]],
            "warnedTests": warned,
            "failedTests": [],
        },
    }


def _subjects(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the files of a release as subjects."""
    return [{"name": each["name"], "digest": {"sha256": each["sha256"]}} for each in record["files"]]


def _digest_set(digest: str) -> dict[str, str]:
    """Return a digest ``sha256:…`` as a set of digests."""
    algorithm, _, digits = digest.rpartition(":")
    return {algorithm or "sha256": digits}
