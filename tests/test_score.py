"""Generating, scoring and completing texts with language models, beside definitions."""

import io
import itertools
import json
import math
import re
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from commands import call, opened, refused

import structnet as sn
from structnet.plugins.sequence.generation import keyboard, scoring, texts
from structnet.plugins.sequence.generation.completion import complete
from structnet.plugins.sequence.generation.scoring import Score, score
from structnet.plugins.sequence.generation.texts import encode
from structnet.plugins.sequence.generation.writing import generate


class Characters:
    unit = "character"
    split = staticmethod(list)
    join = staticmethod("".join)


class Words:
    unit = "word"

    @staticmethod
    def split(text):
        return re.findall(r"\n|[^ \n]+", text)

    @staticmethod
    def join(tokens):
        return " ".join(tokens).replace(" \n", "\n").replace("\n ", "\n")


class Halves:
    """Sub-words that a space belongs to, one or two characters long."""

    unit = "subword"
    join = staticmethod("".join)

    @staticmethod
    def split(text):
        return re.findall(r" ?\w{1,2}| |\n|[^\w\s]", text)


class Known:
    """A task of the tokens given, with a net whose scores are those of a table of all histories."""

    def __init__(self, coder, tokens, seed=0):
        self.coder, self.vocabulary = coder(), sn.Vocabulary(dict.fromkeys(tokens, 1))
        self.classes, self.seed = ("<unk>", *tokens), seed

    def stepper(self, batch):
        return Stepper(self, batch)

    def scores(self, ids):
        random = np.random.default_rng([self.seed, *ids])
        return torch.from_numpy(random.normal(0, 2, len(self.classes)))

    def log_prob(self, ids, start):
        return math.fsum(
            self.scores(ids[:at]).log_softmax(0)[ids[at]].item() for at in range(start, len(ids))
        )


class Stepper:
    def __init__(self, net, batch):
        self.net, self.rows = net, [[] for _ in range(batch)]

    def push(self, x):
        assert len(x) == len(self.rows)
        self.rows = [[*row, token] for row, token in zip(self.rows, x.tolist(), strict=True)]
        return torch.stack([self.net.scores(row) for row in self.rows])

    def keep(self, rows):
        self.rows = [self.rows[row] for row in rows.tolist()]


def written(task, **options):
    return list(generate(task, task, None, **options))


def read(task):
    """The tokens that a net reads before a text."""
    return texts.begin(task, task, [])[0].rows[0]


def test_before_a_text_the_net_reads_what_it_draws_and_the_end_of_a_line():
    task = Known(Characters, "ab\n")
    tokens = read(task)
    assert len(tokens) == texts.RUN_IN + 2 and tokens[0] == tokens[-1] == 3 and 0 not in tokens
    assert read(task) == tokens != read(Known(Characters, "ab\n", seed=1))
    assert texts.begin(task, task, [1, 2])[0].rows[0] == [*tokens, 1, 2]


# generate


def test_what_is_drawn_comes_piece_by_piece_after_the_prompt():
    task = Known(Characters, "ab\n")
    pieces = written(task, prompt="ba", length=12, seed=5)
    assert pieces[0] == "ba" and pieces[-1] == "" and {len(one) for one in pieces[1:-1]} == {1}
    assert len("".join(pieces)) == 14
    assert pieces == written(task, prompt="ba", length=12, seed=5)
    assert pieces != written(task, prompt="ba", length=12, seed=6)


def test_the_unknown_token_is_never_written():
    task = Known(Characters, "a")
    assert written(task, length=30, temperature=9.0)[1:-1] == ["a"] * 30


def test_the_first_of_several_texts_is_the_one_alone():
    task = Known(Words, ["on", "off", "\n"])
    text = "".join(written(task, n=3, length=8, prompt="on off"))
    first = "".join(written(task, length=8, prompt="on off"))
    assert text.startswith(f"--- 1 of 3 ---\n{first}")
    assert re.findall(r"^--- (\d) of 3 ---$", text, re.MULTILINE) == ["1", "2", "3"]


def test_a_text_ends_with_what_stops_it():
    task = Known(Characters, "ab\n")
    text = "".join(written(task, length=200, stop="ab\\n", temperature=1.5))
    assert text.endswith("ab\n") and text.count("ab\n") == 1
    task = Known(Words, ["on", "off"])
    text = "".join(written(task, length=200, stop="off on off", prompt="off on"))
    assert text.endswith("off on off") and len(text.split()) < 200


