"""draw: who comes before whom, as a picture."""

from structnet.terminal import visible


def draw(words: list[str]) -> int:
    from structnet.draw import draw

    titles, path = draw(words)
    print(*map(visible, (*titles, f"picture: {path}")), sep="\n")
    return 0
