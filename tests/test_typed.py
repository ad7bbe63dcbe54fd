"""Names and paths are taken as typed, and what can't be taken is answered with what to type."""

import re
from pathlib import Path

import pytest
from commands import call, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from structnet import DataWarning
from structnet.config.composing import compose, override
from structnet.config.groups import defaults_of
from structnet.config.sweeping import sweep

ODD = (
    "2026_11_28", "1e3", "007", "1.50", "true", "null", "nan", "inf", "0x10", "run#1", "me@home",
    "50%", "a&b", "lr=0.1", "a b", " a", "a,b", "a:b", "données", "名", "[x]", "{x}", "(x)", "a$b",
    "it's", '"x"', "~x", "-x", "a|b", "*", "a?b", "C:\\runs\\x", "x\\", "\\'", "+x", "'a'", "==",
)  # fmt: skip
# A net that is not trained: these words are composed alone.
ALONE = ("train", "--cfg")


@pytest.mark.parametrize("name", ODD)
def test_a_directorys_name_is_taken_as_typed(name):
    assert compose([f"run={name}"])["run"] == name
    assert compose([f"run=runs/{name}"])["run"] == f"runs/{name}"


@pytest.mark.parametrize("name", [name for name in ODD if name != "null"])
def test_an_options_text_is_taken_as_typed(name):
    assert compose(["task=sst", f"task.root={name}"])["task"]["root"] == name


@pytest.mark.slow
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
@settings(max_examples=20, deadline=None)
def test_any_text_is_taken_as_typed(name):
    if "${" not in name and not name.startswith("~/") and name not in ("~", "null"):
        assert override(compose([]), []) and compose([f"run={name}"])["run"] == name


def test_null_is_no_value_where_there_may_be_none():
    assert compose(["task.root=null"])["task"]["root"] is None
    assert compose(["task.root=./null"])["task"]["root"] == "./null"


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    nowhere = str(tmp_path / "none")
    assert compose(["run=~/x", "task.root=~"])["run"] == str(tmp_path / "x")
    assert compose(["task.root=~"])["task"]["root"] == str(tmp_path)
    for words in (["test"], ["predict", "path=."], ["generate"], ["diagnose"], ["draw"]):
        assert nowhere in refused(*words, "run=~/none")
    assert nowhere in refused("train", "resume=~/none")
    assert nowhere in refused("draw", "topology=chain", "out=~/none/x.png")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("trainer.max_epochs=1e3", 1000),
        ("net.hidden_size=16.0", 16),
        ("net.hidden_size=1_000", 1000),
        ("net.dropout=0", 0.0),
        ("trainer.learning_rate=1e-3", 1e-3),
        ("cell.peephole=TRUE", True),
        ("cell.chrono=null", None),
        ("+net.hidden_size=7", 7),
    ],
)
def test_a_number_may_be_written_in_any_usual_way(word, value):
    group, _, option = word.lstrip("+").partition("=")[0].partition(".")
    found = compose([word])[group][option]
    assert (found, type(found)) == (value, type(value))


def test_a_comma_separates_in_a_sweep_alone():
    assert list(sweep(["run=a b,(c)"])) == [["run=a b"], ["run=(c)"]]
    assert list(sweep(["task.root='a,b',c"])) == [["task.root=a,b"], ["task.root=c"]]
    assert list(sweep(["task.root=it's,b"])) == [["task.root=it's"], ["task.root=b"]]
    assert list(sweep(["run=2026_1_1"])) == [["run=2026_1_1"]]


ANSWERS = {
    "--cell lstm": "no flag '--cell' of train; write cell=lstm",
    "--cell=lstm": "no flag '--cell' of train; write cell=lstm",
    "--lr 0.1": "write trainer.learning_rate=0.1",
    "--hidden-size 16": "write net.hidden_size=16",
    "--seed=3": "write seed=3",
    "--experiment enas": "write experiment=enas",
    "hidden_size=16": "no group or option 'hidden_size'; write net.hidden_size=16",
    "cell.hidden_size=3": "no option 'hidden_size' of cell 'lstm'; write net.hidden_size=3",
    "lr=0.1": "write trainer.learning_rate=0.1",
    "epochs=3": "write trainer.max_epochs=3",
    "trainer.lr=0.1": "did you mean 'learning_rate'?",
    "trainer.early_stopping=3": "did you mean 'patience'?",
    "trainer.epochs=3": "did you mean 'max_epochs'?",
    "trainer.batch=3": "did you mean 'batch_size'?",
    "trainer.workers=3": "did you mean 'num_workers'?",
    "cell=LSTM": "did you mean 'lstm'?",
    "experiment=ENAS": "did you mean 'enas'?",
    "cell=lstm,gru": "-m cell=lstm,gru",
    "net.dropout=0,5": "-m net.dropout=0,5",
    "experiment=enas,esol": "-m experiment=enas,esol",
    "seed=1,2": "-m seed=1,2",
    "trainer.optimizer=adamw,sgd": "-m trainer.optimizer=adamw,sgd",
    "lstm.forget_bias=2": "write cell=lstm cell.forget_bias=2",
    "dataset=sst": "write task=sst",
    "net.=3": "arguments are GROUP=NAME",
    "debug=1": "no debug '1' among ['steps']",
    "cell: lstm": "'cell:': arguments are GROUP=NAME",
    "lstm": "write cell=lstm",
    "trainer.max_epochs": "write trainer.max_epochs=VALUE",
    "cell": "write cell=NAME, see structnet list cell",
    "run=": "run= takes the directory of a run",
    "compare.seeds=[0]": "this is no comparison",
}


