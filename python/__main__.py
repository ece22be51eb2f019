"""`python FOLDER worker ...` or `zygote ...`: what Onebox starts of the app's Python."""
import sys

if sys.version_info < (3, 11):
    sys.exit("onebox: this Python is %d.%d; Onebox needs 3.11 or later" % sys.version_info[:2])
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    sys.exit("onebox: this Python is free-threaded, which Onebox does not support")

from onebox import worker, zygote  # noqa: E402

roles = {"worker": worker.main, "zygote": zygote.main}
sys.exit(roles[sys.argv[1]](sys.argv[1:]))
