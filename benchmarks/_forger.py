"""Model files that are damaged, or forged by structure with right checksums."""

import hashlib
import json
import struct

import numpy as np
import safetensors.torch
import torch

# What may stand anywhere in the facts instead of what should.
ODD = (
    *(0, -1, 1, 2, 3, 7, 64, 10**6, 10**12, 2**63, 10**30, 10**400),
    *(0.0, -0.0, 0.5, -1.5, 1e-320, 1e-300, 1e300, 1e-12, 3.0),
    *(float("nan"), float("inf"), -float("inf"), None, True, False),
    *("", "os.system", "nan", "float32", "<f8", "O", "\ud800", "\x00", "é", "1"),
    *([], [1], ["a"], [[]], {}, {"float": "nan"}, {"float": "x"}, {"a": 1}),
    *({"tuple": [4]}, {"list": ["l1"]}, {"dict": {}}, {"tensor": "start.mean"}),
    *({"named": "os:system"}, {"named": "torch.optim.SGD"}, {"device": "cuda"}),
    *({"named": "torch.optim.Optimizer"}, {"named": "Huber"}, {"device": "meta"}),
    {"part": "SparsityPenalty", "parameters": {"alpha": 0.1}},
    {"part": "Sum", "parameters": {"penalties": {"list": []}}},
    {"part": "GaussianMixture", "parameters": {"n_components": 2}},
    {"part": "os:system", "parameters": {"command": "true"}},
)


def taken_apart(data):
    """Return the facts and the arrays of a file."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["skae"])
    return facts, safetensors.torch.load(data)


def put_together(facts, arrays):
    """Return a file, its checksums right whatever it says."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        x = arrays[name]
        total.update(f"{name} {x.dtype} {tuple(x.shape)}\n".encode())
        total.update(x.reshape(-1).view(torch.uint8).numpy())
    if "sha256" in facts:
        facts = {**facts, "sha256": total.hexdigest()}
    text = json.dumps(facts)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return safetensors.torch.save(arrays, {"skae": text, "skae_sha256": digest})


def damaged(data, rng):
    """Return the file with a piece of it changed."""
    data, (a, b) = bytearray(data), sorted(rng.integers(len(data), size=2))
    b = min(b, a + int(rng.integers(1, 64)))
    way = rng.integers(8)
    if way == 0:
        data[a] ^= 1 << rng.integers(8)
    elif way == 1:
        data[a] = rng.integers(256)
    elif way == 2:
        del data[a:b]
    elif way == 3:
        data[a:a] = data[a:b]
    elif way == 4:
        data[a:b] = bytes(b - a)
    elif way == 5:
        data[a:b] = data[a:b][::-1]
    elif way == 6:
        del data[a:]
    else:
        data += rng.bytes(int(rng.integers(1, 64)))
    return bytes(data)


