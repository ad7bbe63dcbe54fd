import json
import re
import subprocess

import pytest
from commands import SMALL, call, code_folder, isolated, opened, refused, trained, write_sst

from structnet.training.predict import Prediction, predict

LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): (?P<text>.+) \((?P<probability>[01]\.\d{3})\)$")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with code, a test, a file that doesn't parse and one that is not text."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "project"
    (folder / "tests").mkdir(parents=True)
    (folder / "code.py").write_text("x = width - 1\n\n\ny = min(height, width\n    % 7)\n")
    (folder / "tests" / "test_code.py").write_text("assert f(width, 3) == height\n")
    (folder / "broken.py").write_text("def (:\n")
    (folder / "binary.py").write_bytes(b"\x00\xff\x00")
    (folder / "notes.txt").write_text("1 - 2\n")
    return folder


def test_lines_name_file_line_expression_and_probability_the_worst_first(project):
    status, out, _ = call("predict", f"run={trained()}", "path=project")
    assert status == 0
    found = [LINE.match(line) for line in out.splitlines()]
    assert all(found), out
    assert {(one["file"], one["line"], one["text"]) for one in found} == {
        ("project/code.py", "1", "width - 1"),
        ("project/code.py", "4", "min(height, width % 7)"),
        ("project/code.py", "4", "width % 7"),
    }
    probabilities = [float(one["probability"]) for one in found]
    assert probabilities == sorted(probabilities, reverse=True)
    # What gives the same either way is not there.
    _, out, _ = call("predict", f"run={trained()}", "path=project", "task.tests=true")
    found = [LINE.match(line) for line in out.splitlines()]
    assert len(found) == 4 and "f(width, 3)" in {one["text"] for one in found}
    assert "==" not in out


@pytest.mark.parametrize("word", ["task.fold=1", "task.folds=3", "task.test=other"])
def test_options_of_splits_are_refused(project, word):
    said = refused("predict", f"run={trained()}", "path=project", word)
    assert said.startswith(f"{word} is of splits, and predict draws none")
    assert said.endswith(f"structnet test run={trained()} {word} tests on it")


def test_files_that_do_not_parse_are_named_and_passed_over(project):
    _, out, err = call("predict", f"run={trained()}", "path=project")
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("structnet: skipped ") for line in lines)
    assert "project/binary.py" in lines[0] and "project/broken.py, line 1" in lines[1]
    assert "broken" not in out


def test_json_serves_programs(project):
    status, out, _ = call("predict", "--json", f"run={trained()}", "path=project")
    assert status == 0
    found = json.loads(out)
    assert {(one["text"], one["kind"]) for one in found} == {
        ("width - 1", "operation"),
        ("min(height, width % 7)", "call"),
        ("width % 7", "operation"),
    }
    for one in found:
        assert set(one) == {"file", "line", "text", "kind", "class", "probability"}
        assert one["class"] == "swapped" and 0 <= one["probability"] <= 1
    assert found == sorted(found, key=lambda one: -one["probability"])


def test_one_file_is_read_as_well_as_a_folder(project):
    _, out, err = call("predict", f"run={trained()}", "path=project/code.py")
    assert len(out.splitlines()) == 3 and err == ""
    assert "project/code.py:1: width - 1" in out


def test_top_shows_so_many_and_says_how_many_more(project):
    status, out, err = call("predict", f"run={trained()}", f"path={code_folder()}", "top=3")
    assert status == 0 and len(out.splitlines()) == 3
    assert re.search(r"^\.\.\. \d+ more; top=N shows N$", err, re.MULTILINE)
    assert len(call("predict", f"run={trained()}", f"path={code_folder()}").out.splitlines()) == 20
    assert len(json.loads(call("predict", "--json", f"run={trained()}", f"path={code_folder()}",
                               "top=2").out)) == 2  # fmt: skip


def test_equal_texts_are_shown_once_and_all_are_there_for_programs(project):
    lines = [f"a{i} = width - 1" for i in range(30)] + [f"b{i} = height - {i}" for i in range(30)]
    (project / "code.py").write_text("\n".join(lines) + "\n")
    command = ("predict", f"run={trained()}", "path=project/code.py")
    _, out, err = call(*command, "top=100")
    assert len(out.splitlines()) == 31 and err == ""
    (several,) = [line for line in out.splitlines() if "width - 1" in line]
    assert several.endswith(", x 30)") and out.count(", x ") == 1
    shown = [float(re.findall(r"\((.*?)[,)]", line)[-1]) for line in out.splitlines()]
    assert shown == sorted(shown, reverse=True)
    assert len(json.loads(call(*command, "--json").out)) == 60


