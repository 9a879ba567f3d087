"""The forward pass of Llama, Qwen 2 and Qwen 3 as their papers and reference code say it, in float64 and one row at a time,
for the tiny models of these tests. It shares nothing with the engine.

    cargo test -p aurora-local --test llama_cpp -- --write FOLDER
    python3 forward.py FOLDER > ../data/families.jsonl

Needs numpy. A line of the result: the model's name, the tokens read, the best next token after each, and the logits after
the last."""

import json
import pathlib
import struct
import sys

import numpy as np

IDS = [0, 119, 117, 103, 116, 12, 258, 34, 99, 99, 118, 2, 45, 259, 34, 200, 17, 80, 81, 5, 5, 5, 140, 33, 61, 77, 240, 1, 12, 0]
SIMPLE = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Gguf:
    """Metadata and F32 tensors of a file."""

    def __init__(self, path):
        self.data = path.read_bytes()
        self.at = 0
        magic, _, tensors, keys = self.take("<4sIQQ")
        assert magic == b"GGUF"
        self.metadata = {self.text(): self.value(self.take("<I")[0]) for _ in range(keys)}
        infos = []
        for _ in range(tensors):
            name = self.text()
            shape = self.take(f"<{self.take('<I')[0]}Q")
            kind, offset = self.take("<IQ")
            assert kind == 0, "only F32"
            infos.append((name, shape[::-1], offset))
        alignment = self.metadata.get("general.alignment", 32)
        start = -(-self.at // alignment) * alignment
        self.tensors = {
            name: np.frombuffer(self.data, "<f4", int(np.prod(shape)), start + offset).reshape(shape).astype(np.float64)
            for name, shape, offset in infos
        }

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def text(self):
        length = self.take("<Q")[0]
        self.at += length
        return self.data[self.at - length : self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            kind, count = self.take("<IQ")
            return [self.value(kind) for _ in range(count)]
        return self.take("<" + SIMPLE[kind])[0]


def norm(x, weight, epsilon):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + epsilon) * weight


def frequencies(gguf, prefix, width):
    """Radians a position, for each pair, and what turned values are multiplied with."""
    get = gguf.metadata.get
    base = get(prefix + "rope.freq_base", 10000.0)
    pairs = np.arange(width // 2)
    own = base ** (-2.0 * pairs / width)
    if "rope_freqs.weight" in gguf.tensors:
        own = own / gguf.tensors["rope_freqs.weight"]
    kind, factor = get(prefix + "rope.scaling.type"), get(prefix + "rope.scaling.factor", 1.0)
    if kind == "linear":
        return own / factor, 1.0
    if kind == "yarn":
        # Peng et al. 2023, section 3.2, with the authors' constants 32 and 1.
        original = get(prefix + "rope.scaling.original_context_length")
        turns = lambda times: width * np.log(original / (times * 2 * np.pi)) / (2 * np.log(base))
        low, high = max(np.floor(turns(32.0)), 0), min(np.ceil(turns(1.0)), width - 1)
        ramp = np.clip((pairs - low) / max(high - low, 0.001), 0, 1)
        return own / factor * ramp + own * (1 - ramp), 0.1 * np.log(factor) + 1.0
    return own, 1.0


def turn(heads, position, rates, magnitude, halves):
    cos, sin = np.cos(position * rates) * magnitude, np.sin(position * rates) * magnitude
    half = heads.shape[-1] // 2
    a, b = (heads[:, :half], heads[:, half:]) if halves else (heads[:, 0::2], heads[:, 1::2])
    turned = np.empty_like(heads)
    x, y = a * cos - b * sin, a * sin + b * cos
    if halves:
        turned[:, :half], turned[:, half:] = x, y
    else:
        turned[:, 0::2], turned[:, 1::2] = x, y
    return turned


def forward(gguf, ids):
    architecture = gguf.metadata["general.architecture"]
    prefix = architecture + "."
    get = lambda key, default=None: gguf.metadata.get(prefix + key, default)
    t = gguf.tensors
    width, heads, kv_heads = get("embedding_length"), get("attention.head_count"), get("attention.head_count_kv")
    head = get("attention.key_length", width // heads)
    epsilon = get("attention.layer_norm_rms_epsilon")
    rates, magnitude = frequencies(gguf, prefix, head)
    halves = architecture != "llama"
    past = [([], []) for _ in range(get("block_count"))]
    rows = []
    for position, token in enumerate(ids):
        x = t["token_embd.weight"][token]
        for block, (keys, values) in enumerate(past):
            w = lambda name: t[f"blk.{block}.{name}"]
            h = norm(x, w("attn_norm.weight"), epsilon)
            q, k, v = (
                (w(f"attn_{part}.weight") @ h + t.get(f"blk.{block}.attn_{part}.bias", 0.0)).reshape(-1, head) for part in "qkv"
            )
            if architecture == "qwen3":
                q, k = norm(q, w("attn_q_norm.weight"), epsilon), norm(k, w("attn_k_norm.weight"), epsilon)
            q, k = (turn(part, position, rates, magnitude, halves) for part in (q, k))
            keys.append(k)
            values.append(v)
            out = np.empty((heads, head))
            for index in range(heads):
                shared = index // (heads // kv_heads)
                scores = np.array([q[index] @ key[shared] for key in keys]) / np.sqrt(head)
                weights = np.exp(scores - scores.max())
                out[index] = (weights / weights.sum()) @ np.array([value[shared] for value in values])
            x = x + w("attn_output.weight") @ out.reshape(-1)
            h = norm(x, w("ffn_norm.weight"), epsilon)
            gate, up = w("ffn_gate.weight") @ h, w("ffn_up.weight") @ h
            x = x + w("ffn_down.weight") @ (gate / (1 + np.exp(-gate)) * up)
        rows.append(t.get("output.weight", t["token_embd.weight"]) @ norm(x, t["output_norm.weight"], epsilon))
    return np.array(rows)


for path in sorted(pathlib.Path(sys.argv[1]).glob("*.gguf")):
    logits = forward(Gguf(path), IDS)
    last = [round(float(x), 4) for x in logits[-1]]
    print(json.dumps({"name": path.stem, "ids": IDS, "best": logits.argmax(axis=1).tolist(), "last": last}, separators=(",", ":")))
