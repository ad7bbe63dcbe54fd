"""draw: who comes before whom, as a picture."""

from structnet.system.terminal import visible


def run(words: list[str]) -> int:
    from structnet.draw.command import draw

    titles, path = draw(words)
    print(*map(visible, (*titles, f"picture: {path}")), sep="\n")
    return 0
