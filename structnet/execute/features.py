"""What an executor may do besides running a cell over a plan."""

# What a layer may need of an executor, and its name in messages.
FEATURES = {
    "states": "states of every node",
    "edges": "edge features",
    "dropout": "recurrent_dropout",
    "zoneout": "zoneout",
    "weight_drop": "weight_drop",
    "truncate": "truncate",
    "windows": "save='windows'",
    "recompute": "save='recompute'",
    "transforms": "transformations of torch.func (vmap, grad, jvp, jacrev) and forward-mode "
    "derivatives",
    "finals": "final states",
}
