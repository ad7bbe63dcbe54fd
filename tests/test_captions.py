"""Captions: what an image shows, written in a language that is given as well."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import _kept, call, opened, refused
from PIL import Image

import structnet as sn
from structnet.plugins.sequence.captions.baselines import fit_captions
from structnet.plugins.sequence.captions.condition import Picture
from structnet.plugins.sequence.captions.samples import Samples
from structnet.plugins.sequence.captions.sources import NAMES, Captioned
from structnet.plugins.sequence.captions.writing import write
from structnet.plugins.sequence.generation.starts import END, START

CHAIN = sn.topologies.create("chain")
SMALL = ("net=captioner", "topology=chain", "cell=gru", "net.hidden_size=8", "net.channels=2",
         "net.encoding_size=8", "net.embedding_size=4", "trainer.num_workers=0",
         "trainer.accelerator=cpu", "trainer.max_epochs=1")  # fmt: skip
# Of three channels and uneven sides.
PICTURE = Picture(3, 5, 4, 2)
VOCABULARY = sn.Vocabulary({START: 1, END: 1, "a": 2, "b": 3})


def create(condition="state", cell="gru", **options):
    """A captioner with double precision, its samples and their batch."""
    torch.manual_seed(0)
    sizes = sn.Sizes(VOCABULARY, None, len(VOCABULARY), condition=PICTURE)
    wired = (lambda *some: sn.cells.create(cell, *some), lambda *some: sn.readouts["every"](*some),
             lambda *some: sn.heads.create("softmax", *some))  # fmt: skip
    sized = {"hidden_size": 6, "channels": 2, "encoding_size": 7, "embedding_size": 3} | options
    net = sn.nets.create("captioner", sizes, CHAIN, *wired, condition=condition, **sized)
    draw = np.random.default_rng(0)
    texts = ["", "ab", "a", "babab", "c"]
    shown = [
        Captioned(draw.integers(0, 255, (5, 4, 3)).astype(np.uint8), text, "xy"[place % 2])
        for place, text in enumerate(texts)
    ]
    samples = list(Samples(shown, PICTURE, ["x", "y"], VOCABULARY))
    return net.double().eval(), samples, sn.collate(samples, CHAIN)


@cache
def trained(*words):
    """A run on digits that no test writes to."""
    directory = _kept() / "-".join(["captions", *words]).replace("/", "-")
    status, _, err = call("train", "task=captions", *SMALL, *words, f"run={directory}")
    assert status == 0, err
    return directory


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of images of two sizes and colours, with captions in two languages."""
    monkeypatch.chdir(tmp_path)
    return draw_folder(12, lambda number: "light" if number % 2 else "dark")


def draw_folder(count, text):
    Path("images/some").mkdir(parents=True, exist_ok=True)
    lines = ["file\tcaption\tlanguage"]
    for number in range(count):
        image = np.full((6 + number % 3, 7, 3), 200 if number % 2 else 30, np.uint8)
        file = f"{'some/' if number < 6 else ''}{number}.png"
        Image.fromarray(image).save(f"images/{file}")
        lines += [f"{file}\t{text(number)}\ten", f"{file}\t{text(number)[::-1]}\ten-back"]
    write_captions(lines)
    return Path("images").absolute()


def write_captions(lines):
    Path("images/captions.tsv").write_text("\n".join(lines) + "\n")


# The net


@pytest.mark.parametrize("cell", ["lstm", "slstm", "mlstm", "ssm"])
@pytest.mark.parametrize("condition", ["state", "input", "both"])
def test_a_caption_step_by_step_is_the_whole_caption(condition, cell):
    net, samples, batch = create(condition, cell, num_layers=2)
    whole = net(batch).split(batch.ptr.diff().tolist())
    stepper = net.train().stepper(len(samples), batch.condition)
    assert net.training
    for step in range(max(map(len, whole))):
        ids = [int(one.x.ids[min(step, len(one.x) - 1)]) for one in samples]
        scores = stepper.push(ids)
        for row, expected in enumerate(whole):
            if step < len(expected):
                torch.testing.assert_close(scores[row], expected[step], rtol=0, atol=1e-9)