@pytest.mark.parametrize("words", ANSWERS)
def test_a_slip_is_answered_with_what_to_type(words):
    message = refused(*ALONE, *words.split())
    assert ANSWERS[words] in message
    assert "\n" not in message


# Whatever is typed, nobody is shown the parser's own words.
INTERNAL = re.compile(r"Lexer|mismatched|Sweep\(|tags=|extraneous|EOF|full_key|Override|Traceback")
SHAPES = ("{}", "cell={}", "run={}", "net.hidden_size={}", "task.root={}", "cell.{}=1", "~{}")
STRANGE = ("", " ", "a=b", "{a:[", "(", "'", '"', "\\", "a,b", "${x}", "a@b", "é", "a.b", "range(")


@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_is_typed_is_taken_or_answered_in_one_line(shape):
    for number, part in enumerate(STRANGE):
        word = shape.format(part)
        status, _, err = call(*ALONE, *(["-m"] if number % 2 else []), word)
        assert not INTERNAL.search(err), (word, err)
        assert status in (0, 2) and err.count("\n") <= 1, (word, err)
        assert bool(err) == (status == 2), (word, err)


def test_commands_that_are_printed_run_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("my own").mkdir()
    out = call(*ALONE[:1], "--cfg", "-m", "--config-dir", "my own", "seed=1,2", "run=a b").out
    assert out.count("run: a b") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test", "--run", "x"], "write run=x"),
        (["test", "--json"], "no flag '--json' of test, which has --plugin"),
        (["predict", "run=x", "run=y", "path=."], "run= is given twice"),
        (["test", "run="], "run= takes a value"),
        (["train", "experiment=cell_comparison", "cell=gru"], "leave out cell=gru"),
        (["test", "run"], "'run' takes a value: write run=DIR"),
        (["test", "run=x", "foo=1"], "among ['run', 'task.root']"),
        (["cell=lstm"], "structnet train cell=lstm"),
        (["--cfg", "train"], "structnet train --cfg"),
        (["help", "trian"], "did you mean 'train'?"),
        (["TRAIN"], "did you mean 'train'?"),
    ],
)
def test_a_slip_in_another_command_is_answered_too(words, message):
    assert message in refused(*words)


@pytest.fixture
def folder(tmp_path):
    """A folder of configuration files with experiments of a user's own."""
    (tmp_path / "experiment").mkdir()
    texts = {
        "mine": "defaults:\n  - override /cell: lstm\ncell:\n  forget_bias: -1.0\n  forget: 0\n"
        "readout:\n  name: root\n  pool: max\n",
        "odd": "defaults:\n  - override /cell: lstm\ncell:\n  forget_bais: -1.0\n",
    }
    for name, text in texts.items():
        (tmp_path / "experiment" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    return str(tmp_path)


def test_an_experiment_takes_another_component_and_says_what_falls_away(folder):
    with pytest.warns(DataWarning) as said:
        config = compose(["experiment=mine", "cell=mgu", "readout=mean"], [folder])
    assert config["cell"] == defaults_of("cell", "mgu")
    assert config["readout"] == {"name": "mean"}
    assert [str(one.message) for one in said] == [
        "cell.forget=0, cell.forget_bias=-1.0 of lstm do not fit cell=mgu and are dropped",
        "readout.pool=max of root does not fit readout=mean and is dropped",
    ]
    words = ("--config-dir", folder, "experiment=mine", "cell=gru")
    _, out, err = call("train", "--cfg", *words)
    assert "name: gru" in out
    # Said once, however often it is composed.
    assert err == (
        "structnet: cell.forget=0, cell.forget_bias=-1.0 of lstm do not fit cell=gru "
        "and are dropped\n"
    )


def test_what_fits_the_other_component_stays(folder):
    assert compose(["experiment=mine", "readout=last"], [folder])["readout"] == {
        "name": "last", "pool": "max",
    }  # fmt: skip
    assert compose(["experiment=mine", "readout=null"], [folder]).get("readout") is None
    words = ["experiment=mine", "cell=lstm", "cell.forget_bias=2"]
    assert compose(words, [folder])["cell"]["forget_bias"] == 2.0


def test_a_mistake_of_an_experiment_stays_one(folder):
    for words in (["experiment=odd"], ["experiment=odd", "cell=gru"]):
        with pytest.raises(ValueError, match="forget_bais"):
            compose(words, [folder])


def test_an_option_of_the_other_component_that_is_typed_stays_a_mistake():
    words = ["experiment=treelstm_sst", "cell=gru", "cell.forget_bias=1"]
    with pytest.raises(ValueError, match="no option 'forget_bias' of cell 'gru'"):
        compose(words)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("task.root=", "task.root= takes a value, or null for none"),
        ("net.before=", "option 'before' is .* or null, got ''"),
    ],
)
def test_no_value_is_not_the_default_one(word, message):
    with pytest.raises(ValueError, match=message):
        compose([word])
    assert compose(["task.root=null"])["task"]["root"] is None
