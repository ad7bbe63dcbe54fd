"""What the design promises of the repository as a whole."""

import ast
import math
import os
import re
import shlex
import shutil
import sysconfig
import tomllib
from pathlib import Path

import pytest
import torch
import yaml
from commands import (
    DATA,
    ROOT,
    SMALL,
    call,
    check_composed,
    code_folder,
    opened,
    run_python,
    trained,
    trained_on_pixels,
)

import structnet as sn
from structnet import registry

SOURCES = sorted([*ROOT.glob("structnet/**/*.py"), *ROOT.glob("plugins/**/*.py")])
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# Where an editable installation keeps them as links.
SOURCES = [path for path in SOURCES if not path.is_relative_to(ROOT / "structnet" / "plugins")]


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def each(paths):
    return pytest.mark.parametrize("path", paths, ids=map(name_of, paths))


def parsed(path):
    return ast.parse(path.read_text(), str(path))


def imports(path):
    """Every module that a file imports, wherever in the file; `a.b` for `from a import b`."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import in {path}"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# Layers


@each([path for path in SOURCES if name_of(path).startswith("plugins/")])
def test_plugins_use_the_public_names_only(path):
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "structnet":
                    assert (alias.name, alias.asname) == ("structnet", "sn")
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "structnet":
            assert node.module.startswith("structnet.plugins"), ast.unparse(node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "sn":
            assert node.attr in sn.__all__, f"sn.{node.attr} is not public"


@each([path for path in SOURCES if name_of(path).startswith("plugins/")])
def test_plugins_import_nothing_of_each_other(path):
    """They share the folders that have no entry point; these import no plugin either."""
    own, plugins = path.relative_to(ROOT / "plugins").parts[0], doors()
    for module in imports(path):
        if module.startswith("structnet.plugins."):
            assert ".".join(module.split(".")[:3]) not in plugins - {f"structnet.plugins.{own}"}


def outside(folder):
    return each([path for path in SOURCES if not path.is_relative_to(ROOT / "structnet" / folder)])


@outside("config")
def test_hydra_is_imported_in_one_folder(path):
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & {"hydra", "omegaconf"}


@outside("training")
def test_lightning_is_imported_where_nets_are_trained(path):
    assert "lightning" not in {module.split(".")[0] for module in imports(path)}


def test_every_public_name_is_there():
    for name in sn.__all__:
        assert getattr(sn, name) is not None
    assert set(sn.__all__) == set(dir(sn))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = sn.nothing


@pytest.mark.parametrize(
    "name",
    ["cells", "topologies", "readouts", "nets", "tasks", "schedule", "Recurrence", "RNN", "Plan"],
)
def test_the_names_of_the_design_are_public(name):
    assert name in sn.__all__


def test_importing_structnet_imports_no_torch():
    source = "import sys, structnet; sys.exit(bool({'torch', 'numpy', 'hydra'} & set(sys.modules)))"
    assert run_python("-c", source).returncode == 0


@pytest.mark.parametrize("group", ["cells", "topologies", "readouts", "nets", "tasks"])
def test_a_registry_knows_its_components_from_the_first_look(group):
    done = run_python("-c", f"import structnet as sn; print(*sn.{group}.names())")
    assert done.returncode == 0, done.stderr
    # The tests register some more.
    names = done.stdout.split()
    assert names and names == [name for name in getattr(sn, group).names() if name in names]


# Security


@each(SOURCES + EXAMPLES)
def test_nothing_unpickles_or_evaluates(path):
    for module in imports(path):
        root = module.split(".")[0]
        assert root not in {"pickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}, module
        # These sum up the sizes of an archive's members, or their CRCs, and unpack none to disk.
        sums_up = name_of(path) in ("structnet/system/reading.py", "structnet/run/resuming.py")
        if not sums_up or root != "zipfile":
            assert root not in {"tarfile", "zipfile"}, f"{module}: check member paths, say so here"
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert called not in {"eval", "exec", "compile", "__import__"}, called
        assert called not in {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "os.system"}
        assert "instantiate" not in called
        assert given.get("allow_pickle", "False") == "False"
        assert given.get("shell", "False") == "False"
        if called in ("torch.load", "load_from_checkpoint") or "weights_only" in given:
            assert given.get("weights_only") == "True", ast.unparse(node)


def test_no_configuration_names_code():
    for path in (ROOT / "conf").rglob("*.yaml"):
        text = path.read_text()
        assert "_target_" not in text and "!!" not in text and "hydra" not in text, path


# Size and style


@each(SOURCES)
def test_a_module_says_what_it_is(path):
    docstring = ast.get_docstring(parsed(path))
    if path.name != "__init__.py" or path.read_text().strip():
        is_one_cell = path.parent.name == "library" and path.name != "__init__.py"
        assert docstring or is_one_cell, f"{name_of(path)} has no docstring"


@each(EXAMPLES)
def test_an_example_is_short_and_runs(path, tmp_path):
    assert len(path.read_text().splitlines()) <= 40
    done = run_python("-W", "error::UserWarning:structnet", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["leaky_cell", "skip_topology"])
def test_a_component_of_ones_own_is_a_file_of_under_25_lines(name):
    source = (ROOT / "examples" / f"{name}.py").read_text()
    assert len(source.split("if __name__")[0].rstrip().splitlines()) < 25


# The examples that are plugins for a command, which their docstrings name.
PLUGINS = ("leaky_cell", "mixture_head", "series_task", "skip_topology", "timed_executor")


def commands_at_the_head(path):
    """The commands of structnet in an example's docstring: in a literal block or backticks."""
    head = ast.get_docstring(parsed(path)) or ""
    return re.findall(r"^    (structnet .*)$|``(structnet [^`]*)``", head, re.MULTILINE)