def test_rows_of_a_stepper_keep_their_images():
    for condition in ("state", "input"):
        net, samples, batch = create(condition)
        stepper = net.stepper(len(samples), batch.condition)
        stepper.push([1] * 5)
        stepper.keep([3, 3, 0])
        rows = stepper.push([4, 4, 4])
        alone = net.stepper(1, batch.condition[3:4])
        alone.push([1])
        torch.testing.assert_close(rows[:2], alone.push([4]).expand(2, -1))
        assert not torch.allclose(rows[1], rows[2])


@pytest.mark.parametrize("condition", ["state", "input", "both"])
def test_gradients_of_images_and_languages_are_those_of_finite_differences(condition):
    net, _, batch = create(condition, executor="reference")
    # No kinks of a rectified unit or a maximum near these values.
    given = batch.condition.double()[[1, 3]].requires_grad_()
    ids = torch.tensor([1, 3, 4, 1, 4])
    tokens = sn.Tokens(ids, torch.arange(6))
    none = torch.zeros(5, dtype=torch.long)

    def scores(given):
        plans = CHAIN.plan([3, 2])
        return net(sn.Batch(tokens, plans, torch.tensor([0, 3, 5]), none, none[:2], given))

    assert torch.autograd.gradcheck(scores, given, eps=1e-7, atol=1e-5, nondet_tol=0)
    (grad,) = torch.autograd.grad(scores(given).square().sum(), given)
    images, languages = PICTURE.parts(grad)
    assert (images.abs().amax((1, 2, 3)) > 0).all() and (languages.abs() > 0).all()


def test_every_layer_starts_from_the_condition():
    net, _, batch = create(cell="lstm", num_layers=2)
    states = net.stepper(5, batch.condition).state()[0]
    assert [[tuple(one.shape) for one in layer] for layer in states] == [[(5, 6), (5, 6)]] * 2
    assert all(one.std(0).min() > 0 for layer in states for one in layer)


def test_what_does_not_fit_is_named():
    net, _, batch = create()
    with pytest.raises(ValueError, match="62 numbers per sample, got none"):
        net.stepper(2)
    with pytest.raises(ValueError, match=r"62 numbers per sample, got shape \(5, 61\)"):
        net.stepper(5, batch.condition[:, 1:])
    with pytest.raises(ValueError, match="5 conditions for a stepper of 2 samples"):
        net.stepper(2, batch.condition)
    with pytest.raises(ValueError, match="'blocks' is from 1"):
        create(blocks=0)
    with pytest.raises(ValueError, match="'encoder_dropout' is from 0 to below 1"):
        create(encoder_dropout=1.0)
    words = ("topology=chain", "cell=gru", "trainer.accelerator=cpu")
    assert "take task=captions" in refused("train", "task=xml", "net=captioner", *words)
    assert "one of ['captioner'" in refused("train", "task=captions", "net=stack", *words)
    words = ("net=captioner", "topology=bichain", *words[1:])
    assert "take topology=chain" in refused("train", "task=captions", *words)


# Digits


