"""Configurations: how words, files and signatures are composed into plain data."""

from typing import get_args

import pytest
import yaml
from commands import ROOT, call, isolated, run_python

import structnet as sn
from structnet.cell.library.elman import Elman
from structnet.config.composing import compose, override
from structnet.config.fitting import fitting_words
from structnet.config.groups import GROUPS, groups
from structnet.config.sweeping import sweep
from structnet.run.components import create
from structnet.training.optimizing import OPTIMIZERS, SCHEDULES
from structnet.training.options import OptimizerName, ScheduleName

CONF = ROOT / "conf"


@pytest.fixture(autouse=True)
def _isolated():
    with isolated():
        yield


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def test_the_default_is_a_tree_lstm_on_swapped_operands():
    config = compose([])
    names = {group: config[group]["name"] for group in GROUPS if config.get(group)}
    expected = {"task": "swapped", "topology": "tree", "cell": "lstm", "net": "stack"}
    assert names.items() >= expected.items()
    assert config["seed"] == 0 and config["run"] is None


def test_configurations_are_composed_and_listed_without_lightning():
    source = (
        "import sys\n"
        "from structnet.cli.main import main\n"
        "status = main(['train', '--cfg']) or main(['list']) or main(['test', '--help'])\n"
        "sys.exit(status or 'lightning' in sys.modules)\n"
    )
    done = run_python("-c", source)
    assert done.returncode == 0, done.stderr
    assert "max_epochs: 4" in done.stdout and "max_epochs = 4 (int)" in done.stdout


def test_the_trainers_choices_are_what_there_is():
    assert set(get_args(OptimizerName)) == set(OPTIMIZERS)
    assert set(get_args(ScheduleName)) == set(SCHEDULES)


def test_a_configuration_is_plain_data():
    config = compose(["readout=mean", "trainer=gpu"])
    assert yaml.safe_load(yaml.safe_dump(config)) == config


def test_options_have_the_defaults_of_the_signatures():
    for group, name in (("cells", "lstm"), ("topologies", "tree"), ("nets", "stack")):
        single = {"cells": "cell", "topologies": "topology", "nets": "net"}[group]
        defaults = {k: default for k, (_, default) in getattr(sn, group).options(name).items()}
        assert compose([f"{single}={name}"])[single] == {"name": name, **defaults}


@pytest.mark.parametrize("group", groups())
def test_every_registered_component_is_a_choice_with_all_its_options(group):
    for name, about in groups()[group].items():
        required = [option for option, spec in about["options"].items() if spec.get("required")]
        config = compose([f"{group}={name}", *(f"{group}.{one}=1" for one in required)])[group]
        assert config["name"] == name
        assert {"name", *about["options"]} == set(config)


@pytest.fixture
def listing():
    """A cell with lists, and an option that is required."""
    with isolated():

        @sn.cells.register("listing")
        class Listing(Elman):
            """Listing.

            Arguments:
                root: where it is.
            """

            def __init__(
                self,
                input_size,
                hidden_size,
                arity,
                *,
                root: str,
                columns: list[str] | None = None,
                sizes: tuple[float, ...] = (1.0, 2.0),
            ):
                super().__init__(input_size, hidden_size, arity)
                self.given = columns, sizes

        yield ("cell=listing", "cell.root=here")


def test_a_list_is_typed_and_saved_as_plain_data(listing):
    config = compose([*listing, "cell.columns=[a, 1,'b,c']", "cell.sizes=[3,1e2]"])
    cell = config["cell"]
    assert cell["columns"] == ["a", "1", "b,c"] and cell["sizes"] == [3.0, 100.0]
    assert compose(listing)["cell"]["sizes"] == [1.0, 2.0]
    assert yaml.safe_load(yaml.safe_dump(config)) == config
    made = create(sn.cells, cell, 2, 2, 1)
    assert made.given == (["a", "1", "b,c"], (3.0, 100.0))


