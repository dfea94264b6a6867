#!/usr/bin/env python3
"""Makes the seeds of all targets but ini: corpus/TARGET/*.

Run by hand after a target's input format has changed; the tests only read the
files. Findings of the fuzzer are added beside them under other names.
"""
import gzip
import json
import math
import os
import struct
import zipfile
import zlib

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def seed(target, name, data):
    folder = os.path.join(HERE, target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors(name, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    seed("safetensors", name, b"\1" + struct.pack("<H", len(text)) + text + data)


def make_safetensors():
    f32 = tensor("F32", [1], 0, 4)
    safetensors("empty", {})
    safetensors("padded", b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   ', b"x")
    safetensors("metadata", {"__metadata__": {"step": "7", "format": "pt"}, "a": f32}, b"1234")
    safetensors("scalar", {"a": tensor("I64", [], 0, 8)}, bytes(8))
    safetensors("no_elements", {"a": tensor("F32", [2, 0], 0, 0)})
    sizes = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "I16": 2, "U16": 2,
             "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8,
             "C64": 8}
    header, end = {}, 0
    for dtype, size in sizes.items():
        header[dtype.lower()] = tensor(dtype, [3], end, end + 3 * size)
        end += 3 * size
    safetensors("every_dtype", header, bytes(i * 37 % 256 for i in range(end)))
    safetensors("hole", {"a": f32, "b": tensor("F32", [1], 8, 12)}, bytes(12))
    safetensors("overlap", {"a": f32, "b": tensor("F32", [1], 2, 6)}, bytes(6))
    safetensors("reversed", {"a": tensor("F32", [1], 4, 0)}, bytes(4))
    safetensors("trailing", {"a": f32}, bytes(5))
    safetensors("short", {"a": f32}, bytes(3))
    safetensors("product", {"a": tensor("U8", [1 << 32, 1 << 32], 0, 0)})
    safetensors("rank_9", {"a": tensor("U8", [1] * 9, 0, 1)}, b"x")
    safetensors("duplicate", b'{"a":1,"a":1}')
    safetensors("deep", b'{"a":' + b"[" * 3000)
    safetensors("bad_utf8", b'{"a\xff":1}')
    safetensors("not_json", b"{hello")
    whole = json.dumps({"a": f32}).encode()
    seed("safetensors", "raw_good", b"\0" + struct.pack("<Q", len(whole)) + whole + bytes(4))
    seed("safetensors", "raw_huge_header", b"\0" + b"\xff" * 8 + b"{}")
    seed("safetensors", "raw_no_header", b"\0" + bytes(8) + b"{}")


def idx(shape, data, kind=8):
    head = bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape)
    return head + data


def make_idx():
    pictures = idx([3, 4, 5], bytes(range(60)))
    colour = idx([2, 2, 2, 3], bytes(range(24)))
    labels = idx([10], bytes(range(10)))
    for name, data, kind in (("pictures", pictures, 0), ("colour", colour, 0),
                             ("labels", labels, 1)):
        seed("idx", name, bytes([kind]) + data)
        seed("idx", name + "_packed", bytes([kind | 2]) + data)
        seed("idx", name + "_gzip", bytes([kind]) + gzip.compress(data, mtime=0))
    packed = gzip.compress(pictures, mtime=0)
    seed("idx", "cut", b"\0" + packed[:-6])
    seed("idx", "bad_crc", b"\0" + packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:])
    seed("idx", "garbage", b"\0" + packed + b"garbage")
    seed("idx", "two_members", b"\0" + gzip.compress(pictures[:30], mtime=0)
         + gzip.compress(pictures[30:], mtime=0))
    seed("idx", "surplus", b"\0" + pictures + b"x")
    seed("idx", "overflow", b"\0" + idx([0xFFFFFFFF] * 4, b""))
    seed("idx", "bomb", b"\0" + gzip.compress(pictures + bytes(1 << 20), mtime=0))
    seed("idx", "floats", b"\0" + idx([1, 1, 1], bytes(4), kind=0x0D))
    seed("idx", "empty_extent", b"\0" + idx([0, 4, 5], b""))


