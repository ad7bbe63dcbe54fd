"""Names, options read from signatures, and the door for plugins."""

from types import SimpleNamespace
from typing import ClassVar, Literal

import pytest

import structnet as sn
from structnet import registry
from structnet.registry import Registry, plugin
from structnet.registry.checked import Checked
from structnet.registry.meanings import meanings
from structnet.registry.option_types import read, type_name
from structnet.registry.plugin import PluginWarning
from structnet.registry.signature import REQUIRED


class Part:
    """A part for tests.

    More about it.
    """

    def __init__(
        self,
        size: int,
        *,
        rate: float = 0.5,
        count: int = 2,
        on: bool = False,
        label: str = "a",
        most: int | None = None,
        any_kind=None,
    ):
        self.size = size
        self.given = {"rate": rate, "count": count, "on": on, "label": label, "most": most}
        self.any_kind = any_kind


@pytest.fixture
def parts():
    found = Registry("part")
    found.register("part")(Part)
    return found


def test_a_component_is_called_by_its_registered_name(parts):
    class Another(Part):
        """A part that is not registered."""

    assert parts.called(parts.create("part", 7)) == "part 'part'"
    assert parts.called(Another(7)) == "Another"


def test_a_registered_component_is_made_by_name_with_wired_arguments_first(parts):
    part = parts.create("part", 7, rate=0.1, most=3)
    assert (part.size, part.given["rate"], part.given["most"]) == (7, 0.1, 3)
    assert parts.names() == ["part"] and parts["part"] is Part
    assert parts.doc("part") == "A part for tests."


def test_a_function_is_a_component_as_well(parts):
    @parts.register("twice")
    def twice(size: int, *, times: int = 2):
        return size * times

    assert parts.create("twice", 4, times=3) == 12
    assert twice(4) == 8


def test_options_are_the_keyword_arguments_with_type_and_default(parts):
    assert dict(parts.options("part")) == {
        "rate": (float, 0.5),
        "count": (int, 2),
        "on": (bool, False),
        "label": (str, "a"),
        "most": (int | None, None),
        "any_kind": (parts.options("part")["any_kind"][0], None),
    }


@pytest.mark.parametrize(
    "options",
    [{"rate": 1}, {"rate": 1.5}, {"most": None}, {"most": 1}, {"any_kind": "x"}, {"on": True}],
)
def test_a_value_of_the_options_type_is_accepted(parts, options):
    parts.create("part", 1, **options)


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("count", True, "int"),
        ("count", 1.0, "int"),
        ("count", None, "int"),
        ("rate", "0.5", "float"),
        ("rate", True, "float"),
        ("on", 1, "bool"),
        ("label", 3, "str"),
        ("most", "3", "int | None"),
        ("most", False, "int | None"),
        ("any_kind", [1], ".*"),
    ],
)
def test_a_value_of_another_type_is_refused(parts, option, value, kind):
    message = rf"option '{option}' of part 'part' takes {kind.replace('|', '[|]')}, got "
    with pytest.raises(ValueError, match=message):
        parts.create("part", 1, **{option: value})


@pytest.mark.parametrize("kind", ["cells", "topologies", "readouts", "nets", "tasks"])
def test_an_unknown_name_lists_those_there_are_and_offers_the_closest(kind):
    known = getattr(sn, kind)
    name = known.names()[0]
    with pytest.raises(KeyError) as caught:
        known.create(name + "x")
    message = str(caught.value)
    assert f"{name + 'x'!r} among " in message and f"did you mean {name!r}?" in message
    assert all(repr(one) in message for one in known.names())


def test_a_name_close_to_nothing_gets_no_offer(parts):
    with pytest.raises(KeyError, match=r"^no part 'zzz' among \['part'\]$"):
        parts.create("zzz")


def test_an_unknown_option_offers_the_closest(parts):
    with pytest.raises(ValueError, match=r"no option 'rat' of part 'part' among .* mean 'rate'"):
        parts.create("part", 1, rat=0.1)


def test_two_components_under_one_name_are_both_named(parts):
    class Another:
        pass

    with pytest.raises(ValueError, match="two parts named 'part'") as caught:
        parts.register("part")(Another)
    assert "test_registry.Part " in str(caught.value) and "Another" in str(caught.value)
    assert parts["part"] is Part


def test_the_same_component_may_be_registered_again_as_a_reload_does(parts):
    parts.register("part")(Part)
    assert parts.names() == ["part"]


def test_a_default_is_plain(parts):
    def with_a_mapping(*, sizes={"a": 2}):  # noqa: B006
        pass

    def with_lists(*, sizes: list[int] = [[1, 2]]):  # noqa: B006 # pyright: ignore
        pass

    with pytest.raises(ValueError, match=r"'sizes' of part 'no' needs a default .* got {'a': 2}"):
        parts.register("no")(with_a_mapping)
    with pytest.raises(ValueError, match=r"'sizes' of part 'no' is of type list\[int\], but"):
        parts.register("no")(with_lists)
    assert parts.names() == ["part"]


