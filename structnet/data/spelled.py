"""Numbers of JSON that know how they are spelled."""


class Spelled(float):
    """A number with a point or an exponent, as a text: a code 250.00 keeps its noughts.

    Given to `json.loads` as `parse_float`.
    """

    spelling: str

    def __new__(cls, text: str) -> "Spelled":
        number = super().__new__(cls, text)
        number.spelling = text
        return number
