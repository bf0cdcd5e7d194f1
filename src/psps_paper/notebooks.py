"""Execute chapters in place: ``python -m psps_paper.notebooks book``."""

import sys

from psps_paper.site.notebooks import main

if __name__ == "__main__":
    sys.exit(main())