def test_greedy_and_beam_search_write_the_most_probable_text():
    task = Known(Characters, "abc\n")
    start = [*read(task), task.vocabulary["b"]]
    best = max(
        itertools.product(range(1, 5), repeat=4),
        key=lambda ids: task.log_prob([*start, *ids], len(start)),
    )
    expected = "b" + "".join(task.classes[i] for i in best)
    (text,) = written(task, prompt="b", length=4, beam=256)
    assert text.rstrip("\n") == expected.rstrip("\n")
    several = "".join(written(task, prompt="b", length=4, beam=256, n=2))
    assert several.startswith(f"--- 1 of 2 ---\n{text}--- 2 of 2 ---\nb")
    ids = start
    for _ in range(4):
        scores = task.scores(ids)
        ids = [*ids, 1 + int(scores[1:].argmax())]
    expected = "".join(task.classes[i] for i in ids[len(start) - 1 :])
    assert "".join(written(task, prompt="b", length=4, temperature=0.0)) == expected


def test_half_a_character_is_not_written_before_its_other_half():
    class Bytes:
        unit = "subword"

        @staticmethod
        def split(text):
            return [chr(byte) for byte in text.encode()]

        @staticmethod
        def join(tokens):
            return "".join(tokens).encode("latin-1").decode(errors="replace")

    task = Known(Bytes, "\xc3\xa9")
    pieces = written(task, length=60, temperature=3.0)
    assert "é" in pieces
    # Halves without their others are written once it is clear that they stay alone.
    assert not any(one.endswith("\ufffd") for one in pieces[:-1])


def test_unseen_tokens_are_named_skipped_or_replaced():
    task = Known(Characters, "ab\n")
    with pytest.raises(ValueError, match="the prompt has the characters 'x', 'y', not in the net"):
        written(task, prompt="axbyx")
    assert encode(task, "axb", "skip") == encode(task, "ab")
    assert encode(task, "axb", "replace") == [1, 0, 2]
    task = Known(Words, ["on", "off"])
    with pytest.raises(ValueError, match="the text has the word 'of', "):
        encode(task, "on of <unk>")
    assert encode(task, "on <unk> off") == [1, 0, 2]
    with pytest.raises(ValueError, match=r"'3', '4', '5', \.\.\., not in"):
        encode(task, "1 2 3 4 5 6 7")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n is at least 1, got 0"),
        ({"length": 0}, "length is at least 1, got 0"),
        ({"seed": -1}, "seed is at least 0, got -1"),
        ({"temperature": math.inf}, "temperature is at least 0 and finite, got inf"),
        ({"top_k": 0}, "top_k is at least 1"),
        ({"penalty": 1.0}, "penalty=1.0 is of beam search: add beam=N"),
        ({"beam": 2, "n": 3}, "n=3 texts are the best of at least as many beams, got beam=2"),
        ({"beam": 2, "top_p": 0.9}, "beam=2 takes the most probable texts .*leave out top_p"),
        ({"beam": 0}, "n=1 texts are the best of at least as many beams, got beam=0"),
    ],
)
def test_options_that_do_not_fit_are_named_before_anything_is_written(options, message):
    with pytest.raises(ValueError, match=message):
        generate(Known(Characters, "ab"), Known(Characters, "ab"), None, **options)


def test_a_net_that_is_fed_whole_samples_alone_is_named():
    with pytest.raises(ValueError, match="Linear can't be fed one token at a time"):
        generate(Known(Characters, "ab"), torch.nn.Linear(1, 1), None)


# score


@pytest.mark.parametrize("coder", [Characters, Words])
def test_a_score_is_the_sum_over_all_tokens_and_the_lines_end(coder, monkeypatch):
    monkeypatch.setattr(scoring, "ROWS", 2)
    task = Known(coder, ["a", "b", "\n"])
    lines = ["a b a b", "b", "a a", "b a b a a b"]
    if coder is Characters:
        lines = [line.replace(" ", "") for line in lines]
    start = read(task)
    for one, line in zip(score(task, task, [("x", line) for line in lines]), lines, strict=True):
        ids = [*encode(task, line), 3]
        assert one.text == line and one.tokens == tuple(task.classes[i] for i in ids)
        assert one.log_prob == pytest.approx(task.log_prob([*start, *ids], len(start)))
        assert one.per_token == pytest.approx(one.log_prob / len(ids))
        assert one.perplexity == pytest.approx(math.exp(-one.per_token))


