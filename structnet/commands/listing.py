"""list: components and their options."""

import json

from structnet.words import refuse_flags, take_flag


def list_components(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    refuse_flags(words)
    from structnet.config import GROUPS, groups
    from structnet.registry import did_you_mean

    plural = {f"{group}s" if group != "topology" else "topologies": group for group in GROUPS}
    wanted = [plural.get(word, word) for word in words] or list(GROUPS)
    for word in wanted:
        if word not in GROUPS:
            raise ValueError(f"no group {word!r} {did_you_mean(word, plural)}")
    listed = {name: groups()[group] for name, group in plural.items() if group in wanted}
    if as_json:
        print(json.dumps(listed, indent=1))
        return 0
    for name, components in listed.items():
        print(name)
        width = max(12, *(len(component) + 2 for component in components))
        for component, about in components.items():
            print(f"  {component:<{width}}{about['doc']}")
            for option, spec in about["options"].items():
                print(f"    {option} = {json.dumps(spec['default'])} ({spec['type']})")
    return 0