def test_probabilities_are_those_after_a_prior(project):
    found = {}
    for prior in (0.5, 0.001):
        words = ("predict", "--json", f"run={trained()}", "path=project", f"task.prior={prior}")
        found[prior] = {one["text"]: one["probability"] for one in json.loads(call(*words).out)}
    for text, even in found[0.5].items():
        expected = 0.001 * even / (0.001 * even + 0.999 * (1 - even))
        assert found[0.001][text] == pytest.approx(expected, abs=2e-6)
    words = ("predict", f"run={trained()}", "path=project")
    assert "'prior' is between 0 and 1, got 0" in refused(*words, "task.prior=0")


def test_lines_that_differ_from_a_revision_are_read_alone(project):
    def git(*words):
        named = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *named, *words], cwd=project, check=True, capture_output=True)

    command = ("predict", f"run={trained()}", "path=project")
    assert "not a git repository" in refused(*command, "changed=HEAD")
    git("init", "-q")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    status, out, err = call(*command, "changed=HEAD")
    assert (status, out) == (0, "") and "that differs from HEAD" in err
    # The second line of an expression, a line that is new, and a file that git does not know.
    text = (project / "code.py").read_text()
    (project / "code.py").write_text(text.replace("% 7", "% 9") + "z = height - 2\n")
    (project / "new one.py").write_text("a = b - 3\n")
    _, out, _ = call(*command, "changed=HEAD")
    assert {LINE.match(line)["text"] for line in out.splitlines()} == {
        "min(height, width % 9)", "width % 9", "height - 2", "b - 3",
    }  # fmt: skip
    git("add", ".")
    git("commit", "-q", "-m", "two")
    assert call(*command, "changed=HEAD").out == ""
    assert len(call(*command, "changed=HEAD~1").out.splitlines()) == 4
    assert "no revision 'nothing'" in refused(*command, "changed=nothing")
    assert "not a revision" in refused(*command, "changed=--output=x")
    assert "at the files of path=" in refused(
        "predict", f"run={trained()}", "text=a", "changed=HEAD"
    )


def test_a_file_without_expressions_gives_nothing(project):
    (project / "code.py").write_text("import os\n")
    status, out, err = call("predict", f"run={trained()}", "path=project/code.py")
    assert (status, out) == (0, "")
    assert err == "structnet: nothing in project/code.py for task 'swapped'\n"
    assert (
        json.loads(call("predict", "--json", f"run={trained()}", "path=project/code.py").out) == []
    )


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["path=nowhere"], ["no file or folder 'nowhere'"]),
        (["path=empty"], ["no *.py file below 'empty'"]),
        ([], ["path=... is missing"]),
        (["path="], ["path= takes a value"]),
        (["path=project", "top=0"], ["top must be a whole number, at least 1", "'0'"]),
        (["path=project", "top=abc"], ["top must be a whole number, at least 1", "'abc'"]),
        (["path=project", "pth=x"], ["no option 'pth=x'", "did you mean 'path'?"]),
        (["path=project", "--jsn"], ["'--jsn'"]),
        (["path=project", "out=found.png"], ["out must be a file of text", "got found.png"]),
    ],
)
def test_a_wrong_call_is_refused(project, words, fragments):
    (project.parent / "empty").mkdir()
    message = refused("predict", f"run={trained()}", *words)
    for fragment in fragments:
        assert fragment in message


def test_probabilities_do_not_depend_on_what_else_is_in_the_batch(project):
    with isolated():
        run = opened(trained())
        net = run.load_net()
        alone = {
            str(one): one.probability
            for path in sorted(code_folder().glob("*.py"))
            for one in predict(run, net, path)
        }
        together = predict(run, net, code_folder())
    assert len(together) > 100
    for one in together:
        assert one.probability == pytest.approx(alone[str(one)], abs=1e-6)


def test_a_prediction_reads_as_a_line_and_as_a_dictionary():
    class Here:
        path, line, text = "a.py", 3, "b - 1"

    one = Prediction(Here(), "swapped", 0.12345678)
    assert str(one) == "a.py:3: b - 1"
    assert one.as_dict() == {
        "file": "a.py", "line": 3, "text": "b - 1", "class": "swapped", "probability": 0.123457,
    }  # fmt: skip


@pytest.mark.parametrize("topology", ["tree", "chain"])
def test_a_task_that_searches_for_nothing_labels_every_sample_in_order(
    tmp_path, monkeypatch, topology
):
    monkeypatch.chdir(tmp_path)
    write_sst(tmp_path / "mine")
    words = ("train", "task=sst", "task.root=mine", f"topology={topology}", "run=out")
    status, _, err = call(*words, *SMALL, "debug=steps")
    assert status == 0, err
    status, out, err = call("predict", "run=out", "path=mine/test.txt")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 8
    for number, line in enumerate(lines, start=1):
        assert line.startswith(f"mine/test.txt:{number}: ")
        assert re.search(r" \((very )?(negative|neutral|positive), [01]\.\d{3}\)$", line)
    assert "no file" in refused("predict", "run=out", "path=mine")
    (tmp_path / "bad.txt").write_text("(3 a\n")
    assert "bad.txt, line 1, column 5" in refused("predict", "run=out", "path=bad.txt")
