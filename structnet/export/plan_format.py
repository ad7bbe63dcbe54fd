"""What the arrays of a plan are: the contents of `plan.json`."""

PLAN = {
    "about": "The execution order of a batch of N nodes and B samples in one direction. The state "
    "buffer has the null state (zeros) in row 0, the initial states in rows 1 to num_initial, and "
    "the state of the node of rank r in row 1 + num_initial + r. All arrays are int64.",
    "order": "(N,): the node of every rank",
    "rank": "(N,): the rank of every node, the inverse of order",
    "rows": "(R,): the rows of the state buffer that nodes read, node after node by rank",
    "steps": "(S, 4): a row per call of the cell: start, stop, slots, offset. It gives the states "
    "of ranks start to stop - 1; each of them reads `slots` entries of rows, from offset on",
    "sinks": "the nodes that no other node reads, ascending",
    "ptr": "(B + 1,): sample b has the nodes ptr[b] to ptr[b + 1] - 1",
    "num_initial": "(): the number of initial states",
    "present": "(R,) or (0,): 1 where an entry of rows counts in means, maxima and shares, else 0; "
    "all count where it is empty. Predecessors count; a node without any counts the null state "
    "once, in the first slot that its sample fills",
    "edges": "(R,) or (0,): for features of edges, the edge of each entry of rows, and the number "
    "of edges where it stands for none",
}