def test_an_option_without_a_default_is_required(parts):
    @parts.register("read")
    def read(*, root: str, rate=0.5):
        return root, rate

    assert dict(parts.options("read")) == {"root": (str, REQUIRED), "rate": (float, 0.5)}
    assert parts.create("read", root="a") == ("a", 0.5)
    with pytest.raises(ValueError, match="option 'root' of part 'read' is required"):
        parts.create("read")


class Lists:
    """A part with lists."""

    def __init__(
        self,
        *,
        columns: list[str] | None = None,
        sizes: tuple[float, ...] = (1.0, 2.0),
        pair: tuple[int, str] = (1, "a"),
        kinds: list[Literal["a", "b"] | int] = ["a"],  # noqa: B006
    ):
        self.given = columns, sizes, pair, kinds


def test_an_option_may_be_a_list(parts):
    parts.register("lists")(Lists)
    made = parts.create("lists", columns=["x"], sizes=[1, 0.5], pair=[2, "b"], kinds=["b", 3])
    assert made.given == (["x"], (1, 0.5), (2, "b"), ["b", 3])
    assert parts.create("lists").given == (None, (1.0, 2.0), (1, "a"), ["a"])


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"columns": "a"}, r"list\[str\] | None"),
        ({"columns": [1]}, r"list\[str\] | None"),
        ({"columns": ["a"] * 1001}, r"list\[str\] | None"),
        ({"columns": [["a"]]}, r"list\[str\] | None"),
        ({"sizes": ["1"]}, r"tuple\[float, ...\]"),
        ({"sizes": [True]}, r"tuple\[float, ...\]"),
        ({"pair": [1]}, r"tuple\[int, str\]"),
        ({"pair": [1, "a", 2]}, r"tuple\[int, str\]"),
        ({"pair": ["a", 1]}, r"tuple\[int, str\]"),
        ({"kinds": ["c"]}, "list"),
    ],
)
def test_a_list_of_other_values_is_refused(parts, options, kind):
    parts.register("lists")(Lists)
    (option,) = options
    match = f"option '{option}' of part 'lists' takes {kind.replace('|', '[|]')}"
    with pytest.raises(ValueError, match=match):
        parts.create("lists", **options)


def test_a_list_has_finite_numbers_alone(parts):
    parts.register("lists")(Lists)
    with pytest.raises(ValueError, match="'sizes' of part 'lists' must be finite, got nan"):
        parts.create("lists", sizes=[1.0, float("nan")])


@pytest.mark.parametrize("kind", [list, list[dict], list[list[int]], dict[str, int], tuple[()]])
def test_other_collections_are_no_options(parts, kind):
    def made(*, sizes: kind | None = None):  # pyright: ignore
        pass

    with pytest.raises(ValueError, match="option 'sizes' of part 'no' has the type"):
        parts.register("no")(made)


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("[a,b]", list[str], ["a", "b"]),
        ("[ a , b c ]", list[str], ["a", "b c"]),
        ("[]", list[str], []),
        ("[ ]", list[str], []),
        ("[a,]", list[str], ["a", ""]),
        ("""["a,b", 'c]' ,it's," d"]""", list[str], ["a,b", "c]", "it's", " d"]),
        ("[1,2]", list[str], ["1", "2"]),
        ("[1,2e3]", list[int], [1, 2000]),
        ("[1,2]", list[float], [1.0, 2.0]),
        ("[yes,null]", tuple[bool | None, ...], [True, None]),
        ("[1,b]", tuple[int, str], [1, "b"]),
        ("[1,b,c]", tuple[int, str], "[1,b,c]"),
        ("[1.5]", list[int], "[1.5]"),
        ("[1,x]", list[int] | list[str], ["1", "x"]),
        ("[a,b]", list[int] | str, "[a,b]"),
        ("a,b", list[str], "a,b"),
        ("[a", list[str], "[a"),
        ("null", list[str] | None, None),
    ],
)
def test_a_list_is_read_as_it_is_typed(text, kind, value):
    found = read(text, kind)
    assert found == value and repr(found) == repr(value)


def test_the_type_of_a_list_says_how_it_is_typed():
    assert type_name(list[str] | None) == "[str,...] or null"
    assert type_name(tuple[int, str]) == "[int,str]"
    assert type_name(tuple[Literal["a", 2], ...]) == '["a" or 2,...]'


@pytest.mark.parametrize("kind", ["cells", "topologies", "readouts", "nets", "tasks"])
def test_every_built_in_component_has_a_first_line(kind):
    known = getattr(registry, kind)
    for name in known.names():
        assert known.doc(name).endswith((".", ":")) or known.doc(name), name


class Failing:
    """An entry point of a distribution that is broken."""

    name, value = "broken", "broken_plugin"
    dist = SimpleNamespace(name="some-models", version="1.2")

    def load(self):
        raise ModuleNotFoundError("No module named 'missing_thing'")


