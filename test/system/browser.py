"""Chromium without a window, which trusts one certificate authority and finds every name on this machine."""
import html
import os
import subprocess
from pathlib import Path

SECONDS = 60
WINDOW = "1000,700"


class Browser:
    """Lives in a folder: its profile, and a home whose one authority is `authority`, a PEM file."""

    def __init__(self, folder, authority):
        self.folder = Path(folder)
        self.home = self.folder / "home"
        database = f"sql:{self.home}/.pki/nssdb"
        (self.home / ".pki/nssdb").mkdir(parents=True)
        for options in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "authority", "-i", str(authority)]):
            subprocess.run(["certutil", "-d", database, *options], check=True, capture_output=True, timeout=SECONDS)

    def visit(self, url, picture=None):
        """The page as it is when its scripts have run, as HTML; and as a PNG file, if one is named."""
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                   f"--user-data-dir={self.folder}/profile", "--host-resolver-rules=MAP * 127.0.0.1",
                   "--virtual-time-budget=20000", f"--window-size={WINDOW}", "--dump-dom",
                   *([f"--screenshot={picture}"] if picture else [])]
        result = subprocess.run([*command, url], env={**os.environ, "HOME": str(self.home)}, timeout=SECONDS,
                                capture_output=True, text=True, check=True)
        return result.stdout

    def form(self, action, **fields):
        """The URL of a page that posts a form to `action` as soon as it is seen, as a player who logs in does."""
        inputs = "".join(f'<input name="{name}" value="{html.escape(value)}">' for name, value in fields.items())
        page = self.folder / "form.html"
        page.write_text(f'<form method="post" action="{html.escape(action)}">{inputs}</form>'
                        "<script>document.forms[0].submit()</script>")
        return page.as_uri()
