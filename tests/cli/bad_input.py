"""Bad command lines, configs and plugins.

    bad_input.py KILN PLUGIN_DIR
"""
import os
import re
import subprocess
import tempfile

from harness import KILN, PLUGINS, check, expect, finish, run, save

HEAD = "[model]\nplugin = good\n"


def describe(name, config, message, arguments=(), **options):
    expect(name, ["describe", "c.ini", *arguments], message, {"c.ini": config}, **options)


# --- usage --------------------------------------------------------------------
expect("no command", [], "expected a command (kiln --help lists them)")
expect("unknown command", ["modles"], "unknown command modles (did you mean models?)")
expect("foreign command", ["xyzzy"], "unknown command xyzzy (kiln --help lists them)")
expect("unknown option first", ["--verbose"], "unknown option --verbose (kiln --help)")
expect("unknown option", ["models", "--jsno"],
       "models: unknown option --jsno (did you mean --json?)")
expect("missing argument", ["describe"], re.compile(r"^describe: expected CONFIG"))
expect("too many arguments", ["models", "a", "b"], 'models: unexpected argument "b"')
expect("option without argument", ["models", "--plugin-dir"],
       "models: option --plugin-dir needs an argument")
expect("control characters", ["\033[31mred\n"],
       "unknown command ?[31mred? (kiln --help lists them)")

# --- the file -------------------------------------------------------------------
expect("missing file", ["describe", "nowhere.ini"],
       "nowhere.ini: cannot open: No such file or directory")
expect("directory without a run", ["describe", "."],
       ".: no checkpoint.safetensors in this directory, and no config.json of a model")
expect("fifo", ["describe", "fifo"], "fifo: is a FIFO, expected a file",
       prepare=lambda folder: os.mkfifo(os.path.join(folder, "fifo")))
expect("device", ["describe", "/dev/zero"], "/dev/zero: is a device, expected a file")


def large(folder):
    with open(os.path.join(folder, "large.ini"), "wb") as file:
        file.truncate(1 << 30)


expect("large file", ["describe", "large.ini"], re.compile(r"^large.ini: "), prepare=large)
describe("empty file", "",
         "c.ini: [model] plugin: not given ('kiln models' lists the plugins)")

# --- the text ---------------------------------------------------------------------
describe("long line", HEAD + "[train]\nsteps = " + "1" * 191 + "\n",
         "c.ini:4: line longer than 198 bytes")
describe("injection", HEAD + "[data]\nfolder = " + "x" * 185 + " [train] learning_rate=0.5\n",
         "c.ini:4: line longer than 198 bytes")
describe("1 MiB line", HEAD + "[data]\nfolder = " + "x" * 1000000,
         "c.ini:4: line longer than 198 bytes")
describe("NUL", HEAD.encode() + b"[train]\nsteps = 1\0 2\n", "c.ini:4: NUL byte")
describe("UTF-16", HEAD.encode("utf-16"), "c.ini:1: not UTF-8 text")
describe("lone CR", HEAD.replace("\n", "\r"), "c.ini:1: carriage return without a line feed")
describe("no ]", HEAD + "[train\nsteps = 1\n", "c.ini:3: expected ']' after the section's name")
describe("junk after ]", HEAD + "[train] steps\n", "c.ini:3: unexpected text after ']'")
describe("no name", HEAD + "[train]\n= 5\n", "c.ini:4: expected a key before '='")
describe("colon", HEAD + "[train]\nsteps: 5\n", "c.ini:4: expected 'key = value' or '[section]'")
describe("long section", HEAD + "[" + "s" * 50 + "]\n",
         "c.ini:3: [" + "s" * 50 + "]: a section's name is 1 to 49 letters, digits, '_' or '-'")
describe("duplicate section", HEAD + "[train]\n[data]\n[train]\n",
         "c.ini:5: [train]: duplicate section (the first is in line 3)")
describe("duplicate key", HEAD + "[train]\nsteps = 1\n\nsteps = 2\n",
         "c.ini:6: [train] steps: duplicate key (the first is in line 4)")

# --- keys and values ------------------------------------------------------------------
describe("unknown key", HEAD + "[train]\nbatch_sise = 3\n",
         "c.ini:4: [train] batch_sise: unknown key (did you mean batch_size?)")
describe("unknown section", HEAD + "[trian]\nsteps = 3\n",
         "c.ini:4: [trian] steps: unknown section (did you mean [train]?)")
describe("wrong section", HEAD + "[network]\nsteps = 3\n",
         re.compile(r"c.ini:4: \[network\] steps: unknown key \(did you mean \[\w+\] steps\?\)"))
for text in ("abc", "1.5", "0x10", "1e3", "", "1 2", "99999999999999999999", "-1", "0", "nan"):
    describe(f"batch_size {text!r}", HEAD + f"[train]\nbatch_size = {text}\n",
             f'c.ini:4: [train] batch_size: expected a whole number in 1..1048576, got "{text}"')
for text in ("1e999", "nan", "inf", "-inf", "0x1p3", "0,5", "1e", "--1", "1 x", "1#x"):
    describe(f"ema_decay {text!r}", HEAD + f"[train]\nema_decay = {text}\n",
             f'c.ini:4: [train] ema_decay: expected a number in 0..1, got "{text}"')
describe("choice", HEAD + "[train]\noptimizer = adamm\n",
         'c.ini:4: [train] optimizer: expected one of sgd, adam, adamw, rmsprop, got "adamm"')
describe("plugin's range", HEAD + "[network]\nwidth = 10\n",
         'c.ini:4: [network] width: expected a whole number in 1..9, got "10"')
