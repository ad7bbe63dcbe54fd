"""`python -m structnet`, as torchrun starts it: the command line."""

import sys

from structnet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
