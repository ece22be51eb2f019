"""`python3 -m onebox.check [PATH...]`."""
import sys

from onebox.check.command import main

sys.exit(main(sys.argv[1:]))
