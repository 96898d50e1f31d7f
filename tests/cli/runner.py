"""GitHub's runner as far as it reads what a step prints and writes: commands in the log, files of outputs.

The rules are those of actions/runner: a command stands at the start of a line after blanks,
``::name k=v::text``, or anywhere in a line, ``##[name k=v]text``.
"""

from typing import NamedTuple

TEXT = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
PROPERTY = (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%"))


class Command(NamedTuple):
    """A command that the runner obeys."""

    name: str
    properties: dict[str, str]
    text: str


def decoded(text, table):
    """Return an escaped text as it was; the percent sign comes last, as in the runner."""
    for code, character in table:
        text = text.replace(code, character)
    return text


def command_of(line):
    """Return the command that the runner finds in a line, or None."""
    start = line.lstrip()
    if start.startswith("::") and "::" in start[2:]:
        head, _, text = start[2:].partition("::")
        return Command(
            head.partition(" ")[0], properties_of(head.partition(" ")[2], ","), decoded(text, TEXT)
        )
    if "##[" in line:
        head, closed, text = line.partition("##[")[2].partition("]")
        if closed:
            return Command(head.partition(" ")[0], properties_of(head.partition(" ")[2], ";"), text)
    return None


def properties_of(text, mark):
    """Return the properties of a command."""
    pairs = [each.partition("=") for each in text.split(mark) if "=" in each]
    return {key.strip(): decoded(value, PROPERTY) for key, _, value in pairs}


def commands_of(log):
    """Return every command in a log, whose lines end at any line end that .NET knows."""
    lines = log.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [found for line in lines if (found := command_of(line)) is not None]


def outputs_of(text):
    """Return the outputs in a file GITHUB_OUTPUT; raise an error where the runner would."""
    found, lines = {}, text.split("\n")
    while lines:
        line = lines.pop(0)
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if heredoc >= 0 and (equals < 0 or heredoc < equals):
            name, _, delimiter = line.partition("<<")
            end = lines.index(delimiter)
            found[name], lines = "\n".join(lines[:end]), lines[end + 1 :]
        elif equals >= 0:
            found[line[:equals]] = line[equals + 1 :]
        else:
            raise ValueError(line)
    return found