class Forger:
    """Changes what files say, by structure.

    Parameters
    ----------
    files : list of bytes
        What may be said elsewhere is taken from them.

    rng : np.random.Generator
    """

    def __init__(self, files, rng):
        self.rng = rng
        self.all_facts = [taken_apart(data)[0] for data in files]
        self.words = sorted(
            {word for facts in self.all_facts for word in _words(facts)}
        )

    def __call__(self, data):
        """Return another file, and whether an array has other values."""
        facts, arrays = taken_apart(data)
        is_filled = False
        for _ in range(self.one_of([1, 1, 1, 2, 3])):
            if self.rng.random() < 0.75:
                self.change_facts(facts)
            else:
                is_filled |= self.change_arrays(arrays)
        return put_together(facts, arrays), is_filled

    def one_of(self, values):
        return values[self.rng.integers(len(values))]

    def change_facts(self, facts):
        """Change one value, key or entry, wherever it stands."""
        holder, key, path = facts, None, []
        while isinstance(holder, (dict, list)) and len(holder):
            key = self.one_of(
                list(holder) if isinstance(holder, dict) else range(len(holder))
            )
            path.append(key)
            is_last = not isinstance(holder[key], (dict, list)) or not holder[key]
            if is_last or self.rng.random() < 0.2:
                break
            holder = holder[key]
        if not path:
            return
        way = self.rng.integers(9)
        if way == 0:
            del holder[key]
        elif way == 1:
            holder[key] = self.of_another(path, holder[key])
        elif way == 2 and isinstance(holder, dict):
            holder[self.one_of(["", "a", "\ud800", self.one_of(self.words)])] = (
                holder.pop(key)
            )
        elif way == 3:
            other = self.one_of(
                list(holder) if isinstance(holder, dict) else range(len(holder))
            )
            holder[key], holder[other] = holder[other], holder[key]
        elif way == 4 and isinstance(holder, dict):
            holder[self.one_of(self.words)] = self.one_of(ODD)
        elif way == 4:
            holder.insert(key, holder[key])
        elif way in (5, 6):
            holder[key] = self.near(holder[key])
        else:
            holder[key] = self.one_of(ODD)

    def of_another(self, path, value):
        """Return what another file says in that place."""
        for _ in range(5):
            found = self.one_of(self.all_facts)
            try:
                for key in path:
                    found = found[key]
            except (KeyError, IndexError, TypeError):
                continue
            if found != value:
                return json.loads(json.dumps(found))
        return self.one_of(ODD)

    def near(self, value):
        """Return another value of its type, or one that is written like it."""
        if isinstance(value, bool):
            return self.one_of([not value, int(value)])
        if isinstance(value, int) and abs(value) > 1e300:
            return -value
        if isinstance(value, (int, float)):
            others = [value + 1, value - 1, -value, str(value), [value], float(value)]
            others += [value * factor for factor in (2, 0.5, 1e10, 1e-10)]
            return self.one_of([*others, int(value) if abs(value) < 1e300 else 0])
        if isinstance(value, str):
            return self.one_of(
                [self.one_of(self.words), value.upper(), value + "\ud800", [value]]
            )
        if isinstance(value, list):
            return self.one_of(
                [value[:-1], value[::-1], value * 2, dict.fromkeys(map(str, value))]
            )
        return [value] if value is None else [list(pair) for pair in value.items()]

    def change_arrays(self, arrays):
        """Change one array or its name; return whether its values are others."""
        name = self.one_of(sorted(arrays))
        x, way = arrays[name], self.rng.integers(8)
        if way == 0:
            del arrays[name]
        elif way == 1:
            arrays[self.one_of(["a", "start.components", name + ".x"])] = x.clone()
        elif way == 2:
            other = self.one_of(sorted(arrays))
            arrays[name], arrays[other] = arrays[other], x
        elif way == 3:
            arrays[name] = self.one_of(
                [
                    x.reshape(-1),
                    x[None],
                    x.reshape(-1)[:1],
                    x.T if x.dim() == 2 else x[None],
                ]
            )
        elif way == 4:
            arrays[name] = x.to(
                self.one_of([torch.float32, torch.float64, torch.int64, torch.bool])
            )
        elif way == 5 and x.dtype in (torch.float32, torch.float64):
            arrays[name] = x.view(
                torch.int32 if x.dtype == torch.float32 else torch.int64
            )
        else:
            return self.fill(arrays, name)
        arrays.update({name: x.contiguous() for name, x in arrays.items()})
        return False

    def fill(self, arrays, name):
        """Put odd values into an array."""
        x = arrays[name] = arrays[name].clone()
        if x.numel() == 0:
            return False
        odd = self.one_of([0, -1, 1, 1e-300, 1e30, float("nan"), float("inf")])
        odd = odd if x.is_floating_point() else int(np.clip(np.nan_to_num(odd), 0, 255))
        place = slice(None) if self.rng.random() < 0.5 else self.rng.integers(x.numel())
        x.view(-1)[place] = odd
        return True


def _words(value):
    """Yield all words and keys in nested lists and dicts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for one in value:
            yield from _words(one)
        if isinstance(value, dict):
            for one in value.values():
                yield from _words(one)
