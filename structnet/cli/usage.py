"""What `structnet --help` and `structnet help COMMAND` print, and the flags of every command."""

USAGE = """\
structnet: structured recurrent networks over sequences, trees, grids and graphs

  structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]   train, and test at the end
  structnet train resume=DIR [trainer.max_epochs=N]           go on where a run stopped
  structnet train -m topology=chain,bichain cell=lstm,gru     a sweep: every combination
  structnet test run=DIR                                      the test figures of a run again
  structnet predict run=DIR path=FILE_OR_FOLDER [top=N]       what a run says of your files
  structnet generate run=DIR [n=64] [out=FILE.png]            what a run draws by itself
  structnet diagnose run=DIR                                  gradients, gates, spectral radii
  structnet draw topology=diagonal height=5 width=7           who comes before whom, as a picture
  structnet draw task=enas [sample=N]                         a sample of a task's data
  structnet draw run=DIR [sample=N]                           what a run says of a sample's nodes
  structnet bench topology=tree cell=lstm [KEY=VALUE ...]     time and memory, next to rivals
  structnet bench suite=cpu [rows=ROW,ROW]                    figures that have to be reached
  structnet bench suite=cuda --device cuda                    those of a GPU
  structnet bench suite=scale out=FILE.json                   growth with graphs, and FILE.png
  structnet list [GROUP [NAME]]                               components, their options, choices
  structnet help COMMAND                                      all words of a command

Groups: task, topology, cell, net, readout, trainer, experiment, debug. Without a word more,
`structnet train` learns to find swapped operands in Python code with a Tree-LSTM.

  seed=N          seed of weights and of the order of samples (0)
  run=DIR         directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  --cfg           print the composed configuration and stop
  --config-dir D  a folder of configuration files of your own
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --json          for programs (list, predict, diagnose, bench)
  --device D      where bench measures: cpu (the default) or cuda
  --quiet         train without a word but warnings and errors
  --traceback     show where an error came from
  --version       print the version
"""

HELP = {
    "train": """\
structnet train [GROUP=NAME ...] [GROUP.OPTION=VALUE ...]: train, and test at the end

  GROUP=NAME            a component: task, topology, cell, net, readout; see structnet list GROUP
  GROUP.OPTION=VALUE    an option of it; see structnet list GROUP NAME
  trainer.OPTION=VALUE  an option of training; see structnet list trainer
  experiment=NAME       settings of conf/experiment, changed by the words beside it
  debug=steps           two steps of training: does it run at all?
  seed=N                seed of weights and of the order of samples (0)
  run=DIR               directory of a new run (runs/DATE_TIME_TASK-TOPOLOGY-CELL)
  resume=DIR            go on where a run stopped; trainer's options can change; or where a sweep
                        did (sweeps/DATE_TIME_sweep, or its run=DIR)
  -m, --multirun        a sweep: every combination of values with commas, cell=lstm,gru
  --cfg                 print the composed configuration and stop
  --config-dir D        a folder of configuration files of your own: D/experiment/mine.yaml
  --plugin FILE         a Python file that registers components of your own; may be repeated
  --quiet               say nothing but warnings and errors
  --traceback           show where an error came from

Names and paths are taken as they are typed, blanks and = included; ~/ is the home folder, and null
is no value (./null is a file of that name). In a sweep a comma separates values, unless it stands
between quotes within the word: -m "task.root='a,b',c". One run that fails does not end the others;
a table has all of them at the end, and the exit status is 1 where one has failed.
""",
    "test": """\
structnet test run=DIR [task.root=FOLDER]: the test figures of a run again, or on other data

  run=DIR         the directory of a run
  task.root=PATH  other data to test on, and other options of the run's task
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from
""",
    "predict": """\
structnet predict run=DIR path=FILE_OR_FOLDER: what a run says of your files

  run=DIR         the directory of a run
  path=PATH       a file, or a folder with all files below it; of task pyg another task.root
  top=N           how many lines are shown (20)
  min=P           the least probability of those that are shown (0)
  out=FILE        all of them in a file: .json, .csv, or lines
  --json          for programs
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from

A line a sample, FILE:LINE: TEXT (CLASS, PROBABILITY) or (NUMBER UNIT); where the run's task has a
target a node, a line a node, FILE:LINE: node N NAME (...): a node is a word, a pixel (ROW, COLUMN),
a region or a character. A task that reads no files says what shows its samples.
""",
    "generate": """\
structnet generate run=DIR: what a run draws by itself

  run=DIR         the directory of a run
  out=FILE.png    the picture (samples.png in the run's directory)
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from

More options are those of the run's task, for images:
  n=N             how many images
  temperature=T   below 1 for likelier images, above 1 for more varied ones
  seed=N          seed of the draw
  class=LABEL     of this class, with task.condition=class
  complete=N      test images, their lower halves drawn
  small=DIR       a run that draws the small images of task.condition=small
  height=, width= of the images in pixels
""",
    "diagnose": """\
structnet diagnose run=DIR: gradients by distance, saturated gates, spectral radii

  run=DIR         the directory of a run; gets diagnose.json and diagnose.png
  --json          for programs
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from
""",
    "draw": """\
structnet draw topology=NAME | task=NAME | run=DIR: a structure as a picture, by levels

With a topology, of a structure of these sizes:
  length=N        of a sequence
  leaves=N        of a random tree (and seed=N)
  nodes=N         of a random graph (and seed=N)
  height=, width= of a grid; depth= with topology.dims=3

With a task or a run, of a sample:
  sample=N        its number (0)
  split=SPLIT     train, validation or test (the default)

  out=FILE        .png or .svg
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from
""",
    "bench": """\
structnet bench topology=NAME cell=NAME | suite=cpu, cuda or scale: time and memory, next to rivals

  size=20         steps, leaves, height and width; size=4..64 for samples of many sizes
  batch=N, input_size=N, hidden_size=N, executor=NAME, save=NAME, zoneout=P
  rows=ROW,ROW    of a suite; scale=F makes its sizes smaller or larger
  repeats=N       of every measurement (30); seed=N
  threads=N       of torch
  out=FILE.json   the figures, and FILE.png where there are curves
  --device D      cpu (the default) or cuda
  --json          for programs
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from
""",
    "list": """\
structnet list [GROUP [NAME]]: components, their options with defaults, types and meanings

  GROUP           task, topology, cell, net, readout, trainer, experiment or debug
  NAME            one of the group's: structnet list cell lstm
  --json          for programs
  --config-dir D  a folder of configuration files of your own
  --plugin FILE   a Python file that registers components of your own; may be repeated
  --traceback     show where an error came from
""",
}

EVERYWHERE = ("--plugin", "--traceback", "--help")
FLAGS = {
    "train": ("-m", "--multirun", "--cfg", "--config-dir", "--quiet", *EVERYWHERE),
    "test": EVERYWHERE,
    "predict": ("--json", *EVERYWHERE),
    "generate": EVERYWHERE,
    "diagnose": ("--json", *EVERYWHERE),
    "draw": EVERYWHERE,
    "bench": ("--json", "--device", *EVERYWHERE),
    "list": ("--json", "--config-dir", *EVERYWHERE),
}
