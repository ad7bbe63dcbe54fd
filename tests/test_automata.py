"""Patterns against `re`, samples against counting, and automata read out of oracles."""

import itertools
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from structnet.plugins.sequence.automata.automaton import Automaton
from structnet.plugins.sequence.automata.clusters import cluster
from structnet.plugins.sequence.automata.compiling import compile_pattern
from structnet.plugins.sequence.automata.languages import LANGUAGES
from structnet.plugins.sequence.automata.learner import learn
from structnet.plugins.sequence.automata.sampling import Mixture, Sampler


def strings(alphabet, longest):
    for length in range(longest + 1):
        yield from map("".join, itertools.product(alphabet, repeat=length))


ATOMS = st.sampled_from(
    [
        "a",
        "b",
        ".",
        "[ab]",
        "[^a]",
        r"\w",
        r"\x61",
        r"\D",
        "[]a]",
        "[a-]",
        "A",
        r"\.",
        "(?#c)a",
        "-",
    ]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=0, max_size=3).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(
            inner, st.sampled_from(["?", "*", "+", "*?", "{2}", "{,2}", "{1,}", "{1,2}?"])
        ).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        inner.map(lambda one: f"(?i:{one})"),
        inner.map(lambda one: f"(?x: {one} # all\n)"),
        inner.map(lambda one: rf"^{one}\Z"),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}$|^{pair[1]})"),
    ),
    max_leaves=6,
)


@given(PATTERNS)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_an_automaton_accepts_what_re_matches(pattern):
    meant = re.compile(pattern)
    expected = {s: bool(meant.fullmatch(s)) for s in strings("abA-.", 3)}
    try:
        automaton = compile_pattern(pattern, "abA-.")
    except ValueError as error:
        assert "accepts no string" in str(error) and not any(expected.values())
        return
    assert {s: automaton.accepts(s) for s in expected} == expected


@pytest.mark.parametrize(
    ("pattern", "alphabet", "texts"),
    [
        (r"(?i)straße", None, ["Straße", "STRAßE", "strasse"]),
        (r"\101\x42\u0043\0", None, ["ABC\0", "ABC", "abc\0"]),
        ("(?x) a b # c", None, ["ab", "a b", ""]),
        (r"(?s:.)\Z", "\na", ["\n", "a", "aa"]),
        (r"(?P<name>a)+?b{0}", None, ["a", "aaa", ""]),
        ("{a}{,}", None, ["{a}", "{a", "{a}}}"]),
        (r"(?a:\w)\w", "aé", ["aa", "aé", "éa"]),
        ("a(?#b)+", None, ["aaa", "ab", ""]),
        ("(?:(?:a?)*)*", None, ["", "aa"]),
    ],
)
def test_syntax_that_is_rarely_written(pattern, alphabet, texts):
    automaton = compile_pattern(pattern, alphabet)
    known = [text for text in texts if set(text) <= set(automaton.alphabet)]
    assert len(known) > 1
    for text in known:
        assert automaton.accepts(text) == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("[a", "position 0: unterminated character set"),
        ("ab(", "position 2: missing )"),
        (r"(a)b\1", "position 4: a backreference is not taken"),
        ("(?P<x>a)(?P=x)", "position 8: a backreference"),
        ("a(?=b)", "position 1: a lookahead"),
        ("(?<!a)b", "position 0: a lookbehind"),
        ("(?>a|ab)c", "position 0: an atomic group"),
        ("(a)?(?(1)b|c)", "position 4: a conditional group"),
        ("a*+", "position 1: a possessive repeat"),
        (r"\bab", "position 0: a word boundary"),
        ("(?m)^a", "position 4: an anchor of lines"),
        ("a$b", "accepts no string over the alphabet 'ab'"),
        ("", "names no characters"),
        ("((a{1000}){1000}){1000}", "more than 50,000 parts"),
        ("(a|b)*a(a|b){13}", "more than 10,000 states"),
        ("a{99999999999}", "the repetition number is too large"),
        ("(" * 3000 + "a" + ")" * 3000, "nested too deeply"),
    ],
)
def test_a_pattern_that_is_not_taken_is_named_with_the_place(pattern, says):
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern)
    assert says in str(caught.value) and len(str(caught.value)) < 300
    assert str(caught.value).startswith(f"pattern {pattern[:60]!r}"[:-1])