def test_probabilities_of_all_lines_of_a_length_sum_to_those_of_ending_there():
    task = Known(Characters, "ab\n")
    lines = ["".join(one) for one in itertools.product("ab", repeat=3)]
    lines = score(task, task, [("x", line) for line in lines])
    open_ends = [math.exp(math.fsum(one.log_probs[:-1])) for one in lines]
    ends = [math.exp(one.log_prob) for one in lines]
    assert sum(ends) < sum(open_ends) < 1


def test_a_line_break_that_the_net_does_not_know_is_not_scored():
    task = Known(Characters, "ab")
    (one,) = score(task, task, [("x", "ab")])
    start = read(task)
    assert one.tokens == ("a", "b") and start[0] == start[-1] == 0
    assert one.log_prob == pytest.approx(task.log_prob([*start, 1, 2], len(start)))


def test_where_a_coder_leaves_line_breaks_out_a_text_begins_after_the_unknown_token():
    class Spaces(Words):
        split = staticmethod(str.split)

    task = Known(Spaces, ["on", "off"])
    start = read(task)
    assert len(start) == texts.RUN_IN + 2 and start[0] == start[-1] == 0
    (one,) = score(task, task, [("x", "on off")])
    assert one.tokens == ("on", "off")
    assert one.log_prob == pytest.approx(task.log_prob([*start, 1, 2], len(start)))


def test_ranks_and_odds():
    scores = [
        Score("x", ("a",) * n, (v,) * n) for n, v in ((1, -3.0), (4, -1.0), (2, -2.0), (1, -3.0))
    ]
    assert scoring.ranks(scores) == [1, 3, 3, 1]
    assert scoring.ranks(scores, per_token=True) == [3, 1, 2, 3]
    assert scoring.odds(scores[1:]) == pytest.approx(math.e)
    assert scoring.odds([scores[0], Score("x", ("a",), (-1e6,))]) == math.inf


# complete


def test_a_word_is_completed_by_all_words_that_begin_so():
    task = Known(Words, ["the", "them", "then", "cat", ",", "\n"])
    shares = dict(zip(task.classes, task.scores([*read(task), 4]).softmax(0).tolist(), strict=True))
    fitting = {word: shares[word] for word in ("the", "them", "then")}
    found = complete(task, task, "cat the")
    assert [one.word for one in found] == sorted(fitting, key=lambda word: -fitting[word])
    known = 1 - shares["<unk>"]
    for one in found:
        assert one.probability == pytest.approx(fitting[one.word] / sum(fitting.values()))
    for one in complete(task, task, "cat ", n=2):
        assert one.probability == pytest.approx(shares[one.word] / known)
    assert {one.word for one in complete(task, task, "cat ")} == {"the", "them", "then", "cat"}
    assert complete(task, task, "cat x") == []


@pytest.mark.parametrize("typed", ["", "a", "ab"])
def test_words_of_characters_have_the_probabilities_of_all_ways_to_end(typed, monkeypatch):
    from structnet.plugins.sequence.generation import completion

    monkeypatch.setattr(completion, "BEAMS", 600)
    monkeypatch.setattr(completion, "LONGEST", 4)
    task = Known(Characters, "ab \n", seed=2)
    before = [*read(task), *encode(task, "b " + typed)]
    expected = {}
    for size in range(4):
        for word in itertools.product("ab", repeat=size):
            if typed or word:
                ids = [*before, *encode(task, "".join(word))]
                ends = (task.log_prob([*ids, end], len(before)) for end in (3, 4))
                expected[typed + "".join(word)] = sum(map(math.exp, ends))
    found = complete(task, task, f"b {typed}", n=6)
    best = sorted(expected, key=lambda word: -expected[word])[:6]
    assert [one.word for one in found] == best
    assert [one.probability for one in found] == pytest.approx([expected[word] for word in best])


@pytest.mark.parametrize("text", ["ab ", "ab a", "ab abb", "b", ""])
def test_words_of_sub_words_begin_as_typed_however_they_are_split(text):
    tokens = ["a", "b", "ab", "ba", "bb", " a", " b", " ab", " ba", " ", "\n"]
    found = complete(Known(Halves, tokens), Known(Halves, tokens), text, n=9)
    typed = text.rpartition(" ")[2]
    assert len(found) > 1 and all(one.word.startswith(typed) for one in found)
    assert all(re.fullmatch("[ab]+", one.word) for one in found)
    values = [one.probability for one in found]
    assert values == sorted(values, reverse=True) and 0 < sum(values) <= 1 + 1e-9