@each(EXAMPLES)
def test_the_command_at_the_head_of_an_example_composes(path, monkeypatch):
    commands = ["".join(found) for found in commands_at_the_head(path)]
    assert commands or path.stem not in PLUGINS
    monkeypatch.chdir(ROOT)
    for command in commands:
        _, name, *words = shlex.split(command)
        status, _, err = call(name, *([*words, "--cfg"] if name == "train" else ["--help"]))
        assert status == 0, err


def test_the_examples_that_are_plugins_are_there():
    assert {ROOT / "examples" / f"{name}.py" for name in PLUGINS} <= set(EXAMPLES)


@each(EXAMPLES)
def test_an_example_has_a_title_and_a_text(path):
    title, line, empty, *text = (ast.get_docstring(parsed(path)) or "").splitlines()
    assert line == "=" * len(title) and not empty and text


def test_no_file_is_named_for_nothing():
    banned = {"utils", "helpers", "common", "misc"}
    assert not [path for path in SOURCES if path.stem in banned]


# Packaging


def doors():
    """The modules of our plugins: the others in their folder are shared by them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return set(project["entry-points"]["structnet.plugins"].values())


def test_the_metadata_says_what_it_is_and_may_be_used_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "MIT" and (ROOT / "LICENSE").read_text().startswith("MIT")
    assert f"## {project['version']}\n" in (ROOT / "CHANGELOG.md").read_text()
    assert (ROOT / "CONTRIBUTING.md").is_file()


def test_every_package_is_installed_and_every_plugin_has_its_door():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = set(project["tool"]["setuptools"]["packages"])
    expected = {"structnet.conf", "structnet.plugins"}
    for path in SOURCES:
        if path.name == "__init__.py":
            parts = path.parent.relative_to(ROOT).parts
            expected.add(".".join(("structnet", *parts) if parts[0] == "plugins" else parts))
    assert packages == expected
    registering = {
        path.relative_to(ROOT / "plugins").parts[0]
        for path in SOURCES
        if name_of(path).startswith("plugins/") and "@sn." in path.read_text()
    }
    assert doors() == {f"structnet.plugins.{name}" for name in registering}


# Extras that no test installs.
UNTESTED = ("mlflow", "tensorboard", "wandb")


def requirements(without=()):
    """What the distribution and its extras need, but for some extras."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = list(project["dependencies"])
    for extra, needed in project["optional-dependencies"].items():
        texts += [] if extra in without else needed
    return [one for one in map(Requirement, texts) if one.name != "structnet"]


def test_tested_versions_are_within_the_honest_ranges():
    from packaging.requirements import Requirement

    text = (ROOT / "constraints.txt").read_text()
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    pinned = {pin.name.lower(): pin.specifier for pin in map(Requirement, filter(None, lines))}
    for requirement in requirements(without=UNTESTED):
        assert requirement.name.lower() in pinned, f"{requirement.name} is not pinned"
        version = str(pinned[requirement.name.lower()]).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} excludes {version}"


def test_third_parties_that_are_imported_are_required():
    required = {one.name.lower() for one in requirements(without=("test", "dev"))}
    known = {"sklearn": "scikit-learn", "yaml": "pyyaml", "hydra": "hydra-core",
             "omegaconf": "hydra-core", "torch_geometric": "torch-geometric",
             "PIL": "pillow", "skimage": "scikit-image", "sb3_contrib": "sb3-contrib",
             "prometheus_client": "prometheus-client"}  # fmt: skip
    import sys

    for path in SOURCES:
        for module in imports(path):
            root = module.split(".")[0]
            if root == "triton":
                # It comes with torch for CUDA; whoever asks for the kernels has it or is told.
                assert path.parent.name in ("fused", "triton")
            elif root == "samples":
                # It is copied into the same folder.
                assert name_of(path) == "structnet/export/runtime.py"
            elif root != "structnet" and root not in sys.stdlib_module_names:
                assert known.get(root, root) in required, f"{name_of(path)} imports {root}"


