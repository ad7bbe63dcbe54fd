"""The text of `structnet --help` and `structnet help COMMAND`, and the flags of every command."""

from structnet.cli.usage_of_runs import OF_RUNS

USAGE = """\
structnet: structured recurrent networks over sequences, trees, grids and graphs

  structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]   train a net and test it
  structnet train resume=DIR [trainer.max_epochs=N]           resume a run that was stopped
  structnet train -m topology=chain,bichain cell=lstm,gru     a sweep over all combinations
  structnet train --trials N -m KEY='interval(LOW,HIGH)'      a search of ranges, by Optuna
  structnet runs [DIR ...] [sort=COLUMN]                      runs, their figures and states
  structnet test run=DIR                                      test a trained net again
  structnet predict run=DIR path=FILE_OR_FOLDER [top=N]       predictions for your own files
  structnet predict run=DIR text="..." [text="..." ...]       predictions for texts
  structnet generate run=DIR [prompt=TEXT] [out=FILE]         generate text, or pictures
  structnet serve run=DIR [port=8000]                         answer requests over HTTP
  structnet errors run=DIR [split=SPLIT] [top=N]              what is confused, or far off
  structnet export run=DIR out=FOLDER                         ONNX files, and a program for them
  structnet diagnose run=DIR                                  gradients, gates, spectral radii
  structnet draw topology=diagonal height=5 width=7           draw the nodes and predecessors
  structnet draw task=enas [sample=N]                         draw a sample of a task's data
  structnet draw run=DIR [sample=N]                           draw predictions for a sample's nodes
  structnet bench topology=tree cell=lstm [KEY=VALUE ...]     time and memory, beside rivals
  structnet bench suite=cpu [rows=ROW,ROW]                    measured times beside their limits
  structnet bench suite=cuda --device cuda                    the same on a GPU
  structnet bench suite=scale out=FILE.json                   time by size of graph, and FILE.png
  structnet push run=DIR to=OWNER/NAME [--private]            share a trained run on a hub
  structnet pull from=OWNER/NAME[@REVISION] out=DIR           get a run that was shared
  structnet list [GROUP [NAME]]                               components, their options, choices
  structnet check cell=NAME                                   what a component of yours has to pass
  structnet new plugin NAME                                   a package of your own components
  structnet completion SHELL --install                        complete words in bash, zsh or fish
  structnet help COMMAND                                      all arguments of a command

Groups: task, topology, cell, net, readout, head, trainer, experiment, debug. Without arguments,
`structnet train` trains a Tree-LSTM to find swapped operands in Python code.

  seed=N          seed of the weights and of the order of samples (0)
  run=DIR         directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  --cfg           print the composed configuration and stop
  --config-dir D  a folder with your own configuration files
  --plugin FILE   a Python file that registers your own components; may be repeated
  --json          machine-readable output (runs, list, predict, errors, diagnose, bench)
  --device D      the device that bench measures: cpu (the default) or cuda
  --quiet         train without output, except for warnings and errors
  --traceback     show where an error came from
  --version       print the version
"""

