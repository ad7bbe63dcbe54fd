"""Commands of plugins: listed without importing them, called, and reported where they fail."""

import sys

import pytest
from commands import call, refused, run_python

from structnet.cli import commands
from structnet.registry import plugin

GREET = '''"""greet: say hello to someone."""

HELP = "structnet greet name=NAME: say hello\\n\\n  name=NAME  to whom\\n"
FLAGS = ("--loud",)


def run(words):
    loud = "--loud" in words
    (name,) = [word.partition("=")[2] for word in words if word.startswith("name=")] or [""]
    if not name:
        raise ValueError("name=... is missing: write name=NAME")
    if name == "nobody":
        raise RuntimeError("nobody is here")
    print(f"hello {name}".upper() if loud else f"hello {name}")
    return 3 if loud else 0
'''


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install distributions: name -> {command: (module, source)}."""
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("_known", "_commands"):
        monkeypatch.setattr(plugin, name, list(getattr(plugin, name)))
    before = set(sys.modules)

    def put(distribution, **modules):
        info = tmp_path / f"{distribution}-2.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 2.1")
        lines = [f"{command} = {module}:run" for command, (module, _) in modules.items()]
        (info / "entry_points.txt").write_text("\n".join(["[structnet.commands]", *lines]))
        for module, source in modules.values():
            (tmp_path / f"{module}.py").write_text(source)

    yield put
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_plugins_command_is_called_with_its_words_and_its_status_returned(install):
    install("greetings", greet=("greeting", GREET))
    assert call("greet", "name=Ada") == (0, "hello Ada\n", "")
    assert call("greet", "--loud", "name=Ada") == (3, "HELLO ADA\n", "")
    assert call("greet", "--quiet", "name=Ada").err.startswith(
        "structnet: error: no flag '--quiet' of greet, which has --loud, --plugin"
    )
    assert "write name=Ada" in refused("greet", "--name", "Ada")


def test_its_help_is_that_of_its_module(install):
    install("greetings", greet=("greeting", GREET))
    for words in (["help", "greet"], ["greet", "-h"]):
        assert call(*words) == (0, "structnet greet name=NAME: say hello\n\n  name=NAME  to whom\n",
                                "")  # fmt: skip


def test_help_lists_it_by_its_docstring_and_imports_nothing(install, tmp_path):
    source = "import torch, sys\nsys.exit('imported')\n"
    install("greetings", greet=("greeting", GREET.replace('"""\n', f'"""\n{source}', 1)),
            bare=("nothing_said", ""), broken=("not_python", "def (:"))  # fmt: skip
    (tmp_path / "not_there.py").unlink(missing_ok=True)
    heavy = "print(sorted({'torch', 'greeting', 'nothing_said'} & set(sys.modules)))\n"
    source = f"import sys\nfrom structnet.cli.main import main\nmain(['--help'])\n{heavy}"
    out = run_python("-c", source, PYTHONPATH=str(tmp_path)).stdout.splitlines()
    assert "  structnet greet        say hello to someone" in out
    assert "  structnet bare         greetings 2.1" in out
    assert "  structnet broken       greetings 2.1" in out
    assert out[-1] == "[]"


def test_a_command_of_a_package_is_listed_without_importing_the_package(install, tmp_path):
    (tmp_path / "deep" / "inner").mkdir(parents=True)
    for folder in ("deep", "deep/inner"):
        (tmp_path / folder / "__init__.py").write_text("raise SystemExit('imported')\n")
    (tmp_path / "deep/inner/greeting.py").write_text(GREET)
    install("deeper", greet=("deep.inner.greeting", ""))
    (tmp_path / "deep.inner.greeting.py").unlink()
    assert "structnet greet        say hello to someone\n" in call("--help").out
    assert "deep" not in sys.modules


def test_an_unknown_command_offers_a_plugins(install):
    install("greetings", greet=("greeting", GREET))
    assert "did you mean 'greet'?" in refused("gret")
    assert refused("--loud", "greet") == "the command comes first: structnet greet --loud"


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def (:", "SyntaxError: "),
        ("import sys; sys.exit('bye')", "SystemExit: bye"),
        ("def run(words): return 0", "needs a function, here 'greeting:run', and a text HELP"),
        ("HELP = 'help'", "has no attribute 'run'"),
    ],
)
def test_one_that_cannot_be_imported_is_named_with_distribution_and_cause(install, source, cause):
    install("greetings", greet=("greeting", source))
    for words in (["greet", "name=Ada"], ["help", "greet"]):
        message = refused(*words)
        assert message.startswith("plugin 'greet' (greeting) of greetings 2.1 failed: ")
        assert cause in message and "\n" not in message
    assert call("--help").status == call("version").status == 0


@pytest.mark.parametrize("more", ["", "[structnet.plugins]\nmine = greeting\n"])
def test_what_a_command_refuses_is_the_users_and_what_it_breaks_is_its_own(install, tmp_path, more):
    install("greetings", greet=("greeting", GREET))
    with (tmp_path / "greetings-2.1.dist-info/entry_points.txt").open("a") as file:
        file.write(f"\n{more}")
    assert refused("greet") == "name=... is missing: write name=NAME"
    message = refused("greet", "name=nobody")
    name = "mine" if more else "greet"
    assert message.startswith(f"plugin '{name}' (greeting) of greetings 2.1 failed: RuntimeError: ")
    assert "greeting.py, line 13)" in message


def test_a_name_that_is_taken_is_reported_and_left_out(install):
    other = GREET.replace("hello", "good day")
    install("greetings", greet=("greeting", GREET), train=("my_train", GREET))
    install("politeness", greet=("polite", other))
    status, out, err = call("greet", "name=Ada")
    assert (status, out) == (0, "hello Ada\n")
    assert (
        "structnet: command 'greet' (polite) of politeness 2.1 is left out: greetings 2.1 has "
        in err
    )
    status, out, err = call("--help")
    assert status == 0 and out.count("structnet greet ") == 1
    assert "command 'train' (my_train) of greetings 2.1 is left out: structnet has a command" in err
    assert commands.find("train").help.startswith("structnet train [GROUP=NAME")
    with pytest.warns(plugin.PluginWarning, match="left out"):
        assert commands.names().count("greet") == 1