def test_digits_are_named_in_every_language_and_split_as_in_task_digits():
    task, digits = sn.tasks.create("captions"), sn.tasks.create("digits")
    splits, others = task.keep(task.load(CHAIN)), digits.load(sn.topologies.create("diagonal"))
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 5 * 1257, "validation": 180, "test": 360
    }  # fmt: skip
    names = {language: line.split() for language, line in NAMES.items()}
    for split, every in (("train", 5), ("test", 1)):
        images, source = others.source[split], splits.source[split]
        for place, one in enumerate(source):
            label = images.labels[place // every]
            assert one.text == names[one.language][label]
            same = np.abs(one.image / (255 / 16) - images.images[place // every]).max() < 0.1
            assert same
    found = fit_captions(splits.source["train"], splits.source["test"])
    assert found["most frequent"]["exact"] < 0.2 < 0.9 < found["logistic regression"]["exact"]
    drawn = [one.language for one in splits.source["test"]]
    assert set(drawn) == set(NAMES) == set(task.kinds)
    again = sn.tasks.create("captions", seed=1).load(CHAIN).source["test"]
    assert drawn != [one.language for one in again]


def test_a_sample_is_the_next_character_at_every_step():
    _, samples, batch = create()
    marks = [VOCABULARY[word] for word in (START, "b", "a", "b", "a", "b", END)]
    assert samples[3].x.ids.tolist() == marks[:-1] and samples[3].y.tolist() == marks[1:]
    # An empty caption, and a character that is not known.
    assert samples[0].y.tolist() == [VOCABULARY[END]] and samples[4].y.tolist()[0] == 0
    images, languages = PICTURE.parts(batch.condition)
    assert images.shape == (5, 3, 5, 4) and images.abs().max() <= 1
    assert languages.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1], [1, 0]]


def test_exact_is_the_share_that_is_written_without_a_mistake(folder):
    # Some captions can't be known from the image.
    draw_folder(48, lambda number: "light" if number % 2 else "dark" if number % 8 else "black")
    words = ("task=captions", f"task.root={folder}", "task.size=6", *SMALL, "run=out")
    options = ("trainer.max_epochs=8", "trainer.batch_size=8", "trainer.learning_rate=0.02",
               "trainer.illustrate=null", "net.encoder_dropout=0", "net.channels=4",
               "trainer.schedule=constant")  # fmt: skip
    status, _, err = call("train", *words, *options, "net.dropout=0", "net.condition=both")
    assert (status, err) == (0, "")
    run = opened("out")
    net, task = run.load_net(), run.task
    splits = task.keep(task.load(run.topology))
    figures = json.loads(Path("out/metrics.json").read_text())
    source = [*splits.source["test"], *splits.source["validation"]]
    conditions = [one.condition for split in ("test", "validation") for one in splits[split]]
    written = write(net, task.classes, torch.from_numpy(np.stack(conditions)), length=20)
    right = np.array([one.text == new.text for one, new in zip(source, written, strict=True)])
    assert 0 < right.mean() < 1
    for split, part in (("test", slice(8)), ("validation", slice(8, None))):
        assert figures[split]["exact"] == pytest.approx(right[part].mean(), abs=1e-6)
        for language in ("en", "en-back"):
            mine = np.array([one.language == language for one in source[part]])
            assert figures[split][language] == pytest.approx(right[part][mine].mean(), abs=1e-6)
    beams = write(net, task.classes, torch.from_numpy(np.stack(conditions)), length=20, beams=6)
    pairs = list(zip(beams, written, strict=True))
    assert all(new.probability >= old.probability - 1e-6 for new, old in pairs)


def test_baselines_take_the_language_and_the_pixels():
    dark, light = (np.full((2, 2, 1), value, np.uint8) for value in (0, 255))
    train = [Captioned(dark, "nero", "it"), Captioned(dark, "black", "en"),
             Captioned(light, "bianco", "it"), Captioned(light, "white", "en"),
             Captioned(light, "white", "en")]  # fmt: skip
    test = [Captioned(dark, "nero", "it"), Captioned(dark, "black", "en"),
            Captioned(light, "white", "en"), Captioned(light, "blanc", "fr")]  # fmt: skip
    assert fit_captions(train, test) == {
        "most frequent": {"exact": 0.5}, "logistic regression": {"exact": 0.75}
    }  # fmt: skip
    assert fit_captions(train[:2], test) == {"most frequent": {"exact": 0.5}}


# A folder of the user's


def test_a_folder_is_trained_on_predicted_for_and_shown(folder, monkeypatch):
    words = ("task=captions", f"task.root={folder}", "task.size=6", *SMALL, "run=out")
    status, out, err = call("train", *words)
    assert (status, err) == (0, "") and "20 train, 2 validation, 2 test samples" in out
    described = json.loads(Path("out/config.json").read_text())
    assert described["learned"] == {"languages": ["en", "en-back"], "longest": 5}
    status, out, err = call("predict", "run=out", f"path={folder / 'some'}")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert len(lines) == 12 and f"{folder / 'some' / '0.png'}:1: en (" in lines[0]
    assert "en-back" in lines[1]
    status, out, err = call("predict", "run=out", f"path={folder / '7.png'}", "--json")
    assert {"class", "probability", "file"} <= json.loads(out)[0].keys()
    for more in ([], ["n=3", "beam=2", "language=en"], [f"path={folder}", "n=2"]):
        status, out, err = call("generate", "run=out", "out=made.png", *more)
        assert (status, err) == (0, ""), err
        with Image.open("made.png") as made:
            colours = {colour for _, colour in made.convert("RGB").getcolors(1 << 16)}
            # The images' own, and that of wrong captions.
            assert {(200,) * 3, (30,) * 3} & colours
            reds = [1 for red, green, blue in colours if red > green + 99 and red > blue + 99]
            assert bool(reds) == (more != [f"path={folder}", "n=2"])
    assert "no language 'fr' among ['en', 'en-back']" in refused(
        "generate", "run=out", "language=fr"
    )
    assert "n is at least 1, got 0" in refused("generate", "run=out", "n=0")


def test_images_of_a_split_are_in_no_other(folder):
    for seed in range(3):
        task = sn.tasks.create("captions", root=str(folder), size=6, seed=seed)
        source = task.load(CHAIN).source
        files = {split: {one.origin.text.split(":")[0] for one in some}
                 for split, some in source.items()}  # fmt: skip
        assert sum(map(len, files.values())) == 12 and len(set.union(*files.values())) == 12
        assert all(one.image.shape == (6, 6, 3) for some in source.values() for one in some)


LINE = "7.png\tlight\ten"
MISTAKES = {
    "a column less": ([LINE, "1.png\tdark"], "captions.tsv, line 2: 2 columns, expected 3"),
    "one column": (["7.png"], "line 1: 1 columns, expected 2 or 3"),
    "no caption": ([LINE, "", "8.png\t \ten"], "line 3: the caption is empty"),
    "no such image": ([LINE, "70.png\tlight\ten"], "line 2: there is no file"),
    "no image": ([LINE, "captions.tsv\tlight\ten"], "line 2: "),
    "two images": ([LINE, LINE, "8.png\tdark\ten"], "has captions of 2 images"),
    "nothing": ([], "has no captions"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_folder_is_named_with_its_line(folder, mistake):
    lines, message = MISTAKES[mistake]
    write_captions(lines)
    words = ("task=captions", f"task.root={folder}", *SMALL, "run=out")
    said = refused("train", *words)
    assert message in said and "captions.tsv" in said and "\n" not in said
    assert not Path("out").exists()


def test_other_files_and_folders_are_named(folder):
    words = ("train", "task=captions", *SMALL, "run=out")
    assert "no file or folder nowhere (task.root)" in refused(*words, "task.root=nowhere")
    (folder / "captions.tsv").write_bytes(b"7.png\tl\xff\ten\n")
    said = refused(*words, f"task.root={folder}")
    assert "captions.tsv" in said and "UTF-8" in said and "7" in said
    assert "'size' is from 1 to 512, got 0" in refused(*words, "task.size=0")


def test_what_a_saved_net_knows_is_kept_and_checked(folder):
    run = Path(shutil.copytree(trained(f"task.root={folder}"), "copy"))
    lines = (folder / "captions.tsv").read_text()
    (folder / "captions.tsv").write_text(lines.replace("\ten\n", "\tfr\n"))
    message = refused("test", f"run={run}")
    assert "line 2: the net knows the languages en, en-back, got 'fr'" in message
    (folder / "captions.tsv").write_text(lines)
    assert call("test", f"run={run}").status == 0
    described = json.loads((run / "config.json").read_text())
    for name, value in (("languages", "en"), ("languages", []), ("longest", -1)):
        changed = {**described, "learned": {**described["learned"], name: value}}
        (run / "config.json").write_text(json.dumps(changed))
        (run / "manifest.json").unlink(missing_ok=True)
        assert f"learned, {name!r} must be" in refused("test", f"run={run}")


@pytest.mark.slow
def test_digits_are_named_as_the_experiment_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("compare.seeds=[0]", "~compare.rows.both", "run=out")
    status, _, err = call("train", "experiment=captions_digits", *words)
    assert status == 0, err
    rows = json.loads(Path("out/table.json").read_text())["columns"]["digits"]["rows"]
    assert all(row["mean"] > 0.965 for row in rows.values()), rows