def test_a_list_in_a_file_has_values_of_its_type(listing, tmp_path):
    (tmp_path / "cell").mkdir()
    text = "name: listing\nroot: 7\ncolumns: [1, a]\nsizes: [1, '${seed}']\n"
    (tmp_path / "cell" / "mine.yaml").write_text(text)
    cell = compose(["cell=mine", "seed=4"], [str(tmp_path)])["cell"]
    assert cell["columns"] == ["1", "a"] and repr(cell["sizes"]) == "[1.0, 4.0]"


def test_a_list_of_other_values_is_answered_with_how_it_is_typed(listing):
    said = r"takes \[str,...\] or null, got 'a,b': a list stands in .*\[a,b\]"
    with pytest.raises(ValueError, match=said):
        compose([*listing, "cell.columns=a,b"])
    # It is a list, so that nothing is said of a sweep.
    with pytest.raises(
        ValueError, match=r"'sizes' of cell 'listing' takes \[float,...\], got .*'$"
    ):
        compose([*listing, "cell.sizes=[1,x]"])


def test_a_sweep_is_over_whole_lists(listing):
    words = ["cell.columns=[a,b],[c],null", "cell.sizes=[1,2],[3]"]
    assert list(sweep([*listing, *words]))[1:4:2] == [
        [*listing, "cell.columns=[a,b]", "cell.sizes=[3]"],
        [*listing, "cell.columns=[c]", "cell.sizes=[3]"],
    ]


def test_what_is_required_is_asked_for_with_its_meaning(listing):
    where = r"cell.root is required by cell 'listing' \(where it is.\): write cell.root=..."
    with pytest.raises(ValueError, match=where):
        compose(["cell=listing"])
    options = groups()["cell"]["listing"]["options"]
    assert options["root"] == {"type": "str", "required": True, "meaning": "where it is."}
    assert options["columns"] == {"type": "[str,...] or null", "default": None}
    assert "    root = required (str)\n" in call("list", "cell", "listing").out


def test_no_topology_is_tried_that_lacks_what_is_required():
    with isolated():

        @sn.topologies.register("aaa")
        class Needy(sn.topologies["chain"]):
            """Needy."""

            def __init__(self, *, root: str):
                raise AssertionError(root)

        assert fitting_words(["task=text"]) == ["topology=chain"]


def test_every_file_of_conf_composes():
    files = {str(path.relative_to(CONF)) for path in CONF.rglob("*.yaml")}
    known = {"config.yaml"}
    for group in ("trainer", "debug", "experiment"):
        for name in choices(group):
            compose([f"{group}={name}"])
            known.add(f"{group}/{name}.yaml")
    assert files == known


def test_conf_holds_no_defaults_of_components():
    # conf/ is for choices: what a signature says is not said again.
    for path in (CONF / "trainer").glob("*.yaml"):
        said = yaml.safe_load(path.read_text())
        defaults = groups()["trainer"]["default"]["options"]
        for option, value in said.items():
            if option != "defaults":
                assert value != defaults[option]["default"], f"{path.name}: {option}"


UNITS = ("%", "accuracy", "nats", "bits", "RMSE", "efficiency", "BLEU", "Pearson")


@pytest.mark.parametrize("name", choices("experiment"))
def test_an_experiment_is_headed_by_its_command_and_what_it_should_give(name):
    lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    head = [line for line in lines if line.startswith("#")]
    assert head[1].startswith(f"# structnet train experiment={name}")
    assert any(unit in line for unit in UNITS for line in head)


def test_an_experiment_is_changed_by_what_stands_beside_it():
    config = compose(["experiment=treelstm_sst", "cell=gru", "net.hidden_size=7", "seed=3"])
    assert (config["task"]["name"], config["cell"]["name"]) == ("sst", "gru")
    assert (config["net"]["hidden_size"], config["seed"]) == (7, 3)


def test_a_float_option_takes_an_int():
    assert compose(["cell.forget_bias=2"])["cell"]["forget_bias"] == 2


def test_an_option_takes_null_where_its_type_does():
    assert compose(["topology.arity=null"])["topology"]["arity"] is None
    with pytest.raises(ValueError, match="hidden_size"):
        compose(["net.hidden_size=null"])