def test_a_plugin_that_fails_names_itself_its_distribution_and_the_cause(monkeypatch):
    _install(monkeypatch, Failing())
    with pytest.warns(PluginWarning) as caught:
        assert "tree" in sn.topologies.names()
    cause = "'broken' (broken_plugin) of some-models 1.2 failed: ModuleNotFoundError: No module"
    assert cause in str(caught[0].message)
    # Whoever misses a component of it hears the cause again: nothing is swallowed.
    for _ in range(2):
        with pytest.raises(KeyError, match="no topology 'missed' ") as missed:
            sn.topologies.create("missed")
        assert cause in str(missed.value)


def _install(monkeypatch, *entry_points):
    for name in ("_failed", "_lost"):
        monkeypatch.setattr(registry, name, {})
    monkeypatch.setattr(plugin, "_known", [])
    monkeypatch.setattr(registry, "_loaded", False)
    monkeypatch.setattr(plugin.metadata, "entry_points", lambda group: entry_points)


def test_a_plugin_is_loaded_once_and_may_ask_for_names_while_it_is(monkeypatch):
    loads = []

    class Asking(Failing):
        def load(self):
            loads.append(sn.cells.names())

    _install(monkeypatch, Asking())
    sn.cells.names()
    assert sn.cells.names() == loads[0] and len(loads) == 1


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'structnet' has no attribute 'nothing'"):
        sn.nothing  # noqa: B018
    assert set(dir(sn)) >= {"cells", "Recurrence", "schedule"}
    assert all(getattr(sn, name) is not None for name in dir(sn))


class Base:
    """What several parts have in common.

    Arguments:
        rate: how fast.
        mode: how.
    """

    def __init__(self, size: int, *, rate: float = 0.5, mode: Literal["a", "b"] = "a"):
        self.given = size, rate, mode


class Middle(Base):
    def __init__(self, size: int, *, mode: Literal["a", "b"] = "b", **options):
        super().__init__(size, mode=mode, **options)


class Top(Middle):
    """A part with an option of its own.

    Arguments:
        label: what it is called.
    """

    def __init__(self, *, label: str = "", **options):
        super().__init__(3, **options)
        self.label = label


class Closed(Middle):
    def __init__(self, size: int, *, count: int = 1):
        super().__init__(size)


def test_options_that_a_class_hands_to_its_base_are_its_own():
    known = Registry("part", wired=0)
    known.register("top")(Top)
    assert dict(known.options("top")) == {
        "label": (str, ""),
        "mode": (Literal["a", "b"], "b"),
        "rate": (float, 0.5),
    }
    made = known.create("top", label="x", rate=1.0)
    assert made.label == "x" and made.given == (3, 1.0, "b")
    assert meanings(Top)["rate"] == "how fast."
    with pytest.raises(ValueError, match=r"no option 'rat' of part 'top' among .* mean 'rate'"):
        known.create("top", rat=1.0)
    with pytest.raises(ValueError, match=r"'top': option 'mode' is 'a' or 'b', got 'c'"):
        known.create("top", mode="c")


class Wheel:
    """A part of a cart.

    Arguments:
        size: the diameter.
        spokes: how many hold it.
    """

    def __init__(self, place: int, *, spokes: int = 8, size: Literal["s", "l"] = "s", hub: int = 1):
        self.given = place, spokes, size, hub


class Cart(Base, metaclass=Checked):
    """A cart on wheels.

    Arguments:
        load: what it carries.
    """

    options_of: ClassVar = {Wheel: ("size", "spokes")}

    def __init__(self, *, load: int = 0, **options):
        wheel = {name: options.pop(name) for name in ("size", "spokes") if name in options}
        super().__init__(load, **options)
        self.wheels = [Wheel(place, **wheel) for place in range(2)]


def test_options_of_what_a_class_makes_are_its_own():
    known = Registry("part", wired=0)
    known.register("cart")(Cart)
    assert dict(known.options("cart")) == {
        "load": (int, 0),
        "size": (Literal["s", "l"], "s"),
        "spokes": (int, 8),
        "rate": (float, 0.5),
        "mode": (Literal["a", "b"], "a"),
    }
    assert meanings(Cart)["spokes"] == "how many hold it." and "place" not in meanings(Cart)
    made = known.create("cart", load=3, spokes=9, mode="b")
    assert made.given == (3, 0.5, "b") and made.wheels[1].given == (1, 9, "s", 1)
    with pytest.raises(ValueError, match="Cart: option 'size' is 's' or 'l', got 'm'"):
        Cart(size="m")
    with pytest.raises(TypeError, match=r"Cart has no argument 'spoke' .*; did you mean 'spokes'"):
        Cart(spoke=1)


def test_options_that_a_class_does_not_take_stay_with_its_base():
    known = Registry("part", wired=1)
    known.register("closed")(Closed)
    assert known.options("closed") == {"count": (int, 1)}
    with pytest.raises(ValueError, match="to take 1 positional arguments"):
        known.register("top")(Top)
