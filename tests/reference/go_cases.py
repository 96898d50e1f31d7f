"""Makes Go templates and data for them, from choices that a random source or hypothesis takes."""

TEXTS = ("a", " ", "\n", "  b\n", "é", "{", "}", "x }} y", "<|im_start|>", "\t", "")
FIELDS = (
    ".A",
    ".B.C",
    ".N",
    ".F",
    ".Bool",
    ".List",
    ".Messages",
    ".Missing",
    ".Missing.X",
    ".Map",
    ".System",
    ".",
    "$",
    "$.A",
    "$.List",
    ".Role",
    ".Content",
    ".Calls",
    ".Tools",
    ".Nil",
    ".Empty",
    ".Z",
)
LITERALS = (
    '"user"',
    '"x\\n\\u00e9"',
    "`raw`",
    "0",
    "1",
    "-2",
    "3.5",
    "1e3",
    "0x1f",
    "'a'",
    "true",
    "false",
    "nil",
    '""',
)
FUNCTIONS = (
    "and",
    "or",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "len",
    "index",
    "slice",
    "print",
    "printf",
    "json",
    "currentDate",
)
FORMATS = ('"%s"', '"%v-%v"', '"%d"', '"a%*s"', '"%5d|"', '"%-4s|"', '"%%"', '"none"')
STRINGS = (
    "",
    "a",
    "user",
    "assistant",
    "system",
    " é\n",
    "two words",
    "</think>",
    "日本",
    '"q" <&>',
    "x" * 9,
)