# What is typed


def test_keys_change_the_text_as_on_a_phone():
    words = ["then", "there"]
    assert keyboard.typed("I was th", "\t", words) == "I was then "
    assert keyboard.typed("I was th", "2", words) == "I was there "
    assert keyboard.typed("I was ", "1", words) == "I was then "
    assert keyboard.typed("th", "9", words) == "th"
    assert keyboard.typed("th", "\x7f", words) == "t" and keyboard.typed("", "\b", words) == ""
    assert keyboard.typed("th", "\r", words) == "" and keyboard.typed("th", "\x07", words) == "th"
    assert keyboard.typed("t", "é", words) == "té"


def test_a_session_offers_words_after_every_key_and_ends_cleanly():
    out, asked = io.StringIO(), []

    def offer(text):
        asked.append(text)
        return ["one", "two"]

    keys = iter(["h", "i ", "\x1b[A", "2", "\r", "x\x03", "never"])
    keyboard.session(keys, out.write, offer)
    assert asked == ["", "h", "hi ", "hi two ", ""]
    assert "> hi two " in out.getvalue() and "1 one   2 two" in out.getvalue()
    assert out.getvalue().endswith("> x\n")


# The commands, on nets that were trained for a second

LINES = [f"{a} {b} the {c}.\n" for a in ("one", "two") for b in ("saw", "ate") for c in "xyz"]
SHORT = (
    "topology=chain",
    "cell=gru",
    "net.hidden_size=24",
    "net.embedding_size=8",
    "net.dropout=0",
    "trainer.num_workers=0",
    "trainer.accelerator=cpu",
    "trainer.batch_size=4",
    "trainer.max_epochs=8",
    "trainer.learning_rate=0.02",
    "task.window=20",
    "task.ngram=2",
)
KINDS = {
    "text": ("task=text",),
    "words": ("task=words", "task.tokens=words"),
    "subwords": ("task=text", "task.tokens=subwords", "task.vocabulary_size=270"),
}
every_kind = pytest.mark.parametrize(
    "name",
    ["text", *(pytest.param(name, marks=pytest.mark.slow) for name in ("words", "subwords"))],
)


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    """The directory of a run of language models of characters, words or sub-words."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("".join(LINES * 12))

    @cache
    def train(name):
        words = (*SHORT, *KINDS[name], f"task.root={folder / 'text.txt'}")
        status, out, err = call("train", *words, f"run={folder / name}")
        assert status == 0, err
        assert f"structnet generate run={folder / name}\n" in out
        return folder / name

    return train


@every_kind
def test_generate_writes_after_a_prompt_to_the_terminal_and_a_file(run_of, tmp_path, name):
    words = ("generate", f"run={run_of(name)}", "prompt=one saw", "length=12", "seed=2")
    status, out, err = call(*words, f"out={tmp_path / 'a.txt'}")
    assert (status, err) == (0, "")
    written = (tmp_path / "a.txt").read_text()
    assert out.startswith("one saw") and written.startswith("one saw")
    assert f"{written.removesuffix(chr(10))}\ntext: {tmp_path / 'a.txt'}\n" in out
    assert len(written) > len("one saw") + 6
    assert call(*words).out == out.rpartition("text: ")[0]
    assert call(*words[:-1], "seed=3").out != call(*words).out
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_is_written_is_what_steps_give(run_of):
    run = opened(run_of("text"))
    net = run.load_net()
    steps, output = texts.begin(run.task, net, run.task.encode("two "))
    ids = []
    for _ in range(9):
        ids.append(1 + int(output[0, 1:].argmax()))
        output = steps.push(torch.tensor(ids[-1:]))
    out = call("generate", f"run={run_of('text')}", "prompt=two ", "length=9", "temperature=0").out
    assert out.removesuffix("\n") == f"two {run.task.decode(ids)}".removesuffix("\n")


@every_kind
def test_score_ranks_what_was_written_before_what_was_not(run_of, name, tmp_path):
    run = f"run={run_of(name)}"
    status, out, err = call("score", run, "text=x the saw two.", "text=two saw the x.")
    assert (status, err) == (0, "")
    assert "most probable: two saw the x." in out and "times as probable as the next" in out
    (tmp_path / "lines.txt").write_text("x the saw two.\n\ntwo saw the x.\n")
    one, other = json.loads(call("score", run, f"file={tmp_path / 'lines.txt'}", "--json").out)
    assert (one["rank"], other["rank"]) == (2, 1) and other["text"] == "two saw the x."
    assert other["log_prob"] == pytest.approx(sum(value for _, value in other["tokens"]))
    assert other["perplexity"] == pytest.approx(math.exp(-other["per_token"]))
    assert "times as" not in call("score", run, "text=one", "text=two", "by=per_token").out


def test_lines_end_where_an_editor_ends_them(tmp_path):
    from structnet.plugins.sequence.commands.score import _lines

    path = tmp_path / "a.txt"
    path.write_bytes("one\r\n\n two\u2028\x0cx \n".encode())
    assert _lines(path) == [(f"{path}, line 1", "one"), (f"{path}, line 3", " two\u2028\x0cx ")]


@every_kind
def test_complete_offers_words_once_and_line_by_line(run_of, name, monkeypatch):
    run = f"run={run_of(name)}"
    status, out, err = call("complete", run, "prefix=two sa", "n=2")
    assert (status, err) == (0, "") and re.search(r"^sa\w+ +[01]\.\d{3}$", out, re.MULTILINE)
    monkeypatch.setattr("sys.stdin", io.StringIO("one \none ate th\n"))
    lines = [json.loads(line) for line in call("complete", run, "--json").out.splitlines()]
    assert [line["text"] for line in lines] == ["one ", "one ate th"]
    assert all(one["word"].startswith("th") for one in lines[1]["words"])
    assert {"saw", "ate"} & {one["word"] for one in lines[0]["words"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["generate", "prompt=qu"], "the prompt has the characters 'q', 'u', not in"),
        (["generate", "unseen=maybe"], "'error' or 'skip' or 'replace', got 'maybe'"),
        (["generate", "lenght=3"], "no option 'lenght'"),
        (["generate", "length=0"], "length is at least 1, got 0"),
        (["generate", "temperature=warm"], "option 'temperature' of generate"),
        (["generate", "out=nowhere/a.txt"], "no folder nowhere to write a.txt to"),
        (["generate", "out=."], "out must be a file, got the folder ."),
        (["score"], "give sentences to score: text=TEXT"),
        (["score", "text=one", "file=a.txt"], "give sentences to score"),
        (["score", "text=one", "text=q"], "text 2 has the character 'q', not in"),
        (["score", "text=q", "unseen=skip"], "the text has no tokens that the net knows, got 'q'"),
        (["score", "file=empty.txt"], "empty.txt has no sentences: all lines are blank"),
        (["score", "file=bad.txt"], "bad.txt, line 2 has the character 'q'"),
        (["score", "file=binary.txt"], "binary.txt"),
        (["score", "file=none.txt"], "none.txt"),
        (["score", "text=one", "by=luck"], "by is log_prob or per_token, got 'luck'"),
        (["complete", "prefix=q", "unseen=error"], "the text has the character 'q'"),
        (["complete", "n=0"], "n must be a whole number, at least 1, got '0'"),
        (["complete", "prefix=one", "unseen=x"], "unseen is replace, skip or error, got 'x'"),
    ],
)
def test_a_bad_word_is_named_and_leaves_nothing(run_of, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = {"empty.txt": b"\n \n", "bad.txt": b"one\nq\n", "binary.txt": b"one \xff\n"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    error = refused(words[0], f"run={run_of('text')}", *words[1:])
    assert message in error and "\n" not in error
    assert {path.name for path in tmp_path.iterdir()} == set(files)


def test_commands_refuse_a_run_that_predicts_no_text(tmp_path):
    (tmp_path / "config.yaml").write_text(call("train", "task=swapped", "--cfg").out)
    for command in ("score", "complete"):
        words = ["text=x"] * (command == "score")
        message = refused(command, f"run={tmp_path}", *words)
        assert "is of task 'swapped', which predicts no text: train with task=text" in message
        assert "no run in nowhere" in refused(command, "run=nowhere", *words)


def test_a_net_that_reads_ahead_or_has_no_stepper_is_refused(run_of):
    run = opened(run_of("text"))
    run.load_learned()
    with pytest.raises(ValueError, match="can't be fed one token at a time: train with net=stack"):
        generate(run.task, torch.nn.Linear(1, 1), run.topology)


def test_a_coder_may_be_an_attribute_that_a_task_has_set(monkeypatch):
    task = Known(Characters, "ab\n")
    run = SimpleNamespace(task=task, load_net=lambda: "the net")
    monkeypatch.setattr(sn.Run, "open", lambda directory: run)
    assert texts.language_model("somewhere") == (task, "the net")
