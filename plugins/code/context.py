"""Words for the context of a syntax node: its operation or call, and its function's names.

None of them depends on the order of an expression's operands.
"""

import ast
from collections.abc import Sequence
from functools import cache, lru_cache

# The k-th name that a function introduces is the word `<local k>`, k at most this.
LOCALS = 20
# An argument named like the function's k-th parameter has the word `<parameter k>`, k at most this.
PARAMETERS = 5
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Names introduced in these stay inside them, or depend on the order within an expression.
_CLOSED = (*FUNCTIONS, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
           ast.GeneratorExp, ast.NamedExpr)  # fmt: skip


def introduced(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, int]:
    """The parameters and variables of a function, numbered in the order of their introduction."""
    arguments = function.args
    positional = (*arguments.posonlyargs, *arguments.args, arguments.vararg)
    parameters = (*positional, *arguments.kwonlyargs, arguments.kwarg)
    place: dict[str, int] = {}
    for parameter in parameters:
        if parameter is not None:
            place.setdefault(parameter.arg, len(place))
    stack: list[ast.AST] = list(reversed(function.body))
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                place.setdefault(node.id, len(place))
        elif not isinstance(node, _CLOSED):
            stack += reversed(_below(node))
    return place


def named_arguments(module: ast.Module) -> dict[ast.AST, int]:
    """Arguments that have the name of a parameter of the called function, and its number.

    The function is any function or class of that name in the module. After Liu et al. (2016),
    "Nomen est Omen", which compares the names of arguments and parameters.
    """
    nodes: list[ast.AST] = [module]
    for node in nodes:
        nodes += _below(node)
    functions: dict[str, dict[str, int]] = {}
    for node in nodes:
        if isinstance(node, FUNCTIONS):
            _add_parameters(functions, node.name, node)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, FUNCTIONS) and method.name == "__init__":
                    _add_parameters(functions, node.name, method)
    return {
        argument: place
        for node in nodes
        if isinstance(node, ast.Call) and (parameters := functions.get(_name(node.func)))
        for argument in node.args
        if (place := parameters.get(_name(argument).strip("_").lower())) is not None
    }


def _below(node: ast.AST) -> list[ast.AST]:
    """The child nodes in order, without contexts and operators; faster than `iter_child_nodes`."""
    found = []
    for name in _fields(type(node)):
        value = getattr(node, name, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in ("ctx", "op", "ops"))


def _add_parameters(
    functions: dict[str, dict[str, int]],
    name: str,
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    parameters = [*function.args.posonlyargs, *function.args.args]
    if parameters and parameters[0].arg in ("self", "cls"):
        del parameters[0]
    places = functions.setdefault(name, {})
    for place, parameter in enumerate(parameters):
        places.setdefault(parameter.arg.strip("_").lower(), place)


def _name(node: ast.AST) -> str:
    """The identifier of a name, or the last one of an attribute; "" for anything else."""
    return getattr(node, "id", None) or getattr(node, "attr", "")


def context_words(
    node: ast.AST,
    here: int,
    above: int,
    words: Sequence[tuple[str, ...]],
    local: dict[str, int],
    place: int | None,
) -> tuple[str, ...]:
    """The context words of node number `here`, whose parent has number `above`.

    `words` are the words of a file's nodes in pre-order, `local` the names that the node's function
    introduces, `place` the number of the parameter that an argument is named like.
    """
    qualifier = _qualifier(here, above, words)
    context = () if qualifier is None else _qualified(qualifier, words[here])
    if place is not None:
        context = (*context, f"<parameter {min(place, PARAMETERS)}>")
    if isinstance(node, ast.Name) and node.id in local:
        return (*context, f"<local {min(local[node.id], LOCALS)}>")
    return context


def _qualifier(here: int, above: int, words: Sequence[tuple[str, ...]]) -> str | None:
    """The operator that a node is an operand of, or the function that it is an argument of."""
    if above < 0:
        return None
    kind = words[above][0]
    if kind.startswith(("<BinOp", "<Compare")):
        return kind
    is_argument = kind == "<Call>" and here != above + 1
    return f"{words[above + 1][-1]}()" if is_argument else None


@lru_cache(1 << 16)
def _qualified(qualifier: str, words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{qualifier} {word}" for word in words)
