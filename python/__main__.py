"""`python FOLDER worker ...`: what Onebox starts for each of its app workers; `python FOLDER
gunicorn ...` for a gunicorn.conf.py, once."""
import sys

if sys.version_info < (3, 11):
    sys.exit("onebox: this Python is %d.%d; Onebox needs 3.11 or later" % sys.version_info[:2])
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    sys.exit("onebox: this Python is free-threaded, which Onebox does not support")

if sys.argv[1:2] == ["worker"]:
    from onebox.worker import main  # noqa: E402
else:
    from onebox.gunicorn_report import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
