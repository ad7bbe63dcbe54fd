"""What the equations in a cell's docstring compute, given the cell's weights.

Vectors are columns. An index of a name, such as k in `U_rk`, is `#` in the name's key: `U_r#`.
"""

import torch
from notation import equations_of, parse

INDICES = {"mlstm": "j", "ssm": "kn"}
FUNCTIONS = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "exp": torch.exp, "log": torch.log,
    "relu": torch.relu, "softplus": torch.nn.functional.softplus, "sqrt": torch.sqrt,
    "max": lambda a, b: torch.maximum(a, b),
    "norm": lambda a: torch.nn.functional.layer_norm(a, a.shape),
}  # fmt: skip


class Said:
    """The equations of a cell that hold under some conditions, at one node."""

    def __init__(self, name, component, whens, given, sizes):
        """`given` has weights, inputs and states; `sizes` how far every index runs."""
        self.indices = INDICES.get(name, "kj")
        self.given, self.sizes, self.equations = given, sizes, {}
        for one in equations_of(component):
            if not one.when or one.when in whens:
                left, right = parse(one.text)
                self.equations[self.key(left.symbol)[0]] = (left, right)

    def key(self, symbol):
        """A name with # for its indices, and these."""
        base, bar, below = symbol.partition("_")
        found = [letter for letter in below if letter in self.indices]
        shown = "".join("#" if letter in self.indices else letter for letter in below)
        return base + bar + shown, found

    def value(self, symbol, at):
        """The value of a name, where indices have the values `at`."""
        key, letters = self.key(symbol)
        if symbol in at:
            return at[symbol]
        places = tuple(at[letter] for letter in letters)
        if key in self.equations:
            left, right = self.equations[key]
            own = dict(zip(self.key(left.symbol)[1], places, strict=True))
            return self.of(right, own)
        base = key.partition("_")[0]
        if key not in self.given and base in self.equations:
            # A number of a vector.
            return self.value(base, at)[places[0]].view(1, 1)
        found = self.given[key]
        for place in places:
            found = found[place]
        return found

    def of(self, node, at):
        """The value of a part of an equation."""
        if node.kind == "sum":
            kind, _, index = node.symbol.partition("_")
            some = [self.of(node.parts[0], {**at, index: n}) for n in range(self.sizes[index])]
            return sum(some) / (len(some) if kind == "mean" else 1)
        if node.kind == "name" and node.symbol != "T":
            return self.value(node.symbol, at)
        if node.kind == "number":
            return torch.tensor(float(node.symbol), dtype=torch.float64).view(1, 1)
        if node.kind == "stack":
            return torch.cat(self.given["h_#"])
        if node.kind == "power" and node.parts[1].symbol == "T":
            return self.of(node.parts[0], at).mT
        parts = [self.of(part, at) for part in node.parts]
        if node.kind == "call" and node.symbol == "g" and "g" in self.equations:
            left, right = self.equations["g"]
            return self.of(right, {**at, left.parts[0].symbol: parts[0]})
        return self.combined(node, parts)

    def combined(self, node, parts):
        match node.kind:
            case "call":
                return (FUNCTIONS.get(node.symbol) or self.given[node.symbol])(*parts)
            case "group":
                return parts[0]
            case "size":
                return parts[0].abs()
            case "minus":
                return -parts[0]
            case "add":
                return parts[0] + parts[1] if node.symbol == "+" else parts[0] - parts[1]
            case "each":
                return parts[0] * parts[1]
            case "over":
                return parts[0] / parts[1]
            case "times":
                return times(*parts)
            case "compare":
                return parts[0] >= parts[1]
            case "cases":
                return torch.where(parts[1], parts[0], parts[2])
        raise AssertionError(node)


def times(a, b):
    """The product of matrices, or with a number; of a matrix for every unit, a column."""
    if 1 in (a.numel(), b.numel()):
        return a * b
    found = a @ b
    return found.flatten()[:, None] if found.shape[1:] == (1, 1) else found


# The gate whose weights have no subscript.
BARE = {"elman": "h", "jordan": "h", "indrnn": "h", "mgu": "n", "mut2": "n", "mut3": "n",
        "mingru": "n", "minlstm": "n", "fo": "n", "ssm": "u"}  # fmt: skip


def weights(name, cell, slots):
    """The weights of a cell by the names of its docstring."""
    if name == "mlstm":
        return head_weights(cell, slots)
    found = {"H": number(cell.hidden_size), **others(name, cell, slots)}
    size, bare = cell.hidden_size, BARE.get(name)
    shared = cell.arity is None
    edge = cell.edge_gates if hasattr(cell, "coefficients") else ()
    for at, gate in enumerate(cell._gates):
        rows = slice(at * size, (at + 1) * size)
        key = "" if gate == bare else f"_{gate}"
        W = cell.input.weight[rows]
        b = None if cell.input.bias is None else cell.input.bias[rows, None]
        if gate in edge:
            for letter, one in (("W", W), ("b", b)):
                found.setdefault(f"{letter}{key}#", []).append(one)
        else:
            found |= {f"W{key}": W, f"b{key}": b}
    if shared:
        found |= {k: one * slots for k, one in found.items() if k[-1] == "#" and len(one) == 1}
    return {**found, **recurrent(name, cell, slots)}


