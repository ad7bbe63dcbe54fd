"""draw: who comes before whom, as a picture."""


def draw(words: list[str]) -> int:
    from structnet.draw import draw

    titles, path = draw(words)
    print(*titles, f"picture: {path}", sep="\n")
    return 0
