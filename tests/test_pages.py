"""The pages in docs/: their links lead somewhere, and what they train composes."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from commands import check_composed, run_python

from structnet.config.composing import compose
from structnet.config.fitting import fitting_words
from structnet.config.sweeping import sweep
from structnet.system.words import take_values

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def lines_of(page):
    """The commands of a page that train, each in one line."""
    return re.findall(r"^structnet train .*$", page.read_text().replace("\\\n", " "), re.M)


def anchors_of(page):
    """What `#...` may name in a page: its headings in small letters, with - for spaces."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    headings = [one.lower() for one in re.findall(r"^#+ (.+?)\s*$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", one).replace(" ", "-") for one in headings}


TRAINED = [
    pytest.param(line, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, line in enumerate(lines_of(page))
]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere_and_the_page_is_finished(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        # Pages of components are written while the book is built.
        is_made = target.startswith("components/")
        assert "://" in target or is_made or (page.parent / target).exists(), target
    for name in re.findall(r"`((?:examples|tests|conf|plugins|docs)/[\w/.-]+)`", text):
        assert (ROOT / name).exists(), name
    assert not re.findall(r"TODO|FIXME|TBD", text)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_an_anchor_of_a_link_is_a_heading(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
        there = page.parent / target if target else page
        assert anchor in anchors_of(there), f"{target}#{anchor}"


@pytest.mark.parametrize("line", TRAINED)
def test_what_a_page_trains_composes(line):
    words = shlex.split(line.split(" && ")[0], comments=True)[2:]
    if "--plugin" in words or any(word.startswith("resume=") for word in words):
        pytest.skip("needs a plugin or a run")
    if "--trials" in words:
        pytest.skip("a search composes its runs one after the other")
    take_values(words, "--jobs")
    if "-m" in words:
        words.remove("-m")
        words = next(iter(sweep(words)))
    check_composed(compose([*words, *fitting_words(words, [])]))


def test_the_readme_leads_to_the_book_and_the_book_to_every_page():
    assert "docs/index.md" in (ROOT / "README.md").read_text()
    listed = (ROOT / "docs" / "index.md").read_text().splitlines()
    assert "components/messages" in listed
    assert all(page.stem in listed for page in PAGES if page.stem != "index")


@pytest.mark.parametrize(("page", "count"), [
    ("python", 6), ("why", 1), ("coming-from", 3), ("ten-minutes-python", 6),
])  # fmt: skip
def test_the_python_blocks_of_a_page_run_one_after_the_other(page, count, tmp_path):
    text = (ROOT / "docs" / f"{page}.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert len(blocks) >= count
    done = run_python("-c", "\n".join(blocks), cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_page_of_examples_has_each_of_them_once():
    listed = re.findall(r"\.\./examples/(\w+)\.py", (ROOT / "docs" / "examples.md").read_text())
    assert sorted(listed) == sorted(path.stem for path in (ROOT / "examples").glob("*.py"))


def test_the_extras_of_the_page_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "install.md").read_text()
    table = page.partition("## Extras")[2].partition("## Data")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.M)
    extras = {
        name: [re.split(r"[\[>=<!]", one)[0] for one in needed]
        for name, needed in project["optional-dependencies"].items()
    }
    assert {name: installs.strip().split(", ") for name, installs in rows} == extras
