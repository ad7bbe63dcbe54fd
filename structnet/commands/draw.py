"""draw: who comes before whom, as a picture."""

from structnet.words import refuse_flags


def draw(words: list[str]) -> int:
    refuse_flags(words)
    from structnet.draw import draw

    titles, path = draw(words)
    print(*titles, f"picture: {path}", sep="\n")
    return 0