def test_an_alphabet_must_fit():
    with pytest.raises(ValueError, match="has 'a' twice"):
        compile_pattern("a", "aba")
    with pytest.raises(ValueError, match="accepts no string over the alphabet 'xy'"):
        compile_pattern("a+", "xy")
    with pytest.raises(ValueError, match=r"write \\Z"):
        compile_pattern("a$", "a\n")
    assert compile_pattern("[a-c]+").alphabet == "abc"
    assert len(compile_pattern("[^a]").alphabet) == 95


# The seven as Tomita states them, in plain Python.
TOMITA = {
    "tomita1": lambda s: "0" not in s,
    "tomita2": lambda s: s == "10" * (len(s) // 2),
    "tomita3": lambda s: not any(
        len(ones) % 2 and len(zeros) % 2 for ones, zeros in re.findall("(1+)(0+)", s)
    ),
    "tomita4": lambda s: "000" not in s,
    "tomita5": lambda s: s.count("0") % 2 == 0 == s.count("1") % 2,
    "tomita6": lambda s: (s.count("0") - s.count("1")) % 3 == 0,
    "tomita7": lambda s: [bit for bit, _ in itertools.groupby("0" + s)] in (
        ["0"], ["0", "1"], ["0", "1", "0"], ["0", "1", "0", "1"]
    ),
}  # fmt: skip
SIZES = dict(zip(TOMITA, (2, 3, 5, 4, 4, 3, 5), strict=True))


@pytest.mark.parametrize("name", TOMITA)
def test_tomitas_languages_are_as_stated(name):
    automaton = compile_pattern(LANGUAGES[name].pattern, LANGUAGES[name].alphabet)
    assert len(automaton) == SIZES[name]
    for string in strings("01", 10):
        assert automaton.accepts(string) == TOMITA[name](string), string


def test_addresses_of_e_mail():
    automaton = compile_pattern(LANGUAGES["email"].pattern, LANGUAGES["email"].alphabet)
    for good in ("ada@lovelace.org", "a.b+c@x-y.co.uk", "0@0.aa"):
        assert automaton.accepts(good)
    for bad in ("ada@lovelace", ".a@b.cc", "a@b..cc", "a@b-.cc", "a@@b.cc", "a@b.c", ""):
        assert not automaton.accepts(bad)


@st.composite
def automata(draw):
    size = draw(st.integers(1, 7))
    states = st.lists(st.integers(0, size - 1), min_size=2, max_size=2)
    successors = draw(st.lists(states, min_size=size, max_size=size))
    accepting = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return Automaton("ab", np.array(successors), np.array(accepting))


@given(automata())
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_minimal_automaton_has_a_state_per_residual_language(automaton):
    minimal = automaton.minimal()
    assert automaton.difference(minimal) is None
    # Myhill and Nerode; suffixes shorter than the number of states tell states apart.
    suffixes = list(strings("ab", len(automaton) - 1))
    reached = {prefix: automaton.trace(prefix)[-1] for prefix in strings("ab", len(automaton) - 1)}
    one_way = {state: prefix for prefix, state in reached.items()}
    residuals = {
        tuple(automaton.accepts(prefix + s) for s in suffixes) for prefix in one_way.values()
    }
    assert len(minimal) == len(residuals)
    assert minimal.minimal() == minimal


@given(automata(), automata())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_difference_is_a_shortest_string_that_one_accepts(one, other):
    found = one.difference(other)
    differing = [s for s in strings("ab", 6) if one.accepts(s) != other.accepts(s)]
    if found is None:
        assert not differing and one.minimal() == other.minimal()
    else:
        assert one.accepts(found) != other.accepts(found)
        assert all(len(s) >= len(found) for s in differing)
        assert one.minimal() != other.minimal()


def test_strings_of_one_length_are_equally_likely():
    automaton = compile_pattern(LANGUAGES["tomita4"].pattern, "01")
    words = [s for s in strings("01", 6) if len(s) == 6 and automaton.accepts(s)]
    sampler = Sampler(automaton, 6)
    assert np.isclose(np.exp(sampler.log_counts[6, 0]), len(words))
    drawn = sampler.draw([6] * 20_000, np.random.default_rng(0))
    counts = np.array([drawn.count(word) for word in words])
    assert counts.sum() == 20_000
    expected = 20_000 / len(words)
    # A chi-squared value far below its 0.999 quantile.
    assert ((counts - expected) ** 2 / expected).sum() < len(words) + 4 * np.sqrt(2 * len(words))


def test_lengths_without_strings_are_known():
    automaton = compile_pattern("(10)*")
    sampler = Sampler(automaton, 9)
    assert sampler.lengths(0, 9).tolist() == [0, 2, 4, 6, 8]
    assert sampler.draw([0, 4], np.random.default_rng(0)) == ["", "1010"]
    with pytest.raises(ValueError, match="no string of length 3"):
        sampler.draw([4, 3], np.random.default_rng(0))
    assert sampler.draw_within(5, 5, 3, np.random.default_rng(0)) == []
    # Of length 1,000 there are more strings than a float can count.
    (long,) = Sampler(compile_pattern("(a|b)*a"), 2_000).draw([2_000], np.random.default_rng(0))
    assert len(long) == 2_000 and long[-1] == "a"
    with pytest.raises(ValueError, match="take shorter strings"):
        Sampler(automaton, 20_000_000)


def test_the_character_of_code_0_is_drawn_as_any():
    random, sampler = np.random.default_rng(0), Sampler(compile_pattern(r"\x00+a"), 5)
    assert sampler.draw([2, 5], random) == ["\0a", "\0\0\0\0a"]


@pytest.mark.parametrize("name", ["tomita1", "tomita5", "email"])
def test_near_misses_are_one_edit_from_a_word(name):
    language = LANGUAGES[name]
    automaton = compile_pattern(language.pattern, language.alphabet)
    missed = Mixture(automaton, 9, 1.0).near_misses(3, 9, 40, np.random.default_rng(0))
    assert len(missed) == 40
    for string in missed:
        assert 3 <= len(string) <= 9 and not automaton.accepts(string)
        edits = {string[:i] + string[i + 1 :] for i in range(len(string))}
        for i, symbol in itertools.product(range(len(string) + 1), language.alphabet):
            edits |= {string[:i] + symbol + string[i:], string[:i] + symbol + string[i + 1 :]}
        assert any(map(automaton.accepts, edits))


def test_no_near_misses_where_every_edit_is_a_word():
    automaton = compile_pattern("a*", "a")
    assert Mixture(automaton, 5, 1.0).near_misses(0, 5, 7, np.random.default_rng(0)) == []


def drawn_from(automaton, longest, count, random):
    return Mixture(automaton, longest, 0.5).draw(0, longest, count, random)


def test_a_mixture_is_balanced_where_it_can_be():
    random = np.random.default_rng(0)
    automaton = compile_pattern("(aa)*", "a")
    drawn = Mixture(automaton, 9, 0.5).draw(0, 9, 41, random)
    assert len(drawn) == 41 and sum(map(automaton.accepts, drawn)) == 20
    assert Mixture(automaton, 9, 0.5).draw(3, 3, 5, random) == ["aaa"] * 5
    assert Mixture(automaton, 9, 0.5).draw(4, 4, 5, random) == ["aaaa"] * 5


@pytest.mark.parametrize("name", LANGUAGES)
def test_queries_alone_tell_an_automaton(name):
    language = LANGUAGES[name]
    automaton = compile_pattern(language.pattern, language.alphabet)
    asked = []

    def oracle(some):
        asked.extend(some)
        return automaton.labels(some)

    def tried(hypothesis):
        random = np.random.default_rng(len(hypothesis))
        return [s for one in (automaton, hypothesis) for s in drawn_from(one, 12, 500, random)]

    found = learn(oracle, language.alphabet, tried, 50)
    assert found.is_complete and found.automaton == automaton
    assert found.queries == len(asked) == len(set(asked))


def test_queries_stop_at_too_many_states():
    def oracle(some):
        return np.array([s.count("a") == s.count("b") for s in some])

    found = learn(oracle, "ab", lambda hypothesis: [], 6)
    assert not found.is_complete and 1 <= len(found.automaton) <= 6


@pytest.mark.parametrize("name", TOMITA)
def test_clusters_of_states_tell_an_automaton(name):
    automaton = compile_pattern(LANGUAGES[name].pattern, LANGUAGES[name].alphabet)
    random = np.random.default_rng(0)
    some = ["".join(random.choice(list("01"), int(n))) for n in random.integers(0, 12, 400)]
    some += drawn_from(automaton, 12, 400, random)
    random.shuffle(some)
    centres = random.normal(size=(len(automaton), 8))
    traces = [np.array(automaton.trace(s)) for s in some]
    states = [centres[t] + 0.01 * random.normal(size=(len(t), 8)) for t in traces]
    labels = [automaton.accepting[t] for t in traces]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cluster("01", some, states, labels, 12) == automaton