def test_a_value_stays_text_for_a_text_option():
    assert compose(["task.root=123"])["task"]["root"] == "123"
    assert compose(["run=2026"])["run"] == "2026"


def test_words_may_come_in_any_order():
    assert compose(["net.hidden_size=7", "cell=gru", "topology=chain"]) == compose(
        ["topology=chain", "net.hidden_size=7", "cell=gru"]
    )
    assert compose(["topology.arity=3", "topology=tree"])["topology"]["arity"] == 3


def test_composing_leaves_no_state_of_hydra_behind():
    from hydra.core.global_hydra import GlobalHydra

    compose([])
    with pytest.raises(ValueError, match="no cell"):
        compose(["cell=x"])
    assert not GlobalHydra.instance().is_initialized()
    assert compose(["seed=1"])["seed"] == 1


def test_an_environment_variable_is_not_read_into_an_option_of_another_type():
    with pytest.raises(ValueError, match="dropout"):
        compose(["net.dropout=${oc.env:HOME}"])


@pytest.mark.parametrize("value", ["${foo}", "${seed}", "${oc.decode:1}", "${oc.nothing:1}"])
def test_an_interpolation_that_leads_nowhere_is_refused(value):
    with pytest.raises(ValueError):
        compose([f"seed={value}"])


def test_a_sweep_is_every_combination_in_order():
    assert list(sweep(["topology=chain,bichain", "cell=lstm,gru", "seed=3"])) == [
        ["topology=chain", "cell=lstm", "seed=3"],
        ["topology=chain", "cell=gru", "seed=3"],
        ["topology=bichain", "cell=lstm", "seed=3"],
        ["topology=bichain", "cell=gru", "seed=3"],
    ]
    assert list(sweep([])) == [[]]
    assert list(sweep(["seed=range(3)"])) == [["seed=0"], ["seed=1"], ["seed=2"]]
    assert list(sweep(["net.dropout=choice(0.1,0.2)"])) == [
        ["net.dropout=0.1"],
        ["net.dropout=0.2"],
    ]


def test_the_words_of_a_sweep_compose_as_they_stand():
    for words in sweep(["task.root='a b',c", "topology.arity=2,null", "cell=lstm,gru"]):
        compose(words)
    (first, *_) = sweep(["task.root='a b',c"])
    assert compose(first)["task"]["root"] == "a b"


def test_an_option_is_overridden_and_its_configuration_stays_as_it_was():
    config = compose([])
    epochs = config["trainer"]["max_epochs"]
    changed = override(config, ["trainer.max_epochs=99", "trainer.clip_norm=2.0"])
    assert (changed["trainer"]["max_epochs"], changed["trainer"]["clip_norm"]) == (99, 2.0)
    assert config["trainer"]["max_epochs"] == epochs
    assert override(config, []) == config


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cell=gru", "keeps its components"),
        ("cell.name=gru", "cell"),
        ("trainer.max_epoch=3", "did you mean 'max_epochs'"),
        ("trainer.max_epochs=x", "takes int"),
        ("trainer.max_epochs.more=3", "max_epochs.more"),
        ("+net._target_=os.system", "_target_"),
        ("tranier.max_epochs=3", "tranier"),
        ("seed=-1", "seed"),
        ("foo", "GROUP"),
    ],
)
def test_a_wrong_override_is_refused(word, message):
    with pytest.raises((ValueError, KeyError), match=message):
        override(compose([]), [word])


def test_a_component_registered_late_is_a_choice_at_once():
    @sn.cells.register("late")
    class Late(Elman):
        """Late."""

        def __init__(self, input_size, hidden_size, arity, *, much: int = 3, word: str = "a"):
            super().__init__(input_size, hidden_size, arity)

    assert compose(["cell=late", "cell.much=5"])["cell"] == {"name": "late", "much": 5, "word": "a"}
    with pytest.raises(ValueError, match="'much' of cell 'late' takes int, got 'x'"):
        compose(["cell=late", "cell.much=x"])
    assert groups()["cell"]["late"] == {
        "doc": "Late.",
        "options": {
            "much": {"type": "int", "default": 3},
            "word": {"type": "str", "default": "a"},
        },
    }
