"""Versions of a model: whatever is built and rolled back, nothing is lost and nothing is there twice."""

from collections.abc import Callable
from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from ollama_pack.deliver import history
from ollama_pack.deliver.history import KEPT_VERSIONS, version_name
from ollama_pack.deliver.package import Receipt
from ollama_pack.gguf.model_info import ModelInfo
from ollama_pack.ollama.models import InstalledModel, find_model
from ollama_pack.ollama.names import ModelName, parse_name


class Shelf:
    """Models in memory, that tell what was done to them."""

    option = ""

    def __init__(self) -> None:
        self.there: dict[str, tuple[str, int]] = {}
        self.clock = 0

    def entries(self) -> list[InstalledModel]:
        """Return all of them."""
        return [
            InstalledModel(parse_name(name), digest, datetime.fromtimestamp(when, timezone.utc))
            for name, (digest, when) in self.there.items()
        ]

    def write(self, name: ModelName, digest: str) -> None:
        """Have a model of this digest."""
        self.clock += 1
        self.there[str(name)] = (digest, self.clock)

    def copy(self, source: ModelName, target: ModelName) -> None:
        """Copy one."""
        self.write(target, self.there[str(source)][0])

    def delete(self, name: ModelName) -> None:
        """Forget one."""
        self.there.pop(str(name), None)

    def unload(self, name: ModelName) -> None:
        """There is no memory."""

    def has_adapter(self, _name: ModelName) -> bool:
        """Return that each has one."""
        return True

    def base_blob(self, _name: ModelName) -> str:
        """Return that nobody knows."""
        return ""

    def see(self, _name: ModelName) -> ModelInfo:
        """Return nothing: there are no headers here."""
        return ModelInfo("", {}, {})

    def why_broken(self, _name: ModelName) -> str:
        """Return that nothing is wrong."""
        return ""


names = st.from_regex(r"[a-z]{1,8}(:[a-z0-9][a-z0-9.]{0,78})?", fullmatch=True).map(
    lambda text: text if not text.endswith(("cloud", "local")) else "ada"
)


@given(names, names)
def test_no_two_models_share_a_version(one, other):
    """However long two tags are and however alike they begin: their versions have names of their own."""
    first, second = parse_name(one), parse_name(other)
    digest = "1a2b3c4d" * 8
    assert version_name(first, digest).same_as(version_name(second, digest)) == first.same_as(second)


@given(st.text("ab", min_size=72, max_size=80), st.text("ab", min_size=72, max_size=80))
def test_long_tags_share_no_version(one, other):
    """Tags that are cut are told apart, though they begin with the same 71 characters."""
    beginning = "a" * 71
    tags = [f"{beginning}{text}"[:80] for text in (one, other)]
    first, second = (parse_name(f"ada:{tag}") for tag in tags)
    digest = "1a2b3c4d" * 8
    assert version_name(first, digest).same_as(version_name(second, digest)) == first.same_as(second)


@given(names, st.lists(st.one_of(st.integers(0, 5), st.just("back")), max_size=12))
def test_the_law_of_versions(text, deeds):
    """Whatever is built and rolled back: no version is the current model, and at most KEPT + 1 stay."""
    models, name = Shelf(), parse_name(text)
    for deed in deeds:
        before = find_model(models, name)
        if deed == "back":
            known = history.versions(models, name)
            if known:
                history.rollback(models, name)
                assert find_model(models, name).digest == known[0].digest
        else:
            digest = f"{deed}".zfill(8) * 8
            history.replace_keeping_version(models, name, _builds(models, name, digest))
            assert find_model(models, name).digest == digest
        after = find_model(models, name)
        kept = [entry.digest for entry in history.versions(models, name)]
        assert len(kept) == len(set(kept)) <= KEPT_VERSIONS + 1
        assert after is None or after.digest not in kept
        assert before is None or before.digest in (after.digest, *kept)


def _builds(models: Shelf, name: ModelName, digest: str) -> Callable[[], Receipt]:
    def put() -> Receipt:
        models.write(name, digest)
        return Receipt(via="test", name=str(name), digest=digest, where="", bytes_written=0, lines=("done",))

    return put
