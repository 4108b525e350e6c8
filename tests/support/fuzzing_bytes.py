"""Damage bytes and texts: what disks, networks and people do to a file."""

import re
import zlib

INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
INTERESTING += ((1 << 63) - 1, (1 << 64) - 1, 1 << 40)


def damage(random, content, others=()):
    """Return `content` with one to six changes; `others` lend pieces."""
    data = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        if not data:
            break
        random.choice(_CHANGES)(random, data, others)
    return bytes(data)


def _place(random, data):
    """Choose a place, often near the beginning, seldom among zeros."""
    for _ in range(8):
        reach = min(len(data), random.choice((64, 1024, 8192, len(data))))
        place = random.randrange(reach)
        if data[place]:
            break
    return place


def _flip(random, data, _):
    data[_place(random, data)] ^= 1 << random.randrange(8)


def _set(random, data, _):
    data[_place(random, data)] = random.choice((0, 1, 0x7F, 0x80, 0xFF))


def _number(random, data, _):
    size, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    value = random.choice(INTERESTING) % (1 << 8 * size)
    place = _place(random, data)
    data[place : place + size] = value.to_bytes(size, order)


def _add(random, data, _):
    place = _place(random, data)
    data[place] = (data[place] + random.choice((1, 2, 4, 8, -1, -2, -8))) % 256


def _length(random):
    return random.choice((1, 2, 4, 8, 64, 512, 4096))


def _delete(random, data, _):
    place = _place(random, data)
    del data[place : place + _length(random)]


def _repeat(random, data, _):
    place, n = _place(random, data), _length(random)
    data[place:place] = data[place : place + n] * random.choice((1, 2, 9))


def _copy(random, data, _):
    source, target, n = _place(random, data), _place(random, data), _length(random)
    data[target : target + n] = data[source : source + n]


def _zero(random, data, _):
    place, n = _place(random, data), _length(random)
    data[place : place + n] = bytes(len(data[place : place + n]))


def _scatter(random, data, _):
    place, n = _place(random, data), min(64, _length(random))
    data[place : place + n] = random.randbytes(n)


def _truncate(random, data, _):
    del data[random.randrange(len(data)) :]


def _splice(random, data, others):
    if others:
        other = random.choice(others)
        start, n = random.randrange(len(other)), _length(random)
        place = _place(random, data)
        data[place : place + n] = other[start : start + n]


_CHANGES = (_flip, _flip, _set, _number, _number, _add, _delete, _repeat)
_CHANGES += (_copy, _zero, _scatter, _truncate, _splice)


def bomb(n_mib):
    """Return a zlib stream of so many MiB of zeros, in a thousandth of that."""
    packer = zlib.compressobj(9)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    # From a full flush on a stream depends on nothing before it.
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return head + piece * n_mib + packer.flush()


NUMBERS = ("0", "-1", "1e309", "1e-320", "nan", "inf", "-0.0", "0x10", "1_0", "²")
NUMBERS += ("9" * 400, "9" * 5000, "0x" + "f" * 5000, str(1 << 63), "1e400", "0.5")
WORDS = ("", "\0", "\n", "\x1b[2J", "\ud800", "\u2028", "é", "x" * 100_000, "../..")
WORDS += ("__import__('os').abort()", "!!python/object/apply:os.abort []", "{}", "[[")


def damage_text(random, text, words=()):
    """Return `text` with tokens changed for numbers and words that mean trouble."""
    for _ in range(random.choice((1, 1, 2, 4))):
        tokens = _tokens(text)
        place = random.randrange(len(tokens) + 1)
        drawn = random.choice((*NUMBERS, *WORDS, *words, *tokens[:50]))
        stop = place + random.choice((0, 1, 1, 1, 2))
        tokens[place:stop] = [drawn] * random.choice((1, 1, 1, 2, 50))
        text = "".join(tokens)[:1_000_000]
    return text


def _tokens(text):
    """Cut a text into words and single other characters."""
    return re.findall(r"\w+|\W", text)


def hostile_json(random, depth=0):
    """Return a text that JSON, or what takes it for JSON, may stumble over."""
    kinds = ("deep", "number", "word", "list", "object")
    kind = random.choice(kinds if depth < 3 else kinds[1:3])
    if kind == "deep":
        n = random.choice((50, 900, 3000, 100_000))
        opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
        return opening * n + "1" + closing * n * random.choice((0, 1))
    if kind == "number":
        return random.choice((*NUMBERS, "NaN", "Infinity", "true", "null"))
    if kind == "word":
        return '"' + random.choice(("\\ud800", "\\u0000", "\\u001b", "x")) + '"'
    parts = [hostile_json(random, depth + 1) for _ in range(random.randrange(4))]
    if kind == "list":
        return f"[{','.join(parts)}]"
    return "{" + ",".join(f'"k{i}":{part}' for i, part in enumerate(parts)) + "}"
