"""Regular languages by name.

Tomita (1982), "Dynamic construction of finite-state automata from examples using hill-climbing".
"""

from string import ascii_lowercase, digits
from typing import Literal, NamedTuple

Name = Literal["tomita1", "tomita2", "tomita3", "tomita4", "tomita5", "tomita6", "tomita7", "email"]


class Language(NamedTuple):
    """A language.

    Arguments:
        about: what its strings are.
        pattern: a regular expression.
        alphabet: its symbols.
    """

    about: str
    pattern: str
    alphabet: str = "01"


LANGUAGES: dict[Name, Language] = {
    "tomita1": Language("ones only", "1*"),
    "tomita2": Language("10 repeated", "(10)*"),
    "tomita3": Language(
        "no odd number of ones is followed by an odd number of zeros",
        "0*((11)+0*|1(11)*(00)+)*(1(11)*)?",
    ),
    "tomita4": Language("no three zeros in a row", "(1|01|001)*0{0,2}"),
    "tomita5": Language("an even number of zeros and of ones", "(00|11|(01|10)(00|11)*(01|10))*"),
    "tomita6": Language(
        "zeros and ones differ in number by a multiple of three",
        "(0(01)*(1|00)|1(10)*(0|11))*",
    ),
    "tomita7": Language("at most zeros, ones, zeros, ones", "0*1*0*1*"),
    "email": Language(
        "e-mail addresses in lower case",
        r"[a-z0-9]+([._+-][a-z0-9]+)*@([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}",
        f"{ascii_lowercase}{digits}._+-@",
    ),
}