# Experiments


# What of STRUCTNET_DATA a task's experiments read.
FILES = {
    "sst": "sst/trees/train.txt",
    "segmentation": "camvid_small/camvid_80x60.npz",
    "superpixels": "camvid_small/camvid_80x60.npz",
    "mnist": "mnist/train-images-idx3-ubyte.gz",
    "cifar10": "cifar10_subset/data_batch_first4000.bin.gz",
    "enas": "dags/enas/final_structures6.txt",
    "mutag": "molecules/mutag/MUTAG.txt",
    "nci1": "molecules/nci1/NCI1.txt.gz",
    "esol": "molecules/esol/delaney-processed.csv",
    "translation": "multi30k/raw/train.de.gz",
    "listops": "listops/test_d8.tsv.gz",
    "logic": "propositionallogic/train1.gz",
    "sick_relatedness": "sick/train/a.toks",
    "sick_entailment": "sick/train/a.toks",
    "parsing": "nltk_data/corpora/treebank.zip",
}
# The same of the corpora that tasks name.
CORPORA = {
    "tinyshakespeare": "tinyshakespeare/input.txt",
    "wikitext-2": "wikitext-2/train.txt.gz",
    "ewt": "ud/UD_English-EWT/en_ewt-ud-train.conllu.gz",
    "wnut17": "wnut17/wnut17train.conll",
    "treebank": "nltk_data/corpora/treebank.zip",
}


EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_takes_two_training_steps(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["train", f"experiment={name}", "debug=steps", "trainer.accelerator=cpu"]
    config = yaml.safe_load(call(*words, "--cfg").out)
    task = config["task"]["name"]
    needs = FILES.get(task) or CORPORA.get(config["task"].get("corpus"))
    if needs and not Path(DATA or "nowhere", needs).is_file():
        pytest.skip(f"STRUCTNET_DATA names no folder with {needs}")
    if name == "elmo_pos":
        # The run that it reads.
        given = ("experiment=elmo", "task.limit=50000", "net.hidden_size=64", *words[2:])
        assert call("train", *given, "run=elmo").status == 0
    if task in ("text", "words", "bidirectional_text"):
        # A test split that is read as one text, in windows as long as all streams' together.
        words += ["task.limit=200000", "trainer.batch_size=2", "net.hidden_size=64"]
    if task in ("swapped", "callgraph", "expressions"):
        # A part of the standard library: real, and soon read.
        words.append(f"task.root={Path(sysconfig.get_path('stdlib'), 'email')}")
    if config["net"].get("num_layers", 1) > 3:
        # For a GPU.
        words += ["trainer.batch_size=1", "net.num_layers=2"]
    if task == "logic":
        words.append("task.most_operators=2")
    if task == "translation":
        words += ["task.limit=500", "task.beam=1"]
    if task == "river":
        words.append("task.basins=8")
    rows = 1
    if "compare" in config:
        # Every row on every column, on little data and with one seed.
        words.append("compare.seeds=[0]")
        if "train_size" in config["task"]:
            words.append("task.train_size=70")
        if "folds" in config["compare"]:
            words.append("compare.folds=[1]")
        rows = len(config["compare"]["rows"]) * len(config["compare"]["columns"])
    monkeypatch.setattr(sn.tasks[task], "baselines", lambda self: {})
    status, _, err = call(*words, "run=out")
    assert status == 0, err
    runs = [path.parent for path in (tmp_path / "out").rglob("metrics.json")]
    assert len(runs) == rows
    for run in runs:
        metrics = yaml.safe_load((run / "metrics.json").read_text())
        task = opened(run).task
        assert metrics["train"]["steps"] == 2
        # An efficiency below 0 is that of a model worse than the mean, as a correlation may be.
        least = -math.inf if task.monitor in ("nse", "pearson") else 0
        assert least <= metrics["test"][task.monitor] <= (1 if task.mode == "max" else math.inf)


# The README, and the pages of the manual that it leads to

README = (ROOT / "README.md").read_text()
PAGES = ("command-line", "own-data", "layers", "cell-comparison", "language", "trees", "images",
         "graphs", "training", "after-training", "executors", "speed", "extending",
         "security", "install", "ten-minutes-command-line", "diagnosis",
         "swapped-operands")  # fmt: skip
MANUAL = "\n".join([README, *((ROOT / f"docs/{page}.md").read_text() for page in PAGES)])
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line
    for language, block in BLOCKS
    if language in ("bash", "sh", "shell", "console")
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("structnet ")
]
PYTHON = [block for language, block in BLOCKS if language == "python"]


