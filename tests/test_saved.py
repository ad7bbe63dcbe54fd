"""Files of a run that came from elsewhere: every wrong type is one line that names file and key."""

import json

import pytest
import yaml
from commands import call, copy_of_trained, refused, run_python

from structnet.run.plain import read_json, read_yaml, refuse_functions
from structnet.run.saved import plain_config


def copied(folder):
    """A run as another may give it, without the sums of what it wrote."""
    run = copy_of_trained(folder)
    (run / "manifest.json").unlink()
    return run


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
CONFIGS = {
    "": "is not a configuration: it holds None",
    "[]": "is not a configuration: it holds []",
    "5": "is not a configuration: it holds 5",
    "x" * 60_000: "is not a configuration: it holds 'xxxx",
    "x: " + "y" * 70_000: "a configuration has at most 65.5 kB",
    "[" * 30_000: "nested too deep",
    "a: " * 20_000: "not plain YAML",
    "a: &b [*b]": "*b is an alias",
    "a: &b {x: 1}\nc: {<<: *b}": "*b is an alias",
    BOMB: "*a is an alias",
    "task: !!python/object/apply:os.system [ls]": "not plain YAML",
    "task: !!binary x": "not plain YAML",
    "a: 2026-99-99": "not plain YAML",
    "a: \0": "not plain YAML",
}


@pytest.mark.parametrize("text", CONFIGS, ids=range(len(CONFIGS)))
def test_a_configuration_that_is_none_is_named_in_a_line(tmp_path, text):
    run = copied(tmp_path)
    (run / "config.yaml").write_text(text)
    message = refused("test", f"run={run}")
    assert f"{run}/config.yaml" in message and CONFIGS[text] in message
    assert "\n" not in message and len(message) < 600


CHOICES = [
    ("task", [1, 2]),
    ("task", {"name": ["swapped"]}),
    ("task", {"name": {"a": 1}}),
    ("task", {"name": None}),
    ("cell", {"name": 5}),
    ("net", {"name": True}),
    ("topology", "tree"),
    ("topology", {}),
    ("readout", {"name": []}),
    ("trainer", {"name": "other"}),
    ("seed", [0]),
    ("seed", 10**100),
    ("seed", "zero"),
    ("run", {"a": "b"}),
    ("run", 5),
    (5, 5),
    ("nothing", 5),
    ("task.root", ["a"]),
    ("task.root", [["a"]]),
    ("task.root", ["x" * 5000]),
    ("task.root", ["a"] * 1001),
    ("task.root", "x" * 5000),
    ("task.min_count", 1.5),
    ("task.min_count", 2**70),
    ("task.min_count", {"a": {"b": {"c": {"d": {"e": 1}}}}}),
    ("net.hidden_size", "many"),
    ("net.hidden_size", None),
    ("net.skip", "no.e"),
    ("cell.5", 5),
    ("trainer.max_epochs", b"ab"),
]


@pytest.mark.parametrize(("key", "value"), CHOICES, ids=range(len(CHOICES)))
def test_a_wrong_value_in_a_configuration_is_named_with_file_and_key(tmp_path, key, value):
    run = copied(tmp_path)
    file = run / "config.yaml"
    config = yaml.safe_load(file.read_text())
    group, _, option = str(key).partition(".")
    if option:
        config[group][int(option) if option.isdigit() else option] = value
    else:
        config[key] = value
    file.write_text(yaml.safe_dump(config))
    message = refused("test", f"run={run}")
    assert (option or group) in message and len(message) < 1500
    assert f"{run}/config.yaml" in message or (key, value) == ("net.skip", "no.e")


DESCRIPTIONS = {
    "": "not JSON",
    "[]": "no 'vocabulary', but []",
    "null": "no 'vocabulary', but None",
    "{}": "no 'vocabulary', but {}",
    "[" * 100_000: "nested too deep",
    '{"vocabulary": ' + "[" * 50_000: "nested too deep",
    '{"vocabulary": 5}': "vocabulary must map names to numbers, got 5",
    '{"vocabulary": ["a", "b"]}': "vocabulary must map names to numbers, got ['a', 'b']",
    '{"vocabulary": {"a": [1]}}': "vocabulary, 'a' must be a number, got [1]",
    '{"vocabulary": {"a": true}}': "vocabulary, 'a' must be a number, got True",
    '{"vocabulary": {"a": 1.5}}': "vocabulary, 'a' must be a count, got 1.5",
    '{"vocabulary": {"a": -1}}': "vocabulary, 'a' must be a count, got -1",
    '{"vocabulary": {"a": 1e400}}': "vocabulary, 'a' must be a count, got inf",
    f'{{"vocabulary": {{"a": {10**400}}}}}': "vocabulary, 'a' must be a number, got 1000",
    f'{{"vocabulary": {{"a": {"9" * 9000}}}}}': "not JSON",
    '{"vocabulary": {"a": 1}}': "does not hold this net's weights",
    '{"vocabulary": null}': "neither",
}