HELP = {
    "train": """\
structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]: train a net and test it

  GROUP=NAME            a component: task, topology, cell, net, readout, head; see
                        structnet list GROUP
  GROUP.OPTION=VALUE    an option of a component; see structnet list GROUP NAME
  trainer.OPTION=VALUE  an option of training; see structnet list trainer
  experiment=NAME       the settings in conf/experiment; other arguments change them
  debug=steps           train for two steps only, to see whether it runs
  seed=N                seed of the weights and of the order of samples (0)
  run=DIR               directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  resume=DIR            resume a run, with other options of trainer if given, or a sweep or search
                        (sweeps/DATE_TIME_sweep, _search, or its run=DIR)
  -m, --multirun        a sweep over all combinations of values with commas, as in cell=lstm,gru,
                        or a search, where a value is interval(LOW,HIGH)
  --jobs N              of a sweep: train N runs at a time, each in a process of its own (1)
  --trials N            of a search: the number of runs; Optuna chooses their values
  --cfg                 print the composed configuration and stop
  --config-dir D        a folder with your own configuration files, as D/experiment/mine.yaml
  --plugin FILE         a Python file that registers your own components; may be repeated
  --quiet               print nothing but warnings and errors
  --traceback           show where an error came from

Names and paths are read literally, with spaces and = in them; ~/ is the home folder. null stands
for no value (./null for a file of that name). In a sweep, commas separate values, except between
quotes within the argument: -m "task.root='a,b',c". If a run of a sweep fails, the others go on; a
table of all runs is printed at the end, and the exit status is 1. Runs at a time (--jobs) share the
cores out where trainer.threads is not set; their output is in output.log of their directories.

A search draws from intervals, by the logarithm where HIGH is ten times LOW or more, unless tagged,
as in tag(linear,interval(1,20)) or tag(log,interval(1,2)), and from values with commas. Runs are
compared by their validation figure, and pruned if it is worse than the median after an epoch. It is
resumed by the same command if that has run=DIR, or by resume=DIR; a larger --trials adds runs.
""",
    **OF_RUNS,
    "draw": """\
structnet draw topology=NAME | task=NAME | run=DIR: a structure as a picture, level by level

With a topology, an example of this size:
  length=N        the length of a sequence
  leaves=N        the leaves of a random tree (and seed=N)
  nodes=N         the nodes of a random graph (and seed=N)
  height=, width= the sides of a grid; depth= as well with topology.dims=3

With a task or a run, a sample of its data:
  sample=N        its number (0)
  split=SPLIT     train, validation or test (the default)

  out=FILE        the picture, .png, .svg or .pdf; .gif shows one level after the other
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

A task may draw its samples in its own way: trees of sst have words at the leaves and a coloured
mark at every node, the darker the surer its class is; of a run, wrong nodes have a ring.
""",
    "bench": """\
structnet bench topology=NAME cell=NAME | suite=cpu, cuda, scale or heads: time and memory

  size=20         steps, leaves, or height and width; size=4..64 for random sizes in a range
  batch=N, input_size=N, hidden_size=N, executor=NAME, save=NAME, zoneout=P
  precision=NAME  what products are computed in, by all contenders and the floor: float32, bfloat16
  rows=ROW,ROW    rows of a suite; scale=F multiplies all sizes in it
  repeats=N       the number of repeats of each measurement (30); seed=N
  threads=N       the number of torch's threads
  out=FILE.json   save the figures, and a picture FILE.png if there are curves
  --device D      cpu (the default) or cuda
  --json          machine-readable output
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Measures a training step of a composition, its floor (the matrix products alone) and its rivals
(other implementations of it). A suite has compositions whose times have limits.
""",
    "list": """\
structnet list [GROUP [NAME]]: components, with default, type and meaning of their options

  GROUP           task, topology, cell, net, readout, head, trainer, executor, experiment or debug
  NAME            one component of the group, as in structnet list cell lstm
  --json          machine-readable output
  --config-dir D  a folder with your own configuration files
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

What is shown is kept in the folder STRUCTNET_CACHE (~/.cache/structnet) until a package is
installed or removed, or a file of a plugin, or beside it, changes.
""",
    "check": """\
structnet check cell=NAME | topology=NAME | executor=NAME | task=NAME: what it has to pass

  cell=NAME       and its options, cell.OPTION=VALUE: on chains, trees, grids and graphs
  topology=NAME   and its options, topology.OPTION=VALUE: with three cells
  executor=NAME   with three cells on chains, trees, grids and graphs
  task=NAME       and its options; topology=, cell= and net= as in training
  depth=N         the levels of the deepest structure (100000)
  --quick         of a cell or topology: without compiling, the deepest structure and times
  out=FILE.json   write what was found
  --json          machine-readable output
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Of a layer: outputs, states and gradients by every executor, compared in float64 with those of one
node at a time; gradients, with finite differences; structures in another order, of one node and of
none; a deep structure; the same seed twice; weights saved and loaded; the time over that of the
matrix products alone. Of a topology, also its levels, and predecessors in a batch and alone, for
sizes up to 64. Of a task: data that is loaded twice, what it learned, whether its loss depends on
outputs and targets, samples beside others and alone, two steps of training, saved and tested again.
What a component refuses by its own error is shown as refused; an error that it makes by mistake
fails, and so does a component that can be made on nothing. The exit status is 1 if a check failed.
""",
    "new": """\
structnet new plugin NAME [out=FOLDER]: a package of a cell and a topology of your own, with tests

  NAME            of the package, in small letters, digits and _
  out=FOLDER      a new folder for it (NAME)
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Writes pyproject.toml, with an entry point by which structnet finds the package, README.md, a cell
NAME_cell, a topology NAME_topology, and tests that compare both with the reference and train them.
They are to be changed: pip install -e FOLDER installs the package, and pytest in it runs the tests.
""",
    "completion": """\
structnet completion SHELL [--install]: complete commands, components, options, choices, paths

  SHELL           bash, zsh or fish
  --install       write the script below the home folder, and for bash and zsh a line into
                  .bashrc or .zshrc that reads it; otherwise the script is printed
  --breaks SIGNS  what the scripts ask with, then -- and the words that are typed: candidates
  --traceback     show where an error came from
""",
}

EVERYWHERE = ("--plugin", "--traceback", "--help")
FLAGS = {
    "train": (
        "-m",
        "--multirun",
        "--jobs",
        "--trials",
        "--cfg",
        "--config-dir",
        "--quiet",
        *EVERYWHERE,
    ),
    "runs": ("--json", *EVERYWHERE),
    "test": EVERYWHERE,
    "predict": ("--json", *EVERYWHERE),
    "generate": EVERYWHERE,
    "serve": EVERYWHERE,
    "errors": ("--json", *EVERYWHERE),
    "export": ("--verify", *EVERYWHERE),
    "diagnose": ("--json", *EVERYWHERE),
    "draw": EVERYWHERE,
    "bench": ("--json", "--device", *EVERYWHERE),
    "push": ("--private", *EVERYWHERE),
    "pull": EVERYWHERE,
    "list": ("--json", "--config-dir", *EVERYWHERE),
    "check": ("--json", "--quick", *EVERYWHERE),
    "new": EVERYWHERE,
    "completion": ("--install", "--breaks", "--traceback", "--help"),
}
