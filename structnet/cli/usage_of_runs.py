"""The help of commands on runs, by command."""

OF_RUNS = {
    "runs": """\
structnet runs [DIR ...]: run directories as a table, the newest first

  DIR             a folder, whose runs are listed with those below it, and those of a sweep in it
                  (runs)
  sort=COLUMN     sort by a column: task, topology, cell, metric, minutes, state, directory or date;
                  sort=-COLUMN the other way round
  --json          machine-readable output, with the net, the numbers of epochs and the dates
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

The metric is the one that selects the best epoch: of a finished run its test figure, of another
that of its last validation. Minutes are those of training. The state is finished; stopped, with a
checkpoint to resume from (structnet train resume=DIR); running, while a process trains in it;
begun, with nothing to resume; or damaged, and why is printed below the table. Of a net that uses
no topology and no cell, the net's name is shown. The date is when a run was begun or resumed.
Sorted by metric, rows are sorted by its name first. Links and hidden folders are not followed.
""",
    "test": """\
structnet test run=DIR [task.root=FOLDER]: test a trained net again, or on other data

  run=DIR         the directory of the run
  task.root=PATH  other data to test on; other options of the task can be changed as well
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from
""",
    "predict": """\
structnet predict run=DIR path=FILE_OR_FOLDER | file=FILE | text="...": predictions

  run=DIR         the directory of the run
  path=PATH       a file, or a folder with all files below it; for task pyg another task.root
  text="..."      a text, for a task that reads texts; may be repeated
  file=FILE       a file in UTF-8 with a text per line
  changed=REV     of the files of path=, lines alone that differ from a revision of git
  task.OPTION=V   another option of the run's task, such as task.prior=0.001 of task swapped
  top=N           the number of predictions to show (20; with --json all)
  min=P           show predictions of at least this probability (0)
  out=FILE        write all predictions to a file: .json, .csv, or text
  --json          machine-readable output
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Prints one line per sample, FILE:LINE: TEXT (CLASS, PROBABILITY) or (NUMBER UNIT); of a task that
searches for a class its probability, the largest first, equal texts once with their number, as in
(0.731, x 12), each by itself with --json and out=FILE. If the task has
one target per node, it prints one line per node, FILE:LINE: node N NAME (...), where a node is a
word, a pixel (ROW, COLUMN), a region or a character. Texts whose words have classes are printed in
a line each on a terminal, with coloured words or, of entities, names; elsewhere, and by out=FILE, a
word per line, as WORD TAB CLASS; --json has the probabilities, and entities. If the task reads no
files, an error says which command shows its samples. Of texts with a class, the probabilities of
all classes are printed and, with readouts that weigh words (attention, self_attentive), the words
that weighed most, which are marked with colours on a terminal; --json has the weights of all words.
A text for trees, text="( ( It 's ) ( ( not good ) . ) )", is printed as a tree, with a class and
its probability at every node; labels as in (3 (2 It) (3 's)) are shown as given.
""",
    "generate": """\
structnet generate run=DIR: generate text or pictures with a trained net

  run=DIR         the directory of the run
  out=FILE        the file to write; for pictures a .png (samples.png in the run's directory), for
                  text any, without which it is only printed
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Other options depend on the run's task. For text, which is printed as it comes:
  prompt=TEXT     what the text begins with
  n=N             the number of texts (1)
  length=N        the number of characters, words or sub-words, at most (300)
  stop=TEXT       end after this text; \\n is a line break
  temperature=T   0 for the most probable text, above 1 for more varied ones (0.8)
  top_k=K         draw from the K most probable characters, words or sub-words
  top_p=P         draw from the fewest most probable ones whose probabilities have the sum P
  beam=K          search for the most probable texts with K beams, instead of drawing
  penalty=A       of beam search: above 0 for longer texts (0.6)
  unseen=WHAT     error, skip or replace: what the net doesn't know of the prompt
  seed=N          seed of the draws
For images:
  n=N             the number of images
  temperature=T   below 1 for more probable images, above 1 for more varied ones
  seed=N          seed of the sampling
  class=LABEL     images of this class, with task.condition=class
  complete=N      complete N test images, given their upper halves
  small=DIR       a run that generates the small images of task.condition=small
  height=, width= the size of the images in pixels
For captions, below their images:
  n=N             the number of images, the first of the test split or of the folder (24)
  path=PATH       an image of your own, or a folder of images
  language=NAME   the language of all captions; by default each caption's own, or all
  beam=K          search for the most probable captions with K beams
""",
    "serve": """\
structnet serve run=DIR [port=8000]: answer requests for predictions over HTTP

  run=DIR         the directory of the run, whose task reads texts or other records
  port=N          the port (8000); 0 for any that is free
  host=ADDRESS    the address to listen on (127.0.0.1, this machine alone)
  batching=HOW    window, continuous or one (window)
  batch_nodes=N   the most nodes in work at a time (4096)
  wait_ms=N       how long the first request of a window waits for others (5)
  body=N          the most bytes of a request (1048576)
  nodes=N         the most nodes of a request (10000)
  queue=N         the most nodes that wait; requests beyond get status 429 (50000)
  sessions=N      the most sessions of /stream at a time (100)
  idle_s=N        the seconds after which a session without messages ends (300)
  drain_s=N       the most seconds to answer what was accepted, once stopped (30)
  threads=N       the threads that compute (1)
  task.OPTION=V   another option of the run's task
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

POST /predict takes a record, or a list of them, such as [{"text": "..."}], and answers with what
structnet predict --json prints. /stream is a websocket, /docs a page, /health and /metrics for
programs. SIGTERM and Ctrl-C end it once all that was accepted is answered.
""",
    "errors": """\
structnet errors run=DIR [task.root=FOLDER]: what a trained net gets wrong

  run=DIR         the directory of the run
  task.root=PATH  other data to look at; other options of the task can be changed as well
  split=SPLIT     train, validation or test (the default)
  top=N           the number of mistakes, or of numbers, to show (20)
  out=FILE.html   write them to a page, with pictures if the task draws its samples
  --json          machine-readable output, with all pairs of classes
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Of classes, prints which is taken for which, the most frequent pairs first, and the worst mistakes:
those with the smallest probability of the true class. Of numbers, by how much half of them are off
at most, nine of ten, and all; and the furthest, of several targets in standard deviations. Where
every node has a target, it is [NODE] among those around it, or the words below it in a tree of
phrases. Where classes of nodes are chosen together (head=crf), probabilities are those of each node
by itself.
""",
    "export": """\
structnet export run=DIR out=FOLDER: a trained net for programs without torch

  run=DIR         the directory of the run
  out=FOLDER      a new folder
  --verify N      compare N random structures with torch (200), 0 for none
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Writes ONNX files of what enters (input), of each layer's cell (project, step and, where a cell has
one, output) and of the readout and head; chain.onnx and torch_layer.safetensors where the net is
one of chains that has such a form; a test vector, the format of plans, checksums, and a program,
runtime.py, that runs them with numpy and onnxruntime alone: python FOLDER/runtime.py INPUT.json.
Nothing is written if an output differs from torch's by more than 1e-4.

Needs the extra export: pip install -c constraints.txt -e '.[export]'
""",
    "diagnose": """\
structnet diagnose run=DIR: gradients by distance, saturated gates, spectral radii

  run=DIR         the directory of the run, in which diagnose.json and diagnose.png are saved
  --json          machine-readable output
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from
""",
    "push": """\
structnet push run=DIR to=OWNER/NAME [--private]: share a trained run on a hub

  run=DIR         the directory of the run
  to=OWNER/NAME   the repository, which is made if it is not there
  --private       refuse a repository that is public, and make a new one private
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

Pushed in one commit are config.yaml, config.json, model.safetensors, metrics.json, manifest.json,
README.md (the model card, which you may edit before) and curve.png: no checkpoints, logs or code.
The hash of the commit is printed. It needs huggingface_hub (extra hub) and a token (hf auth login,
or HF_TOKEN); the hub is huggingface.co, or the one at HF_ENDPOINT.
""",
    "pull": """\
structnet pull from=OWNER/NAME[@REVISION] out=DIR: get a run that was shared on a hub

  from=OWNER/NAME[@REVISION]  the repository, and a branch, a tag or the hash of a commit (the
                              newest commit)
  out=DIR                     the folder, new or empty
  --plugin FILE               a Python file that registers your own components; may be repeated
  --traceback                 show where an error came from

Only the files of a run are fetched, none of them is executed, and their sizes are limited. They are
checked against the hub's checksums and the run's own. The hash of the commit is printed and written
to DIR/pulled.json: pulling OWNER/NAME@HASH gives the same files whatever is pushed later, and needs
no network the second time.
""",
}
