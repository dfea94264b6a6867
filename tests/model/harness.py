"""Running kiln and reading its files, for the tests of whole runs."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib

KILN, CONFIGS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
TINY = os.path.join(CONFIGS, "tiny-vae.ini")
failures = []


def kiln(*arguments, status=0, **options):
    """Runs kiln; a different exit status ends the test program."""
    result = subprocess.run([KILN, *map(str, arguments)], timeout=300, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    if result.returncode != status:
        sys.exit(f"kiln {' '.join(map(str, arguments))}: exit status {result.returncode}, "
                 f"expected {status}\n{result.stderr.decode(errors='replace')}")
    result.text = result.stderr.decode(errors="replace")
    return result


def check(condition, what):
    if not condition:
        failures.append(what)
        print("FAIL", what, file=sys.stderr)


def fails(name, arguments, *words, status=2, **options):
    """One line on stderr that holds the words, nothing on stdout."""
    result = kiln(*arguments, status=status, **options)
    check(result.stdout == b"", f"{name}: stdout is not empty")
    check(result.text.count("\n") == 1 and result.text.startswith("kiln: "),
          f"{name}: not one line: {result.text!r}")
    for word in words:
        check(word in result.text, f"{name}: {word!r} is not in {result.text!r}")


def devices():
    """cpu, and the first OpenCL device if there is one."""
    known = json.loads(kiln("devices", "--json").stdout)
    names = [device["name"] for device in known["devices"]]
    return [name for name in ("cpu", "opencl:0") if name in names]


def small(device, out, steps, *more):
    """Arguments of a short training run that is the same everywhere."""
    settings = {"data.n_train": 300, "data.n_test": 50, "train.batch_size": 16,
                "train.log_every": 5, "train.checkpoint_every": 10, "train.sample_every": 20}
    sets = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["train", TINY, "--device", device, "--out", out, "--steps", steps, "--no-tune",
            "--quiet", *sets, *more]


def read(path):
    with open(path, "rb") as file:
        return file.read()


def tensors(path):
    """{name: (dtype, shape, bytes)}, metadata of a safetensors file."""
    data = read(path)
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    base = 8 + length
    return {name: (entry["dtype"], entry["shape"],
                   data[base + entry["data_offsets"][0]:base + entry["data_offsets"][1]])
            for name, entry in header.items()}, metadata


def write_tensors(path, entries, metadata=None):
    header, body = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


def floats(entry):
    return struct.unpack(f"<{len(entry[2]) // 4}f", entry[2])


def png_chunks(path):
    data, at = read(path), 8
    check(data[:8] == b"\x89PNG\r\n\x1a\n", f"{path}: not a PNG file")
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        yield kind.decode(), data[at + 8:at + 8 + length]
        at += 12 + length


def png_texts(path):
    texts = {}
    for kind, data in png_chunks(path):
        if kind == "tEXt":
            key, value = data.split(b"\0", 1)
            texts[key.decode()] = value.decode("latin-1")
    return texts


def write_png(path, rows):
    """rows of grey values, or of (red, green, blue)."""
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    colour = not isinstance(rows[0][0], int)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 2 if colour else 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(value for pixel in row for value in (pixel if colour else [pixel]))
                      for row in rows)
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                   + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


def folder():
    return tempfile.TemporaryDirectory(prefix="kiln-model-")


def finish():
    print(f"{len(failures)} failures")
    sys.exit(1 if failures else 0)
