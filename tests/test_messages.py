"""Messages: those of docs/faq.md are the source's, and the page of all messages has them."""

import ast
import re
import sys
from functools import cache

import pytest
from commands import ROOT

# The book's own modules are no package.
sys.path.insert(0, str(ROOT / "docs"))
import message_pages
from message_pages import HOLE, messages, said_by, templates, write_messages

FAQ = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "faq.md").read_text(), re.M)
TEXTS = (ast.Constant, ast.JoinedStr, ast.BinOp)


@cache
def spoken():
    """The templates of all texts in the source but docstrings, whatever is done with them."""
    found = set()
    for folder in ("structnet", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            nodes = list(ast.walk(ast.parse(path.read_text())))
            docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
            found.update(text for node in nodes
                         if isinstance(node, TEXTS) and node not in docstrings
                         for text in templates(node, node, {}))  # fmt: skip
    return found


def says(text, parts):
    """Whether a text has some parts, one after the other."""
    at = 0
    for part in parts:
        at = text.find(part, at) + len(part)
        if at < len(part):
            return False
    return True


def test_the_table_has_what_a_beginner_meets():
    assert len(FAQ) == len(set(FAQ)) >= 40


@pytest.mark.parametrize("message", FAQ)
def test_a_message_of_the_faq_is_in_the_source(message):
    parts = [part.strip() for part in message.split(HOLE) if part.strip()]
    assert any(says(text, parts) for text in spoken()), message


def test_templates_of_raised_errors_and_warnings_are_found():
    module = ast.parse(
        "def say(x):\n"
        "    text = f'{x} is wrong: ' + ('take b' if x else 'take c')\n"
        "    if x == 1:\n        raise ValueError(text)\n"
        "    if x == 2:\n        raise line.refuse(x, 'a whole number')\n"
        "    if x == 3:\n        raise KeyError(other(x))\n"
        "    warnings.warn('beware of it', stacklevel=2)\n"
        "    print('not a message')\n"
        "    raise StopIteration\n"
        "def other(x):\n    return f'no {x!r} here'\n"
    )
    assert list(said_by(module)) == [
        f"{HOLE} is wrong: take b",
        f"{HOLE} is wrong: take c",
        "a whole number",
        f"no {HOLE} here",
        "beware of it",
    ]


@pytest.mark.slow
def test_the_page_of_all_messages_has_each_and_every_folder_a_page_that_helps(tmp_path):
    write_messages(tmp_path / "messages.md")
    page = (tmp_path / "messages.md").read_text()
    found = list(messages())
    assert len(found) > 1000
    for text, path in found:
        assert " ".join(text.split()) in page and f"`{path}`" in page
    for name in message_pages.PAGES.values():
        assert (ROOT / "docs" / f"{name}.md").is_file(), name
    # A folder of the source that has no page would be among those of the one around it.
    for root in ("structnet", "plugins"):
        folders = {one.parent.name for one in (ROOT / root).glob("*/__init__.py")}
        assert {f"{root}/{one}" for one in folders - {"plugins"}} <= message_pages.PAGES.keys()
