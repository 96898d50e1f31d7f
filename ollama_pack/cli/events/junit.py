"""Proofs as test results in JUnit's XML: a suite for each model, and a case for each proof."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from ollama_pack.cli.events.event import Event, messages
from ollama_pack.cli.events.results import result_rows
from ollama_pack.errors import one_line, printable
from ollama_pack.shown import hide_passwords


def junit(events: Sequence[Event], _environment: Mapping[str, str]) -> str:
    """Return the proofs of every result, and every error, as JUnit's XML.

    A proof that could not be made is a skipped case, and an error is a case that failed.
    """
    suites = ElementTree.Element("testsuites", name="ollama-pack")
    for row in result_rows(events):
        suite = _suite(suites, row["name"] or row["source"])
        for proof in row["proofs"]:
            case = _case(suite, proof["proof"])
            if not proof["passed"]:
                _put(case, "failure", proof["summary"])
            ElementTree.SubElement(case, "system-out").text = _text(proof["summary"])
        for proof in row["not_proved"]:
            _put(_case(suite, proof["proof"]), "skipped", proof["why"])
    for event in events:
        for level, code, text in messages(event):
            if level == "error":
                _put(_case(_suite(suites, event.source or "ollama-pack"), code), "failure", text)
    for suite in suites:
        for kind, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
            suite.set(kind, str(sum(1 for _ in suite.iter(tag))))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"


def _suite(suites: ElementTree.Element, name: str) -> ElementTree.Element:
    """Add the suite of a model."""
    return ElementTree.SubElement(suites, "testsuite", name=one_line(hide_passwords(name)))


def _case(suite: ElementTree.Element, name: str) -> ElementTree.Element:
    """Add a case."""
    return ElementTree.SubElement(suite, "testcase", classname="ollama-pack", name=one_line(name))


def _put(case: ElementTree.Element, tag: str, text: str) -> None:
    """Add what became of a case."""
    message = _text(text).split("\n")[0]
    ElementTree.SubElement(case, tag, message=message).text = _text(text)


def _text(text: str) -> str:
    """Return a text without what XML cannot hold."""
    return printable(hide_passwords(text))
