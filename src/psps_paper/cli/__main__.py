"""Let ``python -m psps_paper.cli`` run the command."""

import sys

from psps_paper.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