describe("steps and epochs", HEAD + "[train]\nepochs = 1\nsteps = 2\n",
         "c.ini:5: [train] steps: epochs is given too (c.ini:4); one of the two must go")
describe("indented key counts", HEAD + "[train]\nsteps = 1\n  batch_size = 0\n",
         'c.ini:5: [train] batch_size: expected a whole number in 1..1048576, got "0"')
describe("locale", HEAD + "[train]\nema_decay = 0,5\n",
         'c.ini:4: [train] ema_decay: expected a number in 0..1, got "0,5"',
         env={"LC_ALL": "de_DE.UTF-8"})

# --- overrides and includes --------------------------------------------------------------
describe("--set without =", HEAD, '--set: expected section.key=value, got "train.steps"',
         ["--set", "train.steps"])
describe("--set without section", HEAD, '--set: expected section.key=value, got "steps=1"',
         ["--set", "steps=1"])
describe("--set of an unknown key", HEAD, "--set: [train] stps: unknown key (did you mean steps?)",
         ["--set", "train.stps=1"])
describe("--set out of range", HEAD,
         '--set: [train] batch_size: expected a whole number in 1..1048576, got "0"',
         ["--set", "train.batch_size=0"])
describe("--set with a newline", HEAD, re.compile(r"^--set: \[data\] folder: a value has"),
         ["--set", "data.folder=a\nb"])
describe("include itself", "include = c.ini\n" + HEAD,
         "c.ini:1: include: c.ini includes itself")
describe("include nothing", "include = none.ini\n" + HEAD,
         "c.ini:1: include: none.ini: cannot open: No such file or directory")
describe("late include", HEAD + "include = none.ini\n",
         "c.ini:3: [model] include: unknown key (an include stands before the first [section])")

# --- plugins -------------------------------------------------------------------------------
describe("no plugin", "[train]\nsteps = 1\n",
         "c.ini: [model] plugin: not given ('kiln models' lists the plugins)")
describe("unknown plugin", "[model]\nplugin = nothing\n",
         re.compile(r"^c.ini:2: \[model\] plugin: no plugin nothing; tried .*/nothing\.so, "))
describe("plugin's path", "[model]\nplugin = /bin/true\n",
         "c.ini:2: [model] plugin: \"/bin/true\" is no plugin's name (letters, digits, '_' and '-')")
for name, message in {
        "tiny": "its table has only 16 bytes",
        "abi2": "built for version 2 of the plugin interface, this program has 1",
        "other": "it calls itself good, not other",
        "no_symbol": "no symbol kiln_model_entry: not a module of Kiln",
        "undefined": "undefined symbol: kiln_no_such_function",
        "no_create": "its table lacks create or destroy"}.items():
    describe(f"plugin {name}", f"[model]\nplugin = {name}\n",
             f"c.ini:2: [model] plugin: {PLUGINS}/{name}.so: {message}")


def write_module(content):
    def prepare(folder):
        with open(os.path.join(folder, "broken.so"), "wb") as file:
            file.write(content)
    return prepare


with open(os.path.join(PLUGINS, "good.so"), "rb") as file:
    GOOD = file.read()
for name, content, message in (
        ("text", b"this is not a module\n" * 10, "not a shared module"),
        ("empty", b"", "not a shared module"),
        ("truncated", GOOD[:5000], "a truncated module")):
    expect(f"{name} plugin", ["models", "broken", "--plugin-dir", "."],
           f"./broken.so: {message}", prepare=write_module(content))


# --- what must work ---------------------------------------------------------------------------
with tempfile.TemporaryDirectory() as folder:
    save(folder, "bom.ini", b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode() + b"[train]\r\nsteps = 7 ; c\r\n")
    result = run(folder, ["describe", "bom.ini", "--config-only"])
    check("BOM and CRLF", result.returncode == 0 and b"\nsteps = 7 " in result.stdout, result)
    save(folder, "again.ini", result.stdout)
    again = run(folder, ["describe", "again.ini", "--config-only", "--json"])
    check("describe's text is a config", again.returncode == 0 and b'"steps": 7' in again.stdout,
          again)
    result = run(folder, ["describe", "bom.ini", "--config-only"], env={"LC_ALL": "de_DE.UTF-8"})
    check("locale", b"learning_rate = 1e-3" in result.stdout, result)

    # closed descriptors, a full disk, a reader that goes away, odd terminals
    for close in ("0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"):
        status = subprocess.run(["/bin/sh", "-c", f'"$0" describe bom.ini --config-only {close}', KILN],
                                cwd=folder, env=dict(os.environ, KILN_PLUGIN_PATH=PLUGINS),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
        check(f"closed {close}", status == 0, status)
    result = subprocess.run(["/bin/sh", "-c", '"$0" describe bom.ini --config-only >/dev/full', KILN], cwd=folder,
                            env=dict(os.environ, KILN_PLUGIN_PATH=PLUGINS), stderr=subprocess.PIPE)
    check("full disk", result.returncode == 1 and
          result.stderr == b"kiln: stdout: No space left on device\n", result)
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([KILN, "models", "good"], stdout=write, stderr=subprocess.PIPE,
                            env=dict(os.environ, KILN_PLUGIN_PATH=PLUGINS))
    os.close(write)
    check("closed pipe", result.returncode == 0 and not result.stderr, result)
    result = run(folder, ["models"], env={"TERM": "", "HOME": "/nonexistent"})
    check("plugins that crash are left out", result.returncode == 0 and
          b"crashes when it is loaded" in result.stderr and b"\ngood " in b"\n" + result.stdout,
          result)
    result = run(folder, ["models", "--json"])
    check("one JSON object", result.stdout.startswith(b'{"models": [') and
          result.stdout.count(b"\n") == 1, result)

finish()
