"""Equations of docstrings as LaTeX.

A docstring has them in a section of its own, one a line, a longer one on indented further lines:

    Equations:
        n = tanh(W x + sum_k U_k (r * h_k) + b)
        reset=before: n = ...

What stands before a colon says when the equation holds: an option with a value, or a few words.

| notation | is |
|---|---|
| `U_rk` | U with subscripts r and k |
| `a * b` | the product component by component |
| `W x`, `2 a` | the product of matrices, or with a number |
| `a b / c` | a fraction: all factors before the bar, the one factor behind it |
| `sum_k`, `mean_k` | over predecessors, of all factors that follow |
| `f(x)` | a function of `FUNCTIONS` |
| `a^T`, `e^i` | transposed, a power |
| `[a; b]` | one below the other |
| `a where b >= 0, else c` | cases |
"""

import inspect
import re
from typing import NamedTuple

FUNCTIONS = {
    "sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp", "log": r"\log", "max": r"\max",
    "relu": r"\operatorname{relu}", "softplus": r"\operatorname{softplus}",
    "norm": r"\operatorname{norm}", "sqrt": r"\sqrt", "g": "g",
}  # fmt: skip
SUMS = {"sum": r"\sum", "mean": r"\operatorname{mean}"}
TOKEN = re.compile(r"\s*(\.\.\.|\d+|[A-Za-z]\w*'?|>=|[-+*/^()\[\]|,;=])")


class Unread(ValueError):
    """An equation that is not in the notation."""


class Equation(NamedTuple):
    """An equation as a docstring has it, and when it holds."""

    text: str
    when: str = ""


class Node(NamedTuple):
    """A part of an equation: what it is, its symbol, and its parts."""

    kind: str
    symbol: str = ""
    parts: tuple["Node", ...] = ()


def equations_of(component) -> list[Equation]:
    """The equations in the docstring of a component."""
    return [split(line) for line in section(component)]


def section(component) -> list[str]:
    """The lines of the section `Equations:`, each whole; none where there is no such section."""
    _, found, rest = (inspect.getdoc(component) or "").partition("\nEquations:\n")
    lines: list[str] = []
    for line in rest.split("\n") if found else ():
        if not line.startswith("    "):
            break
        if line.startswith("     "):
            lines[-1] += f" {line.strip()}"
        else:
            lines.append(line.strip())
    return lines


def prose(component) -> tuple[str, str]:
    """What a docstring says before and after its equations, without its first line and options."""
    _, _, rest = (inspect.getdoc(component) or "").partition("\n")
    rest = rest.partition("\nArguments:")[0]
    before, found, after = rest.partition("\nEquations:\n")
    lines = after.split("\n") if found else []
    while lines and lines[0].startswith("    "):
        del lines[0]
    return before.strip(), "\n".join(lines).strip()


def split(line: str) -> Equation:
    """An equation of a line, with the condition before its colon, if it has one."""
    when, colon, text = line.rpartition(": ")
    return Equation(text, when) if colon else Equation(line)


def latex(text: str) -> str:
    """LaTeX of an equation; `Unread` where it is not in the notation."""
    left, right = parse(text)
    return f"{_written(left)} = {_written(right)}"


def parse(text: str) -> tuple[Node, Node]:
    """Both sides of an equation."""
    reader = _Reader(text)
    left = reader.factor()
    reader.take("=")
    right = reader.cases()
    if reader.next:
        raise Unread(f"{reader.next!r} was not expected in {text!r}")
    return left, right


