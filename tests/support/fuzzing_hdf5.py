"""Damage HDF5 files through HDF5: whole in form, wrong in what they hold."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
from fuzzing_bytes import WORDS, bomb, damage, hostile_json

_REFUSALS = (OSError, RuntimeError, ValueError, TypeError, LookupError)
_REFUSALS += (AttributeError, MemoryError, RuntimeWarning)
HUGE = (1 << 20, 1 << 34, 10**12, 1 << 50)
TYPES = ("f4", "f8", "f2", "i1", "u1", "i8", "u8", ">i8", ">f4", "S3", "S512", "c16")
TYPES += ("V8", "?", "(3,)i4", "(2,2)f8")


def mutate_hdf5(random, seeds, where):
    """Make an input from one of the ``.h5`` files in `seeds`.

    Half of them are damaged as bytes, of the oldest format as well, which has no
    checksums that would give the damage away.
    """
    chosen = random.choice(sorted(seeds.glob("*.h5")))
    path = where / chosen.name
    others = [chosen.read_bytes()]
    if random.random() < 0.5:
        path.write_bytes(damage(random, others[0], others))
        return path
    shutil.copy(chosen, path)
    _change(random, path)
    if random.random() < 0.1:
        path.write_bytes(damage(random, path.read_bytes(), others))
    return path


def in_oldest_format(source, target):
    """Copy a file into one whose metadata bear no checksums."""
    with h5py.File(source) as old, h5py.File(target, "w", libver="earliest") as new:
        new.attrs.update({n: v for n, v in old.attrs.items() if n != "REFERENCE_LIST"})
        for name in old:
            old.copy(name, new)


def _change(random, path):
    try:
        file = h5py.File(path, "r+")
    except OSError:
        # The file of a killed writer: its bytes can be damaged only.
        path.write_bytes(damage(random, path.read_bytes()))
        return
    with file:
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            try:
                _change_one(random, file)
            except _REFUSALS:
                continue  # What HDF5 does not let us write nobody has to read.


def _change_one(random, file):
    names = ["/"]
    file.visit(names.append)
    name = random.choice(names)
    if name == "/" or random.random() < 0.35:
        _change_attribute(random, file[name])
    else:
        random.choice(_CHANGES)(random, file, name)


def _delete(random, file, name):
    del file[name]


def _retype(random, file, name):
    shape = getattr(file[name], "shape", (3,))
    del file[name]
    kinds = [np.dtype(kind) for kind in TYPES]
    kinds += [np.dtype([("a", "u1"), ("b", "f8")]), h5py.string_dtype()]
    kinds += [h5py.ref_dtype, h5py.regionref_dtype, h5py.vlen_dtype("i4")]
    kinds += [h5py.enum_dtype({"no": 0, "yes": 1}, "u1"), h5py.string_dtype(length=9)]
    file.create_dataset(name, shape, dtype=random.choice(kinds))


def _reshape(random, file, name):
    old = file[name]
    shape, dtype = list(old.shape or ()), old.dtype
    change = random.choice(("huge", "longer", "axis", "scalar", "empty", "zero"))
    if change in ("huge", "longer", "zero") and shape:
        sizes = {"huge": random.choice(HUGE), "longer": shape[0] + 1, "zero": 0}
        shape[random.randrange(len(shape))] = sizes[change]
    elif change == "axis":
        shape.insert(random.randrange(len(shape) + 1), random.choice((1, 2, 1 << 40)))
    shape = () if change == "scalar" else shape
    del file[name]
    if change == "empty":
        file[name] = h5py.Empty(dtype)
        return
    chunks = random.choice((None, True)) if shape else None
    _recreate(file, name, shape=tuple(shape), dtype=dtype, chunks=chunks)


def _recreate(file, name, **options):
    old = dict(file[name].attrs) if name in file else {}
    if name in file:
        del file[name]
    file.create_dataset(name, **options).attrs.update(old)


def _resize(random, file, name):
    shape = list(file[name].shape)
    shape[random.randrange(len(shape))] = random.choice((0, 1, 7, *HUGE))
    file[name].resize(shape)


def _pretend(random, file, name):
    """Resize all datasets of a length alike: a lie that is consistent."""
    length, new = file[name].shape[0], random.choice((0, *HUGE))
    names = []
    file.visit(names.append)
    for other in names:
        found = file[other]
        if not isinstance(found, h5py.Dataset) or length not in (found.shape or ()):
            continue
        shape = tuple(new if n == length else n for n in found.shape)
        maxshape = tuple(None for _ in shape)
        chunks = tuple(min(n, 8) or 1 for n in shape)
        options = {"shape": shape, "maxshape": maxshape, "chunks": chunks}
        _recreate(file, other, dtype=found.dtype, **options)


def _revalue(random, file, name):
    data = file[name]
    content = bytearray(data[()].tobytes())
    values = np.frombuffer(damage(random, content)[: len(content)], np.uint8)
    padded = np.zeros(len(content), np.uint8)
    padded[: len(values)] = values
    data[()] = padded.view(data.dtype).reshape(data.shape)


def _extremes(random, file, name):
    data = file[name]
    if data.dtype.kind in "iu":
        limits = np.iinfo(data.dtype)
        value = random.choice((limits.min, limits.max, 0, 1, limits.max // 2))
    else:
        value = random.choice((np.nan, np.inf, -np.inf, -1.0, 1e308, 5e-324, 0.0))
    if data.shape:
        data[random.randrange(data.shape[0])] = value
    else:
        data[()] = value


def _link(random, file, name):
    del file[name]
    links = (h5py.SoftLink("/"), h5py.SoftLink(f"/{name}"), h5py.SoftLink("/worker"))
    links += (h5py.ExternalLink("other.h5", "/"), h5py.ExternalLink("/dev/zero", "/"))
    links += (h5py.ExternalLink(Path(file.filename).name, "/"),)
    file[name] = random.choice(links)


def _loop(random, file, name):
    parent = file[name].parent
    del file[name]
    file[name] = random.choice((parent, file["/"]))


def _swap(random, file, name):
    names = []
    file.visit(names.append)
    other = random.choice(names)
    file.move(name, "aside")
    file.move(other, name)
    file.move("aside", other)


def _rename(random, file, name):
    parent = file[name].parent
    odd = ("7" * 5000, "01", "-1", "a\nb", "\x1b[2J", "é", ".x", "x" * 60_000)
    parent.move(name.rpartition("/")[2], random.choice(odd))


def _group(random, file, name):
    del file[name]
    file.create_group(name)


def _named_type(random, file, name):
    del file[name]
    file[name] = np.dtype("i8")


def _virtual(random, file, name):
    old = file[name]
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource(Path(file.filename).name, f"/{name}", old.shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _external(random, file, name):
    old = file[name]
    shape, dtype = old.shape, old.dtype
    del file[name]
    source = random.choice(("/dev/zero", "/etc/passwd", "none"))
    file.create_dataset(name, shape, dtype, external=[(source, 0, h5py.h5f.UNLIMITED)])


def _filters(random, file, name):
    data = file[name][()]
    options = {"chunks": tuple(max(1, n // 2) for n in data.shape)}
    options |= random.choice(
        (
            {"compression": "gzip"},
            {"compression": "lzf", "shuffle": True},
            {"scaleoffset": 4},
            {"fletcher32": True},
        )
    )
    _recreate(file, name, data=data, **options)


def _bomb(random, file, name):
    """Let a chunk hold a stream that goes on far beyond it."""
    old = file[name]
    kind, shape = old.dtype, old.shape
    _recreate(file, name, shape=shape, dtype=kind, chunks=shape, compression="gzip")
    packed = bomb(random.choice((1, 400)))
    file[name].id.write_direct_chunk((0,) * len(shape), packed)


def _chunks(random, file, name):
    """Damage a chunk that is stored through a filter."""
    _filters(random, file, name)
    identity = file[name].id
    info = identity.get_chunk_info(random.randrange(identity.get_num_chunks()))
    mask, content = identity.read_direct_chunk(info.chunk_offset)
    content = damage(random, content)
    mask = random.choice((mask, 0, 1, 0xFFFFFFFF))
    identity.write_direct_chunk(info.chunk_offset, content, mask)


_CHANGES = (_delete, _retype, _reshape, _reshape, _resize, _pretend, _pretend)
_CHANGES += (_revalue, _revalue, _revalue, _extremes, _extremes, _extremes, _link)
_CHANGES += (_loop, _swap, _rename, _group, _named_type, _virtual, _external)
_CHANGES += (_filters, _bomb, _chunks, _chunks)


def _change_attribute(random, owner):
    names = list(owner.attrs)
    if not names or random.random() < 0.1:
        names = ["odd\nname", "é" * 3000, "extra"]
    name = random.choice(names)
    old = owner.attrs.get(name)
    if isinstance(old, str) and random.random() < 0.5:
        value = _other_text(random, old)
    else:
        value = random.choice(_odd_values())
    if name in owner.attrs:
        del owner.attrs[name]
    if value is not None:
        owner.attrs[name] = value


def _other_text(random, text):
    if text[:1] in ("{", "["):
        return _other_json(random, text)
    choice = random.randrange(3)
    if choice == 0:
        return hostile_json(random)
    if choice == 1:
        return random.choice([word for word in WORDS if "\0" not in word])
    return damage(random, text.encode()).replace(b"\0", b"")


def _other_json(random, text):
    """Replace one value of a JSON text, or all of it."""
    values = json.loads(text)
    if not values or random.random() < 0.2:
        return hostile_json(random)
    keys = list(values) if isinstance(values, dict) else range(len(values))
    values[random.choice(keys)] = "@@"
    return json.dumps(values).replace('"@@"', hostile_json(random))


def _odd_values():
    return (
        None,
        -1,
        0,
        1 << 62,
        np.uint64((1 << 64) - 1),
        float("nan"),
        np.float16(1),
        True,
        "",
        "text",
        b"\xff\xfe",
        np.void(b"\0\1\2"),
        h5py.Empty("f8"),
        np.arange(5),
        np.zeros((2, 2)),
        np.zeros(8000),
        ["a", "b"],
        np.array(b"fixed", "S9"),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        1j,
    )
