"""kiln report: the page of a run is one file, well formed, and escapes what it shows.

report.py KILN CONFIG_DIR
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from page import check, check_page

kiln, configs = sys.argv[1], pathlib.Path(sys.argv[2])
def run(*arguments):
    return subprocess.run([kiln, *arguments], capture_output=True, text=True, timeout=300)


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
