"""The page of all messages: what the source raises or warns of, where, and which page helps."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
# What stands for a value that is known only when the message is written.
HOLE = "…"
# The page that helps with what a folder says, or with what one inside it does.
PAGES = {
    "structnet": "python",
    "structnet/bench": "speed",
    "structnet/cell": "extending",
    "structnet/check": "extending",
    "structnet/cli": "command-line",
    "structnet/config": "command-line",
    "structnet/data": "own-data",
    "structnet/diagnosis": "diagnosis",
    "structnet/distributed": "training",
    "structnet/draw": "diagnosis",
    "structnet/execute": "executors",
    "structnet/export": "export",
    "structnet/fitting": "python",
    "structnet/nn": "layers",
    "structnet/registry": "extending",
    "structnet/run": "training",
    "structnet/serving": "serving",
    "structnet/sharing": "sharing",
    "structnet/study": "command-line",
    "structnet/system": "faq",
    "structnet/topology": "layers",
    "structnet/training": "training",
    "plugins/agents": "agents",
    "plugins/baselines": "own-data",
    "plugins/code": "swapped-operands",
    "plugins/files": "own-data",
    "plugins/graph": "graphs",
    "plugins/grid": "images",
    "plugins/scenes": "trees-images",
    "plugins/sequence": "language",
    "plugins/sequence/automata": "language-automata",
    "plugins/sequence/captions": "language-captions",
    "plugins/sequence/classify": "language-classification",
    "plugins/sequence/commands": "after-training",
    "plugins/sequence/forecast": "forecasting",
    "plugins/sequence/generation": "language-generation",
    "plugins/sequence/language": "language-models",
    "plugins/sequence/records": "own-sequences",
    "plugins/sequence/tagging": "language-tagging",
    "plugins/sequence/translation": "language-translation",
    "plugins/shapes": "own-trees-graphs",
    "plugins/tables": "own-sequences",
    "plugins/text": "language",
    "plugins/tree": "trees",
    "plugins/tree/pairs": "trees-pairs",
    "plugins/tree/parsing": "trees-parsing",
    "plugins/treebanks": "trees-treebanks",
    "plugins/triton": "executors",
}


class Message(NamedTuple):
    """A template of a message, with `…` for values, and the file that says it."""

    text: str
    path: str


def write_messages(page: Path) -> None:
    """Write the page of all messages, by the folders that say them."""
    groups: dict[str, dict[str, list[str]]] = {folder: {} for folder in PAGES}
    for text, path in messages():
        groups[folder_of(path)].setdefault(path, []).append(text)
    parts = [
        "# All messages",
        "Every message that structnet raises or warns of, by the folder of the source that says "
        f"it; `{HOLE}` stands for a value. The frequent ones have their ways out in "
        "[questions and messages](../faq.md). `--traceback` after a command shows where a message "
        "came from.",
    ]
    for folder, files in groups.items():
        if files:
            parts += [f"## {folder}", f"{says(ROOT / folder / '__init__.py')} Help: "
                      f"[{title(PAGES[folder])}](../{PAGES[folder]}.md)."]  # fmt: skip
        for path, texts in files.items():
            parts.append(": ".join(filter(None, [f"`{path}`", says(ROOT / path)])))
            parts.append("\n".join(f"- {code(text)}" for text in dict.fromkeys(texts)))
    page.write_text("\n\n".join(parts) + "\n")


def messages() -> Iterator[Message]:
    """All templates of messages in the source."""
    for folder in ("structnet", "plugins"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            # Where an editable installation keeps the plugins as links.
            if not name.startswith("structnet/plugins/"):
                yield from (Message(text, name) for text in said_by(ast.parse(path.read_text())))


def said_by(module: ast.Module) -> Iterator[str]:
    """The templates of what a module raises or warns of, in the order of its lines."""
    functions = {one.name: one for one in ast.walk(module) if isinstance(one, ast.FunctionDef)}
    scopes: dict[ast.AST, ast.AST] = {}
    for scope in ast.walk(module):
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            # Inner functions come later, and have the last word.
            scopes.update(dict.fromkeys(ast.walk(scope), scope))
    nodes = [one for one in ast.walk(module) if isinstance(one, ast.Raise | ast.Call)]
    # The call in a `raise` is in the same line as a rule, and is found once.
    found = {(node.lineno, spoken): None for node in nodes
             for spoken in arguments(node, scopes[node], functions)}  # fmt: skip
    for _, text in sorted(found, key=lambda one: one[0]):
        # A single word is the name of a column or the like.
        if " " in text.replace(HOLE, "").strip():
            yield text


def arguments(node: ast.AST, scope, functions) -> list[str]:
    """The templates of a `raise`, an error that is made or a warning; none for anything else."""
    call = node.exc if isinstance(node, ast.Raise) else node
    if not isinstance(call, ast.Call):
        return []
    name = called(call)
    if call is node and not (name == "warn" or name.endswith("Error")):
        return []
    # Of line.refuse(value, "a number"), what is expected is a message.
    given = [one for one in call.args if not isinstance(one, ast.Starred)]
    return [text for one in given for text in templates(one, scope, functions)]


def templates(node: ast.expr, scope, functions) -> list[str]:
    """What an expression may say: each branch, each assignment of a name, each return of a call."""
    if isinstance(node, ast.Constant):
        return [node.value if isinstance(node.value, str) else HOLE]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else HOLE
                        for part in node.values)]  # fmt: skip
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        ends = templates(node.right, scope, functions)
        return [a + b for a in templates(node.left, scope, functions) for b in ends]
    if isinstance(node, ast.IfExp):
        return [text for branch in (node.body, node.orelse)
                for text in templates(branch, scope, functions)]  # fmt: skip
    given: list[ast.expr] = []
    if isinstance(node, ast.Name):
        assigned = [one for one in ast.walk(scope) if isinstance(one, ast.Assign)]
        given = [
            one.value
            for one in assigned
            if any(getattr(target, "id", None) == node.id for target in one.targets)
        ]
    elif isinstance(node, ast.Call) and (scope := functions.get(called(node))):
        given = [one.value for one in ast.walk(scope) if isinstance(one, ast.Return) and one.value]
    # Nothing is followed further, so that what refers to itself ends.
    texts = [text for one in given if not isinstance(one, ast.Name | ast.Call)
             for text in templates(one, scope, functions)]  # fmt: skip
    return texts or [HOLE]


def called(call: ast.Call) -> str:
    """The name of what is called, without what it is an attribute of."""
    return getattr(call.func, "attr", None) or getattr(call.func, "id", "")


def folder_of(path: str) -> str:
    """The folder with a page that a file belongs to, the innermost one."""
    return next(str(one) for one in Path(path).parents if str(one) in PAGES)


def says(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0].strip()


def title(page: str) -> str:
    """The title of a page of the manual."""
    return (ROOT / "docs" / f"{page}.md").read_text().partition("\n")[0].removeprefix("# ")


def code(text: str) -> str:
    """A text as code in Markdown, in one line, whatever signs it has."""
    fence = "`" * (2 if "``" not in text else 3)
    return f"{fence} {' '.join(text.split())} {fence}"