class Maker:
    """Takes choices from a source with the methods of `random.Random`."""

    def __init__(self, source):
        self.source = source
        self.variables = []

    def _pick(self, values):
        return values[self.source.randrange(len(values))]

    def _chance(self, percent):
        return self.source.randrange(100) < percent

    def _string(self):
        return self._pick(STRINGS)

    def _message(self):
        fields = {"Role": self._pick(("user", "assistant", "system", "tool")), "Content": self._string()}
        return {"$struct": {**fields, "Calls": [self._value(1)] if self._chance(30) else None}}

    def _value(self, depth):  # noqa: PLR0911 — one for each kind
        kind = self.source.randrange(8 if depth else 5)
        match kind:
            case 0:
                return self._string()
            case 1:
                return self.source.randrange(-3, 20)
            case 2:
                return self._chance(50)
            case 3:
                return self._pick((0.5, 3.0, -1e9, 123456.5, 1e-7, 2e21))
            case 4:
                return None
            case 5 | 6:
                return [self._value(depth - 1) for _ in range(self.source.randrange(4))]
        return {key: self._value(depth - 1) for key in ("C", "k", "é")[: self.source.randrange(4)]}

    def data(self):
        """Return data, in the form that the Go program reads."""
        made = {
            "A": self._string(),
            "B": {"C": self._value(1)},
            "N": self.source.randrange(-1, 5),
            "F": self._pick((0.0, 1.5, 2.0, 1e6)),
            "Bool": self._chance(50),
            "List": [self._value(1) for _ in range(self.source.randrange(4))],
            "Messages": [self._message() for _ in range(self.source.randrange(4))],
            "Map": {key: self._value(1) for key in ("b", "a", "C")[: self.source.randrange(4)]},
            "System": self._string(),
            "Tools": self._pick(({"$nil": True}, {"$list": [{"name": "f", "n": 1.5, "x": "<"}]})),
            "Nil": None,
            "Empty": "",
        }
        return {key: value for key, value in made.items() if self._chance(95)}

    def _space(self):
        return self._pick(("", " ", " ", "  ", "\n"))

    def _operand(self, depth):
        kind = self.source.randrange(10)
        if kind < 4 or (not self.variables and kind < 6):
            return self._pick(FIELDS)
        if kind < 6:
            return self._pick(self.variables) + self._pick(("", "", "", ".Role", ".X"))
        if kind < 8 or not depth:
            return self._pick(LITERALS)
        return f"({self._pipeline(depth - 1)}){self._pick(('', '', '', '.C', '.Role'))}"

    def _command(self, depth):
        if self._chance(50):
            return self._operand(depth)
        name = self._pick(FUNCTIONS)
        if name == "printf":
            return " ".join(
                [
                    "printf",
                    self._pick(FORMATS),
                    *(self._operand(depth) for _ in range(self.source.randrange(3))),
                ]
            )
        number = self._pick(
            {
                "not": (1,),
                "len": (1,),
                "json": (1,),
                "currentDate": (0,),
                "index": (2, 2, 3),
                "slice": (1, 2, 3),
            }.get(name, (2, 2, 2, 1, 3))
        )
        if name in ("index", "slice") and self._chance(70):
            places = [self._pick(("0", "1", "2", ".N", '"C"')) for _ in range(number - 1)]
            return " ".join(
                [
                    name,
                    self._pick((".A", ".List", ".Map", ".Messages", "$.Messages", ".Content", ".System")),
                    *places,
                ]
            )
        return " ".join([name, *(self._operand(depth) for _ in range(number))])

    def _pipeline(self, depth):
        commands = [self._command(depth)]
        while self._chance(15):
            commands.append(
                self._pick((self._command(depth), "len", "not", "json", 'printf "%v"', "and true", "eq 1"))
            )
        return " | ".join(commands)

    def _action(self, inner):
        left = self._pick(("{{", "{{", "{{- "))
        right = self._pick(("}}", "}}", " -}}"))
        return f"{left}{self._space()}{inner}{self._space()}{right}"

    def _branch(self, depth):
        word = self._pick(("if", "if", "with", "range"))
        known, names = len(self.variables), ""
        if self._chance(40):
            fresh = [
                f"$v{len(self.variables) + n}" for n in range(1 + (word == "range" and self._chance(60)))
            ]
            self.variables += fresh
            names = f"{', '.join(fresh)} := "
        body = self._action(f"{word} {names}{self._pipeline(depth)}") + self._nodes(depth - 1)
        if word == "range" and self._chance(30):
            body += (
                self._action(f"if {self._pipeline(0)}")
                + self._action(self._pick(("break", "continue")))
                + self._action("end")
            )
        if self._chance(40):
            chained = self._chance(30)
            body += self._action(f"else {word} {self._pipeline(depth)}" if chained else "else") + self._nodes(
                depth - 1
            )
            body += self._action("else") + self._nodes(depth - 1) if chained and self._chance(50) else ""
        body += self._action("end")
        del self.variables[known:]
        return body

    def _node(self, depth):
        kind = self.source.randrange(12)
        if kind < 3:
            return self._pick(TEXTS)
        if kind < 7 or not depth:
            return self._action(self._pipeline(depth))
        if kind == 7:
            name = (
                f"$v{len(self.variables)}"
                if self._chance(60) or not self.variables
                else self._pick(self.variables)
            )
            mark = "=" if name in self.variables else ":="
            made = self._action(f"{name} {mark} {self._pipeline(depth)}")
            self.variables.append(name)
            return made
        if kind == 8:
            return self._action(
                self._pick(('template "t" .', 'template "t"', 'template "u" .A'))
            ) + self._pick(("", "{{/* c */}}"))
        return self._branch(depth)

    def _nodes(self, depth):
        return "".join(self._node(max(depth, 0)) for _ in range(self.source.randrange(1, 4)))

    def template(self):
        """Return the text of a template."""
        text = self._nodes(3)
        if self._chance(60):
            self.variables = []
            text += self._action('define "t"') + self._nodes(1) + self._action("end")
        if self._chance(8):  # damaged: a character less, or one that does not belong there
            at = self.source.randrange(len(text) + 1)
            text = text[:at] + self._pick(("", "}", "(", '"', "=", "end")) + text[at + 1 :]
        return text


def make_case(source):
    """Return a template, its data, and whether it is executed without Ollama's functions."""
    maker = Maker(source)
    return {"template": maker.template(), "data": maker.data(), "bare": maker._chance(15)}