def recurrent(name, cell, slots):
    """U of every gate."""
    found, size, shared = {}, cell.hidden_size, cell.arity is None
    if not hasattr(cell, "recurrent") or name == "recursive":
        return {}
    rows = cell.output_size

    def by_slot(weight, first=0):
        part = weight[:, first : first + size]
        return [part[(0 if shared else k * rows) :][:rows].T for k in range(slots)]

    full = [gate for gate in cell.node_gates if gate not in cell.diagonal]
    for at, gate in enumerate(full):
        key = "U_#" if gate == BARE.get(name) else f"U_{gate}#"
        found[key] = by_slot(cell.recurrent, at * size)
    if "f" in cell.edge_gates and "f" not in cell.diagonal:
        first = len(full) * size
        if shared:
            found["U_f"] = cell.recurrent_edge.T
        else:
            found["U_f##"] = [by_slot(cell.recurrent, first + k * size) for k in range(slots)]
    for at, gate in enumerate(cell.diagonal):
        found[f"d_{gate}#"] = list(cell.diagonal_recurrent[:, at, :, None])
    for attribute, key in (("recurrent_candidate", "U_n#" if name == "gru" else "U_#"),
                           ("recurrent_update", "U_z#")):  # fmt: skip
        if hasattr(cell, attribute):
            found[key] = by_slot(getattr(cell, attribute))
    return found


def others(name, cell, slots):
    """What a cell has besides the weights of its gates."""
    state = getattr(getattr(cell, "as_state", None), "weight", torch.eye(cell.hidden_size).double())
    if name == "elman":
        return {"g": torch.tanh}
    if name == "indrnn":
        u = cell.diagonal_recurrent[:, :, None]
        return {"g": torch.relu, "u_#": list(u.expand(slots, -1, -1))}
    if name == "jordan":
        return {"V": cell.recurrent_output.T, "a": cell.output_bias[:, None]}
    if name == "gru":
        return {"b": getattr(cell, "candidate_bias", torch.zeros(0))[:, None]}
    if name in ("mut1", "mut2"):
        key, bias = {"mut1": ("b", "candidate_bias"), "mut2": ("b_r", "reset_bias")}[name]
        return {"V": state, key: getattr(cell, bias)[:, None]}
    if name == "recursive":
        return {
            "W_x": cell.input.weight, "b": cell.input.bias[:, None], "W": cell.recurrent.T,
            **({"V": units(cell)} if cell.tensor else {}),
        }  # fmt: skip
    if name == "graph_lstm" and cell.reads_own:
        parts = cell.recurrent_own.T.chunk(4)
        return {f"V_{gate}": one for gate, one in zip("uocf", parts, strict=True)}
    return {"lstm": peepholes, "sru": highway, "ssm": selection}.get(name, lambda *_: {})(
        cell, slots
    )


def units(cell):
    """A matrix for every unit."""
    size = len(cell.recurrent)
    return cell.quadratic.unflatten(1, (cell.hidden_size, size)).permute(1, 0, 2)


def peepholes(cell, slots):
    found = {"V": cell.projection.T} if cell.projected else {}
    if cell.peephole:
        found |= {"p_i#": list(cell.peephole_i[:, :, None]), "p_o": cell.peephole_o[:, None],
                  "p_f#": list(cell.peephole_f[:, :, None])}  # fmt: skip
    return found


def highway(cell, slots):
    same = cell.input_size == cell.hidden_size
    V = torch.eye(cell.hidden_size).double() if same else cell.highway.weight
    found = {"W": cell.candidate.weight, "V": V}
    if cell.peephole is not None:
        f, r = (list(one[:, :, None].expand(slots, -1, -1)) for one in cell.peephole)
        found |= {"v_f#": f, "v_r#": r}
    return found


def selection(cell, slots):
    found = {
        "p_#": list(cell.step[:, :, None].expand(slots, -1, -1)),
        "D": cell.direct[:, None], "A_#": [-one.exp()[:, None] for one in cell.log_rate.T],
    }  # fmt: skip
    if not cell.selective:
        return {
            **found,
            "B_#": list(cell.write.T[:, :, None]),
            "C_#": list(cell.read.T[:, :, None]),
        }
    size = cell.hidden_size
    *V, W_B, W_C = cell.select.weight.split([size] * len(cell.step) + [cell.state_size] * 2)
    return {**found, "V_#": V * (slots // len(V)), "W_B": W_B, "W_C": W_C}


def head_weights(cell, slots):
    """The weights of an mLSTM of one head."""
    W, b = cell.input.weight.split(cell.columns), cell.input.bias.split(cell.columns)
    found = {"d": number(cell.head_size)}
    for at, gate in enumerate("qkvoi"):
        found |= {f"W_{gate}": W[at], f"b_{gate}": b[at][:, None]}
    every = [0] * slots if cell.arity is None else range(slots)
    return {**found, "W_f#": [W[5][k : k + 1] for k in every],
            "b_f#": [b[5][k : k + 1, None] for k in every]}  # fmt: skip


def number(value):
    return torch.tensor(float(value), dtype=torch.float64).view(1, 1)
