"""`python FOLDER worker ...` or `zygote ...`: what Onebox starts of the app's Python; `gunicorn ...` for a
gunicorn.conf.py, once; `check ...` is `onebox check`."""
import sys

if sys.version_info < (3, 11):
    sys.stderr.write("onebox: this Python is %d.%d; Onebox needs 3.11 or later\n" % sys.version_info[:2])
    sys.exit(2 if sys.argv[1:2] == ["check"] else 1)
if not getattr(sys, "_is_gil_enabled", lambda: True)():
    sys.exit("onebox: this Python is free-threaded, which Onebox does not support")

if sys.argv[1:2] == ["worker"]:
    from onebox.worker import main  # noqa: E402
elif sys.argv[1:2] == ["zygote"]:
    from onebox.zygote import main  # noqa: E402
elif sys.argv[1:2] == ["check"]:
    from onebox.check.command import main  # noqa: E402
    del sys.argv[1]  # as of python3 -m onebox.check
else:
    from onebox.gunicorn_report import main  # noqa: E402

sys.exit(main(sys.argv[1:]))
