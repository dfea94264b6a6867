"""kiln report: the page of a run is one file, well formed, and escapes what it shows.

report.py KILN CONFIG_DIR
"""
import html.parser
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

kiln, configs = sys.argv[1], pathlib.Path(sys.argv[2])
VOID = {"meta", "img", "br", "link"}


def run(*arguments):
    return subprocess.run([kiln, *arguments], capture_output=True, text=True, timeout=300)


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


class Page(html.parser.HTMLParser):
    """Checks that elements nest, and collects attributes that could load something."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.references, self.text = [], [], [], ""
        self.feed(text)
        check(not self.open, f"elements are closed: {self.open}")

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for key, value in attributes if key in ("src", "href", "srcset")]
        check(not any(key.startswith("on") for key, _ in attributes), "no handlers")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        check(self.open and self.open.pop() == tag, f"</{tag}> closes what is open")

    def handle_data(self, data):
        self.text += data


def check_page(path):
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    check("script" not in page.tags and "link" not in page.tags, "no scripts, no links")
    check(all(value.startswith("data:image/png;base64,") for value in page.references),
          "everything is inside")
    check("prefers-color-scheme:dark" in text, "follows light and dark")
    check(not re.search(r"url\(|@import|nan|inf[\" ]", text), "no outside files, no odd numbers")
    return page


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    out = folder / "run"
    result = run("train", str(configs / "tiny-vae.ini"), "--out", str(out), "--device", "cpu", "--no-tune",
                 "--steps", "6", "--quiet", "--set", "train.log_every=1", "--set", "train.sample_every=3",
                 "--set", "sample.n=4")
    check(result.returncode == 0, result.stderr)
    result = run("report", f"{out}/")
    check(result.returncode == 0 and result.stdout == f"{out}/report.html\n", result)
    page = check_page(out / "report.html")
    check(len(page.references) == 2 and "step 3" in page.text and "step 6" in page.text, "both grids")
    for word in ("reconstruction", "learning rate", "images per second", "encoder.0.weight",
                 "latent_size", "Trained on cpu"):
        check(word in page.text, f"the page tells {word}")
    check("optim." not in page.text, "moments are not parameters")

    # a run that is still training, with hostile words in every place
    odd = folder / "<b>&amp;\"'"
    odd.mkdir()
    evil = "</title><script>alert(1)</script>"
    (odd / "log.jsonl").write_text(
        "".join(json.dumps({"step": i, evil: 1.0 / i, "lr": 0.1, "images_per_s": 5}) + "\n" for i in range(1, 99)))
    (odd / "config.ini").write_text(f"[{evil}]\nkey{evil} = {evil}\n")
    (odd / "samples-7.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"<script>" * 9)
    target = folder / "odd.html"
    result = run("report", str(odd), "-o", str(target))
    check(result.returncode == 0, result.stderr)
    page = check_page(target)
    check(page.text.count("alert(1)") >= 4 and "bad PNG" in page.text, "shown, not obeyed")

    before = target.read_bytes()
    (odd / "log.jsonl").write_text("no log\n")
    (folder / "empty").mkdir()
    for where in (odd, folder / "empty", folder / "missing", configs / "vae.ini"):
        result = run("report", str(where), "-o", str(target))
        check(result.returncode == 2 and not result.stdout and result.stderr.count("\n") == 1, f"{where}: {result}")
    check(target.read_bytes() == before, "a failure leaves the old page")
    check(sorted(os.listdir(folder / "empty")) == [], "and no new file")
print("ok")