class _Reader:
    """Reads an equation from left to right."""

    def __init__(self, text: str):
        self.text, self.tokens, at = text, [], 0
        while at < len(text.rstrip()):
            if not (found := TOKEN.match(text, at)):
                raise Unread(f"no notation {text[at:]!r} in {text!r}")
            at = found.end()
            # A function and its argument have no space between them.
            self.tokens.append((found[1], text[at : at + 1] == "("))
        self.at = 0

    @property
    def next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def take(self, token: str = "") -> str:
        found = self.next
        if not found or (token and found != token):
            raise Unread(f"{token or 'something'!r} is missing in {self.text!r}")
        self.at += 1
        return found

    def takes(self, token: str) -> bool:
        if self.next == token:
            self.at += 1
            return True
        return False

    def cases(self) -> Node:
        first = self.total()
        if not self.takes("where"):
            return first
        left = self.total()
        sign = self.take(">=")
        condition = Node("compare", sign, (left, self.total()))
        self.take(",")
        self.take("else")
        return Node("cases", parts=(first, condition, self.total()))

    def total(self) -> Node:
        found = Node("minus", parts=(self.term(),)) if self.takes("-") else self.term()
        while self.next in ("+", "-"):
            sign = self.take()
            found = Node("add", sign, (found, self.term()))
        return found

    def term(self) -> Node:
        found = self.factor()
        while True:
            if self.takes("*"):
                found = Node("each", parts=(found, self.factor()))
            elif self.takes("/"):
                found = Node("over", parts=(found, self.factor()))
            elif self.next and (self.next[0].isalnum() or self.next in "([") and not self.is_word:
                found = Node("times", parts=(found, self.factor()))
            else:
                return found

    @property
    def is_word(self) -> bool:
        return self.next in ("where", "else")

    def factor(self) -> Node:
        found = self.atom()
        if self.takes("^"):
            found = Node("power", parts=(found, self.atom()))
        return found

    def atom(self) -> Node:
        if self.at >= len(self.tokens):
            raise Unread(f"{self.text!r} ends too early")
        token, is_called = self.tokens[self.at]
        self.at += 1
        over = token.partition("_")
        if over[0] in SUMS and over[2]:
            return Node("sum", token, (self.term(),))
        if is_called and token[0].isalpha():
            if token not in FUNCTIONS:
                raise Unread(f"no function {token!r} in {self.text!r}")
            self.take("(")
            return Node("call", token, self.several(",", ")"))
        if token == "(":
            return Node("group", parts=self.several("", ")"))
        if token == "[":
            return Node("stack", parts=self.several(";", "]"))
        if token == "|":
            return Node("size", parts=self.several("", "|"))
        if token[0].isalnum() or token == "...":
            return Node("number" if token[0].isdigit() else "name", token)
        raise Unread(f"{token!r} was not expected in {self.text!r}")

    def several(self, between: str, end: str) -> tuple[Node, ...]:
        found = [self.total()]
        while between and self.takes(between):
            found.append(self.total())
        self.take(end)
        return tuple(found)


def _written(node: Node) -> str:
    """LaTeX of a part."""
    if node.kind == "over":
        # The bar shows what belongs together.
        above, below = (_written(p.parts[0] if p.kind == "group" else p) for p in node.parts)
        return rf"\frac{{{above}}}{{{below}}}"
    parts = [_written(part) for part in node.parts]
    match node.kind:
        case "number":
            return node.symbol
        case "name":
            return _name(node.symbol)
        case "sum":
            kind, _, index = node.symbol.partition("_")
            return f"{SUMS[kind]}_{{{index}}} {parts[0]}"
        case "call" if node.symbol == "sqrt":
            return rf"\sqrt{{{parts[0]}}}"
        case "call":
            return f"{FUNCTIONS[node.symbol]}({', '.join(parts)})"
        case "group":
            return f"({parts[0]})"
        case "stack":
            return f"[{'; '.join(parts)}]"
        case "size":
            return rf"\left| {parts[0]} \right|"
        case "power":
            (_, above) = node.parts
            inner = above.parts[0] if above.kind == "group" else above
            power = r"\top" if above.symbol == "T" else _written(inner)
            return f"{{{parts[0]}}}^{{{power}}}"
        case "minus":
            return f"-{parts[0]}"
        case "add":
            return f"{parts[0]} {node.symbol} {parts[1]}"
        case "each":
            return rf"{parts[0]} \odot {parts[1]}"
        case "times":
            return rf"{parts[0]} \, {parts[1]}"
        case "compare":
            return rf"{parts[0]} \ge {parts[1]}"
        case "cases":
            first, condition, other = parts
            return (rf"\begin{{cases}} {first} & \text{{where }} {condition} \\ "
                    rf"{other} & \text{{else}} \end{{cases}}")  # fmt: skip
    raise AssertionError(node)


def _name(symbol: str) -> str:
    if symbol == "...":
        return r"\dots"
    prime = symbol.endswith("'") * "'"
    base, _, below = symbol.removesuffix("'").partition("_")
    found = base if len(base) == 1 else rf"\mathrm{{{base}}}"
    # Several subscripts are set apart, as letters and not as a word.
    return found + (f"_{{{' '.join(below)}}}" if below else "") + prime
