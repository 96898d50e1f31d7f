"""``verify --policy``: a release is used only if it is as a file requires, and its signer says so."""

import json

import pytest
from terminal import run
from test_release_command import PAPERS
from test_signed_release import keys, signed, write_keys  # noqa: F401 — fixtures

from ollama_pack.pipeline.release.policy import Policy, read_policy, require_policy
from ollama_pack.pipeline.release.signing import Signer

RIGHT = """\
[signature]
keys = ["other-public.pem", "ada-public.pem"]
[base]
models = ["tiny:latest"]
digests = ["{manifest}"]
[proofs]
required = ["numbers", "base"]
"""


@pytest.fixture
def write_policy(tmp_path, signed):  # noqa: F811
    """Return a function that writes a policy beside the keys, with the base that was used."""
    write_keys(tmp_path, "other")
    record = json.loads((signed / "release.json").read_text())
    assert set(PAPERS) <= {path.name for path in signed.iterdir()}

    def write(text=RIGHT):
        path = tmp_path / "policy.toml"
        path.write_text(text.replace("{manifest}", record["base"]["manifest"]))
        return path

    return write


def test_a_release_as_required(signed, write_policy):  # noqa: F811
    """The signature is the first proof and the policy the second; then come the others."""
    ran = run("verify", signed, "--policy", write_policy(), "--json")
    assert ran.code == 0, ran.stderr
    proofs = ran.document["proofs"]
    assert [each["proof"] for each in proofs][:3] == ["signature", "policy", "sums"]
    assert "signed by the key ada-public.pem" in proofs[0]["summary"]
    assert "policy.toml requires" in proofs[1]["summary"]


BROKEN = {
    "another signer": ('"ada-public.pem"', '"other-public.pem"', "not-signed"),
    "another base": ("tiny:latest", "vicuna:7b", "its base is tiny:latest, not vicuna:7b"),
    "another digest": ("{manifest}", f"sha256:{'0' * 64}", "which the policy does not list"),
    "a proof that was not made": ('"base"]', '"base", "prompt"]', "the proof of prompt was not made"),
    "a licence": ("[proofs]", '[licenses]\nallowed = ["mit"]\n[proofs]', "under no licence"),
}


@pytest.mark.parametrize(("old", "new", "told"), BROKEN.values(), ids=BROKEN)
def test_a_release_that_is_not_as_required(signed, write_policy, old, new, told):  # noqa: F811
    """It ends with exit code 5 before anything else is proved, and says what is missing."""
    assert old in RIGHT
    ran = run("verify", signed, "--policy", write_policy(RIGHT.replace(old, new)), "--json")
    assert ran.code == 5
    error = ran.document
    assert told in json.dumps(error)
    assert "sums" not in ran.stderr


def test_the_policy_may_be_changed(signed, write_policy):  # noqa: F811
    """What the hint offers is done: a policy that asks for less holds."""
    asked = RIGHT.replace('"base"]', '"base", "prompt"]')
    refused = run("verify", signed, "--policy", write_policy(asked))
    assert (refused.code, "change the policy" in refused.stderr) == (5, True)
    assert run("verify", signed, "--policy", write_policy()).code == 0


def test_what_is_changed_is_found_by_the_signature(signed, write_policy):  # noqa: F811
    """A record that is made to fit the policy is not the one that was signed."""
    policy = write_policy(RIGHT.replace("tiny:latest", "vicuna:7b"))
    path = signed / "release.json"
    path.write_text(path.read_text().replace("tiny:latest", "vicuna:7b"))
    ran = run("verify", signed, "--policy", policy)
    assert (ran.code, "signature does not hold" in ran.stderr.replace("\n", " ")) == (5, True)


def test_a_policy_needs_a_signer(signed, write_policy):  # noqa: F811
    """Without one, anybody could write the record; the hint names the keys that make it right."""
    ran = run("verify", signed, "--policy", write_policy(RIGHT.partition("[base]")[2].join(("[base]", ""))))
    assert (ran.code, "names nobody who must have signed" in ran.stderr) == (2, True)
    assert "[signature] with keys or identities" in ran.stderr
    assert run("verify", signed, "--policy", write_policy()).code == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("required", "requierd", "line 7: proofs.requierd"),
        ("[proofs]", "[prove]", "line 6: prove"),
        ('["numbers", "base"]', "3", "line 7: proofs.required"),
        ('keys = ["other-public.pem", "ada-public.pem"]', "identities = [{ identity = 3 }]", "line 2"),
        ("[base]", "[base", "line 3"),
    ],
)
def test_a_policy_that_is_wrong(signed, write_policy, old, new, told):  # noqa: F811
    """The error names the file, the line and the key."""
    ran = run("verify", signed, "--policy", write_policy(RIGHT.replace(old, new)))
    assert ran.code in (2, 3)
    assert told in ran.stderr
    assert "policy.toml" in ran.stderr


def test_identities(write_policy):
    """Identities of Sigstore are signers too."""
    entry = '{ identity = "ada@example.org", provider = "https://accounts.example.org" }'
    policy = read_policy(write_policy(f"[signature]\nidentities = [{entry}]"))
    assert policy.signers == (Signer(None, "ada@example.org", "https://accounts.example.org"),)


def test_one_who_signs_or_a_policy(signed, write_policy, keys):  # noqa: F811
    """Two answers to who must have signed contradict each other; an installed model has no signature."""
    assert run("verify", signed, "--policy", write_policy(), "--key", keys[1]).code == 2
    assert run("verify", "ada", "--policy", write_policy()).code == 2


def test_a_record_of_another_form(signed, write_policy, keys):  # noqa: F811
    """A record of a stranger that is damaged is an error of its file, also where the signature holds."""
    from ollama_pack.errors import InputError
    from ollama_pack.pipeline.release.signing import open_signer

    policy = read_policy(write_policy())
    for text in ("[]", "{}", '{"base": 3}', '{"base": {}, "proofs": [3], "licenses": {}}'):
        (signed / "release.json").write_text(text)
        (signed / "model.sig").unlink()
        open_signer("key", keys[0], {})(signed)
        with pytest.raises(InputError) as caught:
            require_policy(signed, policy)
        assert "release.json" in caught.value.where
    (signed / "release.json").unlink()
    open_signer("key", keys[0], {})(signed)
    with pytest.raises(Exception, match=r"no release\.json"):
        require_policy(signed, Policy(path=policy.path, signers=policy.signers))