@pytest.mark.parametrize("text", DESCRIPTIONS, ids=range(len(DESCRIPTIONS)))
def test_a_wrong_description_is_named_with_file_and_key(tmp_path, text):
    run = copied(tmp_path)
    (run / "config.json").write_text(text)
    message = refused("test", f"run={run}")
    assert DESCRIPTIONS[text] in message and len(message) < 600
    assert str(run) in message or "neither" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", 5),
        ("classes", "ab"),
        ("classes", [["a"]]),
        ("classes", [1]),
        ("classes", None),
        ("scale", [1]),
        ("scale", [1, 0]),
        ("scale", ["a", "b"]),
        ("scale", [0, float("nan")]),
        ("scale", {"mean": 1}),
        ("scale", None),
    ],
)
def test_what_a_task_has_learned_is_checked(tmp_path, name, value):
    from structnet.run.saved import read_description

    file = tmp_path / "config.json"
    good = {"classes": ["a", "b"], "scale": [1.0, 2]}
    file.write_text(json.dumps({"vocabulary": None, "learned": good}))
    assert read_description(file, ("classes", "scale")) == (None, good)
    file.write_text(json.dumps({"vocabulary": None, "learned": {**good, name: value}}))
    with pytest.raises(ValueError, match=rf"config\.json is not .*: learned, '{name}' must be a"):
        read_description(file, ("classes", "scale"))
    for learned in ([], None, {}, "classes"):
        file.write_text(json.dumps({"vocabulary": None, "learned": learned}))
        with pytest.raises(ValueError, match=r"config\.json is not .*: learned has no"):
            read_description(file, (name,))


METRICS = {
    "[]": "got []",
    "null": "got None",
    '"x"': "got 'x'",
    "5": "got 5",
    "{": "not JSON",
    "[" * 100_000: "nested too deep",
    '{"baselines": 3}': "baselines must map names to figures, got 3",
    '{"baselines": [1]}': "baselines must map names to figures, got [1]",
    '{"baselines": {"a": 1}}': "baselines, 'a' must map names to numbers, got 1",
    '{"baselines": {"a": {"accuracy": "x"}}}': "'accuracy' must be a number, got 'x'",
    '{"baselines": {"a": {"accuracy": null}}}': "'accuracy' must be a number, got None",
    '{"test": 3}': "test must map names to numbers, got 3",
    '{"train": {"seconds": []}}': "train, 'seconds' must be a number, got []",
}


@pytest.mark.parametrize("text", METRICS, ids=range(len(METRICS)))
def test_wrong_figures_are_named_with_file_and_key(tmp_path, text):
    from structnet.run.saved import read_metrics

    assert read_metrics(tmp_path) == {}
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(ValueError, match=r"metrics\.json") as caught:
        read_metrics(tmp_path)
    assert METRICS[text] in str(caught.value) and len(str(caught.value)) < 400


HISTORIES = ["[]", "{}", '{"history": 3}', '{"history": [3]}', '{"history": [{"epoch": "x"}]}',
             '{"history": [{"epoch": 1}]}', '{"history": [{"epoch": 1, "gradient": {"a": "b"}}]}',
             '{"history": [{"epoch": 1, "gradient": {"a": ["b"]}}]}', "[" * 50_000]  # fmt: skip


@pytest.mark.parametrize("text", HISTORIES, ids=range(len(HISTORIES)))
def test_a_wrong_diagnosis_is_named(tmp_path, text):
    from structnet.diagnosis.report import _history

    file = tmp_path / "diagnose.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"diagnose\.json (is not a saved diagnosis|is nested)"):
        _history(file)
    file.write_text('{"history": [{"epoch": 1, "gradient": {"a": [1, null, 0.5]}}]}')
    assert len(_history(file)) == 1


def test_a_list_of_plain_values_is_a_value(tmp_path):
    config = {"task": {"name": "a", "columns": ["a", 1, None, 0.5, True], "none": []}}
    assert plain_config(config, tmp_path) == config


def test_plain_data_is_read_as_it_stands(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a: [1, 2.5, null, true, text, {b: c}]\n")
    assert read_yaml(file) == {"a": [1, 2.5, None, True, "text", {"b": "c"}]}
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


def test_a_configuration_is_read_without_the_parser_in_c(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("a: [1, 2.5, null, true, text, {b: c}]\nd: *e\n")
    source = (
        "from pathlib import Path\n"
        "import yaml\n"
        "yaml.__with_libyaml__ = False\n"
        "from structnet.run.plain import read_yaml\n"
        f"file = Path({str(file)!r})\n"
        "try:\n"
        "    read_yaml(file)\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "file.write_text(file.read_text().partition('d')[0])\n"
        "print(read_yaml(file))\n"
    )
    message, found = run_python("-c", source).stdout.splitlines()
    assert "*e is an alias" in message
    assert found == str({"a": [1, 2.5, None, True, "text", {"b": "c"}]})


FUNCTIONS = ["${oc.env:HOME}", "${now:%Y}", "x ${oc.decode:5} y", "${a.${b}}", "${${a}:x}",
             "${a:${b}}", "$${x}{oc.env:HOME", "${ oc.env:HOME }", "\\${oc.env:HOME}", "${a, b}",
             "${oc.env:\nHOME}", "${"]  # fmt: skip


@pytest.mark.parametrize("text", FUNCTIONS)
def test_what_is_computed_is_refused_wherever_it_stands(text):
    for value in (text, [text], {"a": text}, {text: 1}, {"a": {"b": [{"c": text}]}}):
        with pytest.raises(ValueError, match=r"x\.yaml.* is computed"):
            refuse_functions(value, "x.yaml")


@pytest.mark.parametrize(
    "text", ["", "$HOME", "{x}", "${net.hidden_size}", "a${b}c${d}", "${a[0]}"]
)
def test_text_and_references_to_options_are_plain(text):
    refuse_functions({"a": [text], text: 5}, "x.yaml")


@pytest.mark.parametrize("sums", [[], 5, "x", None, {"config.json": 5}, {"config.json": "x"}])
def test_sums_of_another_form_are_passed_over_with_a_warning(tmp_path, sums):
    from structnet.run.manifest import _own

    run = copied(tmp_path)
    text = json.dumps({"sha256": sums, "own": _own(sums)})
    (run / "manifest.json").write_text(text)
    status, _, err = call("test", f"run={run}")
    assert status == 0 and "manifest.json is damaged" in err, err