def test_the_first_screen_has_the_two_commands():
    first = "\n".join(README.splitlines()[:40])
    assert "pip install -c constraints.txt -e . && structnet train" in first
    assert re.search(r"^pip install -c constraints\.txt -e '\.\[test\]' && pytest$", first, re.M)


def test_the_readme_is_short_and_finished():
    assert len(README.splitlines()) <= 150
    assert not re.findall(r"@[A-Z]+@|TODO|FIXME|TBD", MANUAL)


def test_links_of_the_readme_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", README):
        if "://" not in target:
            assert (ROOT / target).exists(), target


def test_lines_of_the_readme_fit():
    outside = re.sub(r"^```.*?^```$|^\|.*?$", "", MANUAL, flags=re.MULTILINE | re.DOTALL)
    assert all(len(line) <= 120 for line in outside.splitlines())


def test_tables_of_the_manual_name_every_topology_and_cell():
    for kind in (registry.topologies, registry.cells):
        for name in kind.names():
            if kind[name].__module__.startswith("structnet."):
                assert f"`{name}`" in MANUAL, name


@pytest.mark.parametrize("block", PYTHON, ids=[f"python-{i}" for i in range(len(PYTHON))])
def test_a_python_block_of_the_readme_runs(block, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    done = run_python("-c", block, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


# Benchmarks take long, even of small sizes.
CALLS = [
    pytest.param(line, marks=[pytest.mark.slow] if line.startswith("structnet bench") else [])
    for line in COMMANDS
]


@pytest.mark.parametrize("line", CALLS)
def test_a_command_of_the_readme_works(traced, line, tmp_path, monkeypatch):
    command, *words = shlex.split(line, comments=True)[1:]
    if "task=enas" in words and not os.environ.get("STRUCTNET_DATA"):
        pytest.skip("STRUCTNET_DATA is not set")
    if "cuda" in words and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for folder in ("my_project", "examples"):
        if not (tmp_path / folder).exists():
            shutil.copytree(code_folder(), tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    # What is installed for a shell is installed there.
    monkeypatch.setenv("HOME", str(tmp_path))
    if command == "train":
        train_as_told(words)
        return
    if command == "check" and "--quick" not in words:
        words += ["depth=20"]
    if command == "bench":
        small = {"batch": 2, "size": 4, "hidden_size": 4, "repeats": 1, "threads": 1}
        if any(word.startswith("suite=") for word in words):
            small = {"scale": 0.02, "repeats": 1, "threads": 1}
        words = [word for word in words if word.split("=")[0] not in small]
        words += [f"{key}={value}" for key, value in small.items()]
    if command == "runs":
        for folder in ("runs", "sweeps"):
            shutil.copytree(trained(), Path(folder, "first"))
    placed = {"run": trained(), "path": code_folder()}
    if command == "generate":
        two_stages = any(word.startswith("small=") for word in words)
        placed["run"] = trained_on_pixels(*["task.condition=small"] * two_stages)
        placed["small"] = trained_on_pixels("task.size=4") if two_stages else None
    words = [f"{key}={placed[key]}" if (key := word.split("=")[0]) in placed else word
             for word in words]  # fmt: skip
    status, _, err = call(command, *words)
    assert status == 0, err


def train_as_told(words):
    """Compose what is told; run it, in small, where its data is small and it starts anew."""
    if any(word.startswith("resume=") for word in words):
        shutil.copytree(trained(), "DIR")
        words = ["resume=DIR" if word.startswith("resume=") else word for word in words]
        status, _, err = call("train", *words)
        assert status == 0, err
        return
    status, out, err = call("train", *words, "--cfg")
    assert status == 0, err
    if "-m" not in words and "--plugin" not in words:
        check_composed(yaml.safe_load(out))
    if "-m" in words or "name: swapped" not in out:
        return
    words = [word for word in words if not word.startswith(("task.root=", "run=", "debug="))]
    status, _, err = call(
        "train", *words, *SMALL, f"task.root={code_folder()}", "debug=steps", "run=out"
    )
    assert status == 0, err


def test_commands_of_the_usage_compose():
    from structnet.cli.main import USAGE

    (line,) = re.findall(r"structnet train -m \S+ \S+", USAGE)
    assert call(*line.split()[1:], "--cfg").status == 0


def test_the_tests_of_ci_are_those_of_the_readme():
    script = ROOT / ".ci" / "run"
    if not script.is_file():
        pytest.skip("no .ci/run here")
    assert os.access(script, os.X_OK)
    text = script.read_text()
    assert "README.md" in text and "STRUCTNET_DATA" in text and "venv" in text
    # Lint and types come before the tests, what takes long after them.
    steps = ["ruff check .", "ruff format --check .", "pyright", 'bash -euc "$command"', "-m slow"]
    lines = [next(n for n, line in enumerate(text.splitlines()) if step in line) for step in steps]
    assert lines == sorted(lines)
