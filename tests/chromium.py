"""A page in a real browser, headless: what a script found there, and what the console said."""

import html
import json
import re
import shutil
import subprocess

MISSING = "" if shutil.which("chromium") else "no chromium here (apt-get install chromium)"


def drive(page, script, folder):
    """Open a copy of the page from the disk with `script` (the body of a function) at its end.

    Returns what the function returned (JSON), and the lines of the console.
    """
    driver = (
        "<script>addEventListener('load', () => { const found = document.createElement('pre'); found.id = 'found';"
        f"found.textContent = JSON.stringify((() => {{ {script} }})()); document.body.append(found); }});</script>"
    )
    copy = folder / "driven.html"
    copy.write_text(page.read_text().replace("</body>", driver + "</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    command += [f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000", "--dump-dom", copy.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, (console, done.stdout[-500:])
    return json.loads(html.unescape(found[1])), console
