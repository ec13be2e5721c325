"""`python -m include.leadsync COMMAND`."""

import sys

from include.leadsync.cli import main

if __name__ == "__main__":
    sys.exit(main())
