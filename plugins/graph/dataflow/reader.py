"""Reads the data flow of a Python function, statement by statement."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from structnet.plugins.code.sources import Place, place_of
from structnet.plugins.code.syntax import node_words

# Uses of these are not asked about: their names alone decide them.
RECEIVERS = {"self", "cls"}

# The definitions of every variable that may reach a place.
Reaching = dict[str, tuple[int, ...]]
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """A place where a function reads a variable, and the variables that it could read there.

    `node` is the use's node; `reaching` has the definitions of every variable that reach it.
    """

    node: int
    name: str
    place: Place
    reaching: Reaching = field(repr=False)

    @property
    def others(self) -> list[str]:
        """The other variables that are defined there, in the order of their definitions."""
        return [name for name in self.reaching if name != self.name and name not in RECEIVERS]


class Reader:
    """Reads a function in the order of execution, all branches included.

    A kind of syntax node is read by the method `_read_KIND`; without one, an expression is an
    operation on the expressions in it.
    """

    def __init__(self) -> None:
        self.words: list[Words] = []
        self.edges: list[tuple[int, int]] = []
        self.uses: list[Use] = []
        self.reaching: Reaching = {}
        # Whether a return or a raise has ended this branch.
        self.ended = False

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._parameters(node.args)
        self._block(node.body)

    def _add(self, words: Words, sources: Sequence[int] = (), role: str = "") -> int:
        """Add a node; `role` says what for, or in which position, its value is taken."""
        here = len(self.words)
        self.words.append((*words, *_in_role(words, role)) if role else words)
        self.edges += ((source, here) for source in dict.fromkeys(sources))
        return here

    def _define(self, name: str, words: Words, sources: Sequence[int] = ()) -> int:
        here = self._add((*words, *_name_words(name)), sources)
        self.reaching[name] = (here,)
        return here

    def _parameters(self, arguments: ast.arguments) -> None:
        positional = (*arguments.posonlyargs, *arguments.args)
        for one in (*positional, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
            if one is not None:
                self._define(one.arg, ("<parameter>",))

    # Statements

    def _block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            read = getattr(self, f"_read_{type(statement).__name__}", self._read_statement)
            read(statement)

    def _read_statement(self, node: Any) -> None:
        """A statement that takes values, such as return, raise, if or assert."""
        sources = [self._value(child) for child in _expressions(node)]
        blocks = [block for name in ("body", "orelse") if (block := getattr(node, name, None))]
        if sources and not isinstance(node, ast.Expr):
            self._add((f"<{type(node).__name__}>",), sources)
        if blocks:
            self._branches(*blocks, *([] if len(blocks) == 2 else [[]]))
        if isinstance(node, ast.Return | ast.Raise):
            self.ended = True

    def _branches(self, *blocks: Sequence[ast.stmt]) -> None:
        """Blocks of which exactly one is executed."""
        before, after = self.reaching, []
        for block in blocks:
            self.reaching, self.ended = dict(before), False
            self._block(block)
            if not self.ended:
                after.append(self.reaching)
        self.ended = not after
        self.reaching = _merge(*after) if after else before

    def _read_Assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _read_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, self._value(node.value))

    def _read_AugAssign(self, node: ast.AugAssign) -> None:
        operation = type(node.op).__name__
        value = self._value(node.value, f"{operation}=")
        sources = [value]
        if isinstance(node.target, ast.Name):
            # No use: with another variable the target would be another one as well.
            sources += self.reaching.get(node.target.id, ())
        self._assign(node.target, self._add((f"<BinOp:{operation}>",), sources))

    def _read_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._assign(node.target, self._value(node.iter, "for"))
        self._branches(node.body, [])
        self._block(node.orelse)

    _read_AsyncFor = _read_For

    def _read_With(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            value = self._value(item.context_expr, "with")
            if item.optional_vars is not None:
                self._assign(item.optional_vars, value)
        self._block(node.body)

    _read_AsyncWith = _read_With

    def _read_Try(self, node: ast.Try) -> None:
        before = dict(self.reaching)
        self._block(node.body)
        # An exception may be raised before or after any definition in the body.
        raised, ended = _merge(before, self.reaching), self.ended
        self._block([] if ended else node.orelse)
        after = [] if self.ended else [self.reaching]
        for handler in node.handlers:
            self.reaching, self.ended = dict(raised), False
            if handler.name is not None:
                self._define(handler.name, ("<except>", *_mentioned(handler.type)))
            self._block(handler.body)
            if not self.ended:
                after.append(self.reaching)
        self.reaching, self.ended = _merge(*after) if after else raised, False
        self._block(node.finalbody)
        self.ended = self.ended or not after

    _read_TryStar = _read_Try

    def _read_Match(self, node: ast.Match) -> None:
        subject = self._value(node.subject, "match")
        for case in node.cases:
            for pattern in ast.walk(case.pattern):
                name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
                if name is not None:
                    self._define(name, (f"<{type(pattern).__name__}>",), [subject])
        self._branches(*(case.body for case in node.cases), [])

    def _read_FunctionDef(self, node: Any) -> None:
        """A nested function or class takes the variables that it mentions."""
        names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        taken = [one for name, some in self.reaching.items() if name in names for one in some]
        self._define(node.name, (f"<{type(node).__name__}>",), taken)

    _read_AsyncFunctionDef = _read_ClassDef = _read_FunctionDef

    def _read_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            self._define(name, ("<Import>",))

    _read_ImportFrom = _read_Import

    def _read_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self.reaching.pop(target.id, None)
            else:
                self._value(target, "del")

    def _assign(self, target: ast.expr, value: int) -> None:
        if isinstance(target, ast.Name):
            self._define(target.id, ("<Store>",), [value])
        elif isinstance(target, ast.Tuple | ast.List):
            for place, element in enumerate(target.elts):
                self._assign(element, self._add((f"<element {min(place, 5)}>",), [value]))
        elif isinstance(target, ast.Starred):
            self._assign(target.value, value)
        else:
            sources = [self._value(child) for child in _expressions(target)]
            self._add(("<Store>", *node_words(target)), [value, *sources])

    # Expressions

    def _value(self, node: ast.expr, role: str = "") -> int:
        """The node of an expression's value."""
        read = getattr(self, f"_read_{type(node).__name__}", self._read_expression)
        return read(node, role)

    def _read_expression(self, node: ast.expr, role: str) -> int:
        words = node_words(node)
        kind = words[0].strip("<>")
        sources = [
            self._value(child, f"{kind} {place}") for place, child in enumerate(_expressions(node))
        ]
        return self._add(words, sources, role)

    def _read_Name(self, node: ast.Name, role: str) -> int:
        definitions = self.reaching.get(node.id)
        if definitions is None:
            return self._add(("<global>", *_name_words(node.id)), (), role)
        here = self._add(("<use>",), definitions, role)
        self.uses.append(Use(here, node.id, place_of(node), dict(self.reaching)))
        return here

    def _read_Call(self, node: ast.Call, role: str) -> int:
        function, sources, words = node.func, [], ("<Call>",)
        name = "call"
        if isinstance(function, ast.Attribute):
            name = function.attr
            sources.append(self._value(function.value, f"{name}() receiver"))
            words = ("<Call>", "<method>", *_name_words(name))
        elif isinstance(function, ast.Name) and function.id not in self.reaching:
            name = function.id
            words = ("<Call>", *_name_words(name))
        else:
            sources.append(self._value(function, "call function"))
        for place, argument in enumerate(node.args):
            sources.append(self._value(argument, f"{name}() {min(place, 5)}"))
        for keyword in node.keywords:
            sources.append(self._value(keyword.value, f"{name}() {keyword.arg or '**'}="))
        return self._add(words, sources, role)

    def _read_NamedExpr(self, node: ast.NamedExpr, role: str) -> int:
        defined = self._define(node.target.id, ("<Store>",), [self._value(node.value)])
        return self._add(("<NamedExpr>",), [defined], role)

    def _read_Lambda(self, node: ast.Lambda, role: str) -> int:
        outside = dict(self.reaching)
        self._parameters(node.args)
        body = self._value(node.body)
        self.reaching = outside
        return self._add(("<Lambda>",), [body], role)

    def _read_comprehension(self, node: Any, role: str) -> int:
        outside = dict(self.reaching)
        for generator in node.generators:
            self._assign(generator.target, self._value(generator.iter, "for"))
            for test in generator.ifs:
                self._add(("<If>",), [self._value(test)])
        parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
        sources = [self._value(part) for part in parts]
        self.reaching = outside
        return self._add(node_words(node), sources, role)

    _read_ListComp = _read_SetComp = _read_DictComp = _read_GeneratorExp = _read_comprehension


def _expressions(node: ast.AST) -> list[ast.expr]:
    """The expressions directly in a node, those of slices, keywords and formatted values too."""
    if isinstance(node, ast.Dict):
        both = zip(node.keys, node.values, strict=True)
        return [part for item in both for part in item if part is not None]
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _merge(*branches: Reaching) -> Reaching:
    """The definitions that reach the place where branches meet."""
    merged: Reaching = {}
    for reaching in branches:
        for name, definitions in reaching.items():
            merged[name] = tuple(dict.fromkeys((*merged.get(name, ()), *definitions)))
    return merged


def _mentioned(node: ast.expr | None) -> Words:
    """The words of the last name in an expression, for example of an exception's class."""
    name = getattr(node, "attr", None) or getattr(node, "id", None)
    return _name_words(name) if name else ()


@lru_cache(1 << 16)
def _name_words(name: str) -> Words:
    return node_words(ast.Name(name))[1:]


@lru_cache(1 << 16)
def _in_role(words: Words, role: str) -> Words:
    """Words for a role, alone and together with the kind of the node."""
    return (f"<{role}>", f"<{role} {words[0]}>")