def chunk(name, data):
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, colour, interlace, raw, extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
            + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def make_png():
    def rows(bytes_a_row, height):
        return b"".join(bytes([y % 5]) + bytes((y * 31 + x * 7) % 256 for x in range(bytes_a_row))
                        for y in range(height))

    palette = chunk(b"PLTE", bytes(range(48)))
    files = {
        "grey_1": png(9, 4, 1, 0, 0, rows(2, 4)),
        "grey_4": png(5, 4, 4, 0, 0, rows(3, 4)),
        "grey_8": png(6, 5, 8, 0, 0, rows(6, 5)),
        "grey_16": png(4, 4, 16, 0, 0, rows(8, 4)),
        "rgb_8": png(5, 5, 8, 2, 0, rows(15, 5)),
        "rgb_16": png(3, 3, 16, 2, 0, rows(18, 3)),
        "palette_4": png(6, 3, 4, 3, 0, rows(3, 3), palette),
        "palette_alpha": png(6, 3, 4, 3, 0, rows(3, 3), palette + chunk(b"tRNS", b"\0\x80")),
        "no_palette": png(6, 3, 4, 3, 0, rows(3, 3)),
        "grey_alpha": png(4, 4, 8, 4, 0, rows(8, 4)),
        "rgb_alpha": png(4, 4, 8, 6, 0, rows(16, 4)),
        "grey_key": png(4, 4, 8, 0, 0, rows(4, 4), chunk(b"tRNS", b"\0\x07")),
        "interlaced": png(4, 4, 8, 2, 1, bytes(60)),
        "text": png(2, 2, 8, 0, 0, rows(2, 2), chunk(b"tEXt", b"Comment\0hello")
                    + chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"hello"))
                    + chunk(b"iTXt", b"Comment\0\0\0\0\0hello")
                    + chunk(b"gAMA", bytes([0, 0, 1, 0]))),
        "profile": png(2, 2, 8, 0, 0, rows(2, 2),
                       chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(140)))),
        "huge": png(16384, 16384, 8, 2, 0, rows(4, 4)),
        "zero": png(0, 4, 8, 2, 0, rows(4, 4)),
        "few_rows": png(8, 8, 8, 0, 0, rows(8, 3)),
        "many_rows": png(4, 2, 8, 0, 0, rows(4, 60)),
    }
    for name, data in files.items():
        seed("png", name, b"\1" + data)
    seed("png", "raw", b"\0" + files["grey_8"])
    seed("png", "bad_crc", b"\0" + files["grey_8"][:-20] + b"xxxx" + files["grey_8"][-16:])
    seed("png", "cut", b"\1" + files["rgb_8"][:-30])
    seed("png", "text_file", b"\0hello, world")


def make_torch():
    for name in ("plain", "strided", "list", "evil"):
        path = os.path.join(HERE, "..", "..", "golden", f"torch-{name}.pth")
        with open(path, "rb") as file:
            seed("torch", f"file_{name}", b"\0" + file.read())
        with zipfile.ZipFile(path) as archive:
            pickle = next(entry for entry in archive.namelist() if entry.endswith("data.pkl"))
            seed("torch", name, b"\1" + archive.read(pickle))
    for name, pickle in {
            "itself": b"]q\0" + b"h\0a" * 50 + b".",
            "dict_of_itself": b"}q\0X\1\0\0\0ah\0s.",
            "no_stop": b"\x80\x02}",
            "marks": b"(" * 500 + b"t" * 500,
            "huge_memo": b"}r\xff\xff\xff\x7f.",
            "huge_text": b"X\xff\xff\xff\xffa.",
            "long": b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f.",
            "global": b"cos\nsystem\nX\2\0\0\0ls\x85R."}.items():
        seed("torch", name, b"\1\x80\x02" + pickle)


def make_folder():
    golden = os.path.join(HERE, "..", "..", "golden", "diffusers")
    for kind, name in enumerate(("unet/config.json", "scheduler/scheduler_config.json",
                                 "model_index.json")):
        with open(os.path.join(golden, name), "rb") as file:
            seed("folder", os.path.basename(name), bytes([kind]) + file.read())
    for i, scheduler in enumerate(("DDIM", "PNDM", "DPMSolverMultistep", "HeunDiscrete",
                                   "EulerDiscrete", "EulerAncestralDiscrete", "LCM")):
        seed("folder", f"scheduler_{i}", b"\1" + json.dumps(
            {"_class_name": scheduler + "Scheduler", "beta_end": 0.5, "steps_offset": 1,
             "timestep_spacing": "trailing", "lambda_min_clipped": -math.inf}).encode())
    net = {"_class_name": "UNet2DModel", "sample_size": [8, 16], "in_channels": 1,
           "out_channels": 1, "norm_num_groups": 4, "block_out_channels": [4, 8],
           "down_block_types": ["AttnDownBlock2D", "DownBlock2D"],
           "up_block_types": ["UpBlock2D", "UpBlock2D"], "attention_head_dim": None}
    for name, change in {"classes": {"num_class_embeds": 11, "class_embed_type": "timestep"},
                         "types": {"layers_per_block": "2"}, "list": {"dropout": [0, 1]},
                         "names": {"down_block_types": ["a,b", 1, None]},
                         "levels": {"block_out_channels": [4] * 20},
                         "unknown": {"mine": {"a": [1]}}, "huge": {"layers_per_block": 1 << 62},
                         "no_class": {"_class_name": None}}.items():
        seed("folder", name, b"\0" + json.dumps({**net, **change}).encode())


if __name__ == "__main__":
    make_safetensors()
    make_idx()
    make_png()
    make_torch()
    make_folder()
